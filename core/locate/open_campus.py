"""A campus bundle opened: what its network, gallery and second look say of a photo, and what a map of it says."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from core.engines.heads import Engine, Heads
from core.engines.tensorrt_engine import TensorRtEngine
from core.locate.fix import Candidate, Fix, ZoneOdds
from core.locate.heading import direction_deg, raw_spread_deg
from core.locate.posterior import Posterior
from core.locate.prior import Prior, closed_cells, prior_of
from core.locate.reading import Prepared, Reading
from core.locate.second_look import SecondReader, ood_score
from core.locate.threads import one_blas_thread
from core.photo.load import Photo, load_photo
from core.photo.preprocess import network_image

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from core.campus.bundle import Bundle
    from core.campus.manifest import Calibration
    from core.locate.evidence import Evidence
    from core.locate.probability_map import ProbabilityMap
    from core.photo.canvas import Canvas


LEAST_ZONE_PROBABILITY = 0.01


class OpenCampus:
    """What one photo and one map say on one campus. Nothing changes after it is made, so threads may share it."""

    def __init__(self, bundle: Bundle, engine: Engine, second_look: bool = True, threads: int | None = None) -> None:
        """Without `second_look`, photos in doubt are not matched by local features; many bundles carry none anyway.

        `threads`: at most so many for the second look's network and for `locate_many` (None: one for each core).
        """
        self.threads = threads or os.cpu_count() or 1
        self.bundle, self.engine = bundle, engine
        manifest = bundle.manifest
        self.posterior = Posterior(manifest.grid, bundle.zones, bundle.gallery, manifest.posterior, manifest.scale_m)
        on_gpu = isinstance(engine, TensorRtEngine)
        self.second_reader = SecondReader.open(bundle, self.posterior, threads, on_gpu) if second_look else None
        if self.second_reader is not None:
            self.posterior.matched = self.second_reader.posterior

    def read(self, photo: Any) -> Reading:
        """All that is read from a photo itself, and how long each step took. Raises PhotoError."""
        prepared = self.prepare(photo)
        started = time.perf_counter()
        heads = self.engine.run(prepared.image[None])
        return self.reading(prepared, heads, 1e3 * (time.perf_counter() - started))

    def prepare(self, photo: Any) -> Prepared:
        """Decode and shrink a photo, without asking the network. Raises PhotoError."""
        loaded = photo if isinstance(photo, Photo) else load_photo(photo, min_side=self.least_side)
        started = time.perf_counter()
        image = network_image(loaded.rgb, self.bundle.manifest.image_size)
        timings_ms = {"decode": loaded.decode_ms, "preprocess": 1e3 * (time.perf_counter() - started)}
        canvas = None if self.second_reader is None else self.second_reader.verifier.canvas_of(loaded.rgb)
        return Prepared(image, canvas, loaded.capture, timings_ms)

    def reading(self, prepared: Prepared, heads: Heads, network_ms: float) -> Reading:
        """What the network said of a photo (a batch of 1, after so long), with what a second look adds."""
        timings_ms = {**prepared.timings_ms, "network": network_ms}
        started = time.perf_counter()
        evidence = None if prepared.canvas is None else self.evidence(heads, prepared.canvas)
        if evidence is not None:
            timings_ms["second_look"] = 1e3 * (time.perf_counter() - started)
        return Reading(heads, prepared.image, timings_ms, prepared.capture, evidence)

    def fix_of(self, reading: Reading) -> Fix:
        """The fix of one photo that was read."""
        return self.fix(reading.heads, reading.timings_ms, reading.evidence)

    @property
    def least_side(self) -> int:
        """How many pixels the short side of a photo should have, for `load_photo`."""
        size = self.bundle.manifest.image_size
        return size if self.second_reader is None else max(size, self.second_reader.verifier.least_side)

    def evidence(self, heads: Heads, canvas: Callable[[], Canvas]) -> Evidence | None:
        """What a second look at one photo (a batch of 1) says; None where the first is not in doubt."""
        if (second := self.second_reader) is None:
            return None
        with one_blas_thread():
            return second.evidence(heads, lambda: second.verifier.features_on(canvas()), self.ood_score(heads))

    def fix(self, heads: Heads, timings_ms: dict[str, float] | None = None, evidence: Evidence | None = None) -> Fix:
        """Read the fix of one photo (a batch of 1) off its probability map."""
        with one_blas_thread():
            started = time.perf_counter()
            probability = self.posterior.map(heads, evidence)
            heading_deg, heading_spread_deg = self.heading(heads)
            return self.describe(
                probability,
                self.calibration(evidence).radii_m,
                self.ood_score(heads, evidence),
                timings_ms or {},
                started,
                heading_deg=heading_deg,
                heading_spread_deg=heading_spread_deg,
            )

    def describe(
        self,
        probability: ProbabilityMap,
        radii_m: Callable[[tuple[float, ...]], tuple[float, float]],
        ood_score: float,
        timings_ms: dict[str, float],
        started_s: float,
        **rest: Any,
    ) -> Fix:
        """Everything that is read off a map; `rest` are fields of Fix that are not.

        `radii_m` calibrates the map's own radii; `started_s` is when work on the map began, by `time.perf_counter`.
        """
        manifest = self.bundle.manifest
        at_m = probability.median_m()
        map_radii_m = radii_m(probability.radii_m(at_m, (0.68, 0.95)))
        places = probability.candidates()
        latlon = manifest.frame.to_latlon(np.array([at_m, *[place[:2] for place in places]]))
        zones = self._zones(self.posterior.zone_odds(probability))
        rest.setdefault("on_campus", self.on_campus(ood_score))
        radius68_m, radius95_m = map_radii_m if rest["on_campus"] is not False else (None, None)
        return Fix(
            lat=float(latlon[0, 0]),
            lon=float(latlon[0, 1]),
            radius68_m=radius68_m,
            radius95_m=radius95_m,
            zones=zones,
            candidates=tuple(
                Candidate(float(lat), float(lon), place[2])
                for (lat, lon), place in zip(latlon[1:], places, strict=True)
            ),
            ood_score=ood_score,
            campus=manifest.name,
            timings_ms={**timings_ms, "posterior": 1e3 * (time.perf_counter() - started_s)},
            map_radii_m=map_radii_m,
            probability=probability,
            **rest,
        )

    @cached_property
    def prior(self) -> Prior:
        """Where people stand before any photo is seen."""
        manifest, gallery = self.bundle.manifest, self.bundle.gallery
        closed = closed_cells(manifest.grid, self.bundle.campus_map, manifest.frame)
        stood_m = self.bundle.zones.centres_m if gallery is None else gallery.local_m
        return prior_of(manifest.grid, stood_m, manifest.posterior, manifest.fusion.together, closed)

    def on_campus(self, ood_score: float) -> bool | None:
        """Whether a photo of this OOD score looks like this campus at all; None where that cannot be told."""
        return self.bundle.manifest.calibration.on_campus(ood_score)

    def _zones(self, odds: NDArray[np.float64]) -> tuple[ZoneOdds, ...]:
        if not len(odds):
            return (ZoneOdds(-1, self.bundle.manifest.name, 1.0),)  # a campus without zones is one zone
        kept = np.flatnonzero(odds >= min(LEAST_ZONE_PROBABILITY, odds.max()))
        kept = kept[np.argsort(-odds[kept], kind="stable")]
        zones = self.bundle.manifest.zones
        return tuple(ZoneOdds(int(zone), zones[zone].name, float(odds[zone])) for zone in kept)

    def heading(self, heads: Heads) -> tuple[float, float] | tuple[None, None]:
        """Where the camera looked and the half angle that holds 68 %, in degrees; None where nothing is known of it."""
        factor = self.bundle.manifest.calibration.heading_factor
        if heads.heading is None or factor is None:
            return None, None
        return float(direction_deg(heads.heading)[0]), min(180.0, float(raw_spread_deg(heads.heading)[0]) * factor)

    def calibration(self, evidence: Evidence | None) -> Calibration:
        """What calibrates a photo's radii, with or without evidence of matches."""
        second = self.second_reader
        return self.bundle.manifest.calibration if evidence is None or second is None else second.look.calibration

    def ood_score(self, heads: Heads, evidence: Evidence | None = None) -> float:
        """Share of calibration photos that scored lower than this one; 0 where the model cannot tell."""
        look = None if self.second_reader is None else self.second_reader.look
        return ood_score(self.bundle.manifest.calibration, float(heads.own_ood_score[0]), look, evidence)
