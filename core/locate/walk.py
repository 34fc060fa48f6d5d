"""A walk: photos in the order of time -> a fix after each, and for a recorded walk the smoothed fixes."""

from __future__ import annotations

import logging
import time
from collections import deque
from dataclasses import dataclass, fields, replace
from datetime import datetime
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from core.campus.fusion_parameters import Fusion, MotionParams
from core.errors import CampusError, TimeReversed
from core.locate.bayes_filter import Move, WalkFilter, smooth
from core.locate.fusion import OUTLIER_PROBABILITY, log_evidence, thumbnail
from core.locate.probability_map import ProbabilityMap
from core.locate.several import radii_of
from core.locate.threads import one_blas_thread
from core.photo.capture import CameraClock, as_utc

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from core.engines.heads import Heads
    from core.locate.evidence import Evidence
    from core.locate.fix import Fix
    from core.locate.open_campus import OpenCampus
    from core.locate.reading import Reading

    Float32 = NDArray[np.float32]

log = logging.getLogger(__name__)

KEPT_PHOTOS = 1024  # remembered for smoothing: some 10 MB on a campus of 500 m
_SEGMENT = 32  # photos between two maps that are kept; what lies between is computed again
# For so long after its last photo of this campus a walk still knows that it is there: a hand before the lens.
_STILL_THERE_S = 30.0


@dataclass(frozen=True)
class _Kept:
    """What smoothing needs of one photo: a few hundred numbers, not its map."""

    heads: Heads
    evidence: Evidence | None
    move: Move
    fix: Fix


class Walk:
    """A Bayes filter over the campus grid that takes photos; memory does not grow beyond `keep` photos.

    Not to be shared between threads: each walk is one walker's, whose camera's clock is `clock`.
    """

    def __init__(self, campus: OpenCampus, keep: int = KEPT_PHOTOS, motion: dict[str, float] | None = None) -> None:
        """`motion`: fields of MotionParams that differ from the campus's own. Raises CampusError for wrong ones."""
        self._campus = campus
        self._motion = _motion(campus.bundle.manifest.fusion, motion or {})
        self.clock = CameraClock()
        self._segments: deque[tuple[Float32, list[_Kept]]] = deque(maxlen=-(-keep // _SEGMENT) + 1 if keep else 0)
        self._restart()

    def _restart(self) -> None:
        """Forget every photo."""
        manifest = self._campus.bundle.manifest
        self._filter = WalkFilter(manifest.grid, self._campus.prior, manifest.fusion.together, self._motion)
        self._segments.clear()
        self._seen = self._counted = 0
        self._recognised_s: float | None = None

    @property
    def course_deg(self) -> float | None:
        """Where the walk leads, clockwise from true north, 0 to 360; None while standing or not known."""
        velocity = self._filter.velocity
        if velocity is None or velocity.course_deg is None:
            return None
        return (velocity.course_deg + self._campus.bundle.manifest.frame.convergence_deg) % 360

    @property
    def speed_m_s(self) -> float | None:
        """How fast, in metres a second; 0 while standing, None while it is not known."""
        velocity = self._filter.velocity
        return None if velocity is None else velocity.speed_m_s

    def add(self, photo: Any, time_utc: datetime | float | None = None) -> Fix:
        """Take in the next photo and say where the walker is by all photos so far.

        `photo` is whatever `Localizer.locate` takes; `time_utc` an aware datetime (a naive one is taken as UTC) or
        seconds since 1970; None: the photo's own time, else now. Raises PhotoError for a photo that cannot be read and
        TimeReversed for one older than the last; the walk stays as it was.
        """
        return self.add_reading(self._campus.read(photo), time_utc)

    def add_reading(self, reading: Reading, time_utc: datetime | float | None = None) -> Fix:
        """The same for a photo that was read already; seconds may be those of any clock that only goes forward."""
        with one_blas_thread():
            return self._add(reading, self._seconds(reading, time_utc))

    def add_or_restart(
        self, reading: Reading, time_utc: datetime | float | None = None, clocks_differ_s: float = 0.0
    ) -> Fix:
        """`add_reading` where clocks may be set back: a photo older than the last one is the first of a new walk.

        One that is older by less than `clocks_differ_s` is of the last one's moment. Raises TimeReversed for a time
        that is no number alone.
        """
        time_s, last_s = self._seconds(reading, time_utc), self._filter.time_s
        if last_s is not None and last_s - clocks_differ_s < time_s < last_s:
            time_s = last_s
        try:
            return self.add_reading(reading, time_s)
        except TimeReversed as error:
            if not isfinite(time_s):
                raise
            log.info("a new walk begins: %s", error)
            self._restart()
            return self.add_reading(reading, time_s)

    def _add(self, reading: Reading, time_s: float) -> Fix:
        started = time.perf_counter()
        campus = self._campus
        mass = campus.posterior.map(reading.heads, reading.evidence).mass
        score = campus.ood_score(reading.heads, reading.evidence)
        recognised = campus.on_campus(score) is not False
        before = self._filter.mass
        step = self._filter.step(mass, time_s, thumbnail(reading.image), float(recognised))
        if recognised:
            self._recognised_s = time_s
        self._counted += step.move.weight > 0
        contradicts = step.move.weight > 0 and step.agreement < 1 - OUTLIER_PROBABILITY
        heading_deg, heading_spread_deg = campus.heading(reading.heads)
        fix = campus.describe(
            ProbabilityMap(campus.bundle.manifest.grid, step.mass),
            radii_of(campus, "walk").radii_m,
            score,
            reading.timings_ms,
            started,
            on_campus=campus.on_campus(0.0 if self._still_there(time_s) else 1.0),
            heading_deg=heading_deg,
            heading_spread_deg=heading_spread_deg,
            photos=max(self._counted, 1),
            outliers=(self._seen,) if contradicts else (),
            course_deg=self.course_deg,
            speed_m_s=self.speed_m_s,
        )
        self._seen += 1
        self._keep(before, _Kept(reading.heads, reading.evidence, step.move, replace(fix, probability=None)))
        return fix

    def _seconds(self, reading: Reading, time_utc: datetime | float | None) -> float:
        """Seconds since 1970 of the given time, else the photo's own by its camera's clock, else now."""
        own = self.clock.read(reading.capture).taken
        taken = own if time_utc is None else time_utc
        if taken is None:
            return time.time()
        if isinstance(taken, datetime):
            return as_utc(taken).timestamp()
        return float(taken)

    def _still_there(self, time_s: float) -> bool:
        """Whether the campus was recognised a moment ago."""
        return self._recognised_s is not None and time_s - self._recognised_s <= _STILL_THERE_S

    def _keep(self, before: Float32, kept: _Kept) -> None:
        if not self._segments or len(self._segments[-1][1]) == _SEGMENT:
            self._segments.append((before, []))  # a full deque lets the oldest segment go
        if self._segments:
            self._segments[-1][1].append(kept)

    def smoothed(self) -> list[Fix]:
        """Where the walker was at each photo, by those before it and those after it, in the order of adding.

        Of a walk longer than `keep` photos, its last ones.
        """
        with one_blas_thread():
            return self._smoothed()

    def _smoothed(self) -> list[Fix]:
        campus, found = self._campus, []
        later = np.ones_like(campus.prior.standing)
        for start, kept in reversed(self._segments):

            def evidence(index: int, kept: list[_Kept] = kept) -> Float32:
                mass = campus.posterior.map(kept[index].heads, kept[index].evidence).mass
                return log_evidence(mass, campus.prior.reference, self._filter.fusion.floor)

            for index, mass, message in smooth(self._filter.motion, start, later, [one.move for one in kept], evidence):
                found.append(self._reread(kept[index].fix, mass))
                later = message
        return found[::-1]

    def _reread(self, fix: Fix, mass: Float32) -> Fix:
        """The same photo's fix, read off another map."""
        manifest = self._campus.bundle.manifest
        same = ("on_campus", "heading_deg", "heading_spread_deg", "photos", "outliers", "course_deg", "speed_m_s")
        return self._campus.describe(
            ProbabilityMap(manifest.grid, mass),
            radii_of(self._campus, "smoothed").radii_m,
            fix.ood_score,
            {step: value for step, value in fix.timings_ms.items() if step != "posterior"},
            time.perf_counter(),
            **{name: getattr(fix, name) for name in same},
        )


def _motion(fusion: Fusion, changed: dict[str, float]) -> MotionParams:
    known = [field.name for field in fields(MotionParams)]
    if unknown := [name for name in changed if name not in known]:
        raise CampusError(f"a walk has no such parameter; it has {', '.join(known)}", path=unknown[0])
    for name, value in changed.items():
        if not 1e-3 <= value <= 1e9:
            raise CampusError(f"{name} {value}", remedy="give a positive number, in seconds or metres a second")
    return replace(fusion.motion, **changed)
