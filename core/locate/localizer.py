"""A campus bundle opened for use: photo in, Fix out."""

from __future__ import annotations

import os
import time
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.campus.bundle import Bundle
from core.engines.choose import Backend, open_engine
from core.engines.heads import Engine, Heads
from core.locate.fix import Candidate, Fix, ZoneOdds
from core.locate.heading import direction_deg, raw_spread_deg
from core.locate.posterior import Posterior
from core.locate.threads import one_blas_thread
from core.photo.load import load_photo
from core.photo.preprocess import network_image

if TYPE_CHECKING:
    from numpy.typing import NDArray


DEMO_BUNDLE = Path(__file__).resolve().parents[2] / "campuses" / "demo"
LEAST_ZONE_PROBABILITY = 0.01


def default_bundle() -> Path:
    """$CAMPUS_BUNDLE where it is set, else the demo campus."""
    return Path(os.environ.get("CAMPUS_BUNDLE") or DEMO_BUNDLE)


class Localizer:
    """Locates photos on one campus. Safe to share between threads: nothing changes after it is made."""

    def __init__(self, bundle: Bundle, engine: Engine) -> None:
        self.bundle, self.engine = bundle, engine
        manifest = bundle.manifest
        self.posterior = Posterior(manifest.grid, bundle.zones, bundle.gallery, manifest.posterior, manifest.scale_m)
        self._ood_quantiles = np.asarray(manifest.calibration.ood_quantiles)

    @classmethod
    def load(cls, path: str | Path | None = None, backend: Backend = "auto") -> Localizer:
        """Open a bundle (None: `default_bundle()`). Raises BundleError or EngineError."""
        bundle = Bundle.load(path if path is not None else default_bundle())
        return cls(bundle, open_engine(bundle, backend))

    def locate(self, photo: Any) -> Fix:
        """Locate a photo: path, bytes, file object, PIL image or (H, W, 3) uint8 RGB array. Raises PhotoError."""
        return self.fix(*self._heads(photo))

    def position(self, photo: Any) -> tuple[float, float]:
        """Degrees (lat, lon) of a photo, the same as `locate` gives, without reading off the rest of a fix."""
        heads, _ = self._heads(photo)
        with one_blas_thread():
            at_m = self.posterior.map(heads).median_m()
        lat, lon = self.bundle.manifest.frame.to_latlon(at_m)
        return float(lat), float(lon)

    def _heads(self, photo: Any) -> tuple[Heads, dict[str, float]]:
        """The network's answer, and how long each step took in milliseconds."""
        started = time.perf_counter()
        size = self.bundle.manifest.image_size
        rgb = load_photo(photo, min_side=size).rgb
        decoded = time.perf_counter()
        image = network_image(rgb, size)[None]
        prepared = time.perf_counter()
        heads = self.engine.run(image)
        answered = time.perf_counter()
        return heads, {
            "decode": 1e3 * (decoded - started),
            "preprocess": 1e3 * (prepared - decoded),
            "network": 1e3 * (answered - prepared),
        }

    def fix(self, heads: Heads, timings_ms: dict[str, float] | None = None) -> Fix:
        """Read the fix of one photo (a batch of 1) off its probability map."""
        with one_blas_thread():
            return self._fix(heads, timings_ms or {})

    def _fix(self, heads: Heads, timings_ms: dict[str, float]) -> Fix:
        started = time.perf_counter()
        manifest = self.bundle.manifest
        probability = self.posterior.map(heads)
        at_m = probability.median_m()
        radius68, radius95 = manifest.calibration.radii_m(probability.radii_m(at_m, (0.68, 0.95)))
        places = probability.candidates()
        latlon = manifest.frame.to_latlon(np.array([at_m, *[place[:2] for place in places]]))
        ood_score = self._ood_score(heads)
        heading_deg, heading_spread_deg = self._heading(heads)
        timings = {**timings_ms, "posterior": 1e3 * (time.perf_counter() - started)}
        return Fix(
            lat=float(latlon[0, 0]),
            lon=float(latlon[0, 1]),
            radius68_m=radius68,
            radius95_m=radius95,
            zones=self._zones(self.posterior.zone_odds(probability)),
            candidates=tuple(
                Candidate(float(lat), float(lon), place[2])
                for (lat, lon), place in zip(latlon[1:], places, strict=True)
            ),
            on_campus=ood_score <= 1 - manifest.calibration.off_campus_share,
            ood_score=ood_score,
            campus=manifest.name,
            timings_ms=timings,
            heading_deg=heading_deg,
            heading_spread_deg=heading_spread_deg,
            probability=probability,
        )

    def _zones(self, odds: NDArray[np.float64]) -> tuple[ZoneOdds, ...]:
        if not len(odds):
            return (ZoneOdds(-1, self.bundle.manifest.name, 1.0),)  # a campus without zones is one zone
        kept = np.flatnonzero(odds >= min(LEAST_ZONE_PROBABILITY, odds.max()))
        kept = kept[np.argsort(-odds[kept], kind="stable")]
        zones = self.bundle.manifest.zones
        return tuple(ZoneOdds(int(zone), zones[zone].name, float(odds[zone])) for zone in kept)

    def _heading(self, heads: Heads) -> tuple[float, float] | tuple[None, None]:
        """Where the camera looked and the half angle that holds 68 %, in degrees; None where nothing is known of it."""
        factor = self.bundle.manifest.calibration.heading_factor
        if heads.heading is None or factor is None:
            return None, None
        return float(direction_deg(heads.heading)[0]), min(180.0, float(raw_spread_deg(heads.heading)[0]) * factor)

    def _ood_score(self, heads: Heads) -> float:
        """Share of calibration photos that scored lower than this one; 0 where the model cannot tell."""
        if heads.ood_score is None or not len(self._ood_quantiles):
            return 0.0
        shares = np.linspace(0.0, 1.0, len(self._ood_quantiles))
        return float(np.interp(float(heads.ood_score[0, 0]), self._ood_quantiles, shares, right=1.0))


@lru_cache(maxsize=4)
def shared_localizer(path: Path, backend: Backend = "auto") -> Localizer:
    """One Localizer per bundle and process: loading takes far longer than locating."""
    return Localizer.load(path, backend)


def predict_gps(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Where a photo was taken: (H, W, 3) uint8 RGB -> (2,) float32 [latitude, longitude] in degrees.

    Uses `default_bundle()`, loaded once. Raises PhotoError for any other shape, dtype or type. float32 rounds a
    position to 0.2 to 0.4 m; `Localizer.locate` gives it in full, with its radius.
    """
    if not isinstance(image, np.ndarray):
        from core.errors import PhotoError

        raise PhotoError(f"predict_gps wants an (H, W, 3) uint8 RGB array, got {type(image).__name__}")
    return np.array(shared_localizer(default_bundle()).position(image), np.float32)
