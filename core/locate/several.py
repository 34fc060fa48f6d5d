"""Readings of photos of one standpoint -> one fix."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from core.errors import PhotoError
from core.locate.fusion import copy_shares, thumbnail, together
from core.locate.probability_map import ProbabilityMap
from core.locate.threads import one_blas_thread

if TYPE_CHECKING:
    from core.campus.fusion_parameters import RadiusFactors, RadiusKind
    from core.campus.manifest import Calibration, CampusManifest
    from core.locate.fix import Fix
    from core.locate.localizer import Localizer
    from core.locate.reading import Reading


def fix_together(localizer: Localizer, readings: Sequence[Reading]) -> Fix:
    """The fix of N >= 1 photos of one standpoint. Raises PhotoError for none."""
    if not readings:
        raise PhotoError("no photo to locate", remedy="give at least one")
    if len(readings) == 1:
        return localizer.fix(readings[0].heads, readings[0].timings_ms, readings[0].evidence)
    with one_blas_thread():
        started = time.perf_counter()
        manifest = localizer.bundle.manifest
        maps = [localizer.posterior.map(reading.heads, reading.evidence).mass for reading in readings]
        scores = np.array([localizer.ood_score(reading.heads, reading.evidence) for reading in readings])
        trust = np.array([float(localizer.on_campus(score) is not False) for score in scores])
        shares = copy_shares([thumbnail(reading.image) for reading in readings])
        fused = together(maps, localizer.prior, manifest.fusion.together, shares, trust)
        heading: tuple[float, float] | tuple[None, None] = None, None
        if fused.photos == 1:  # the same picture again looks the same way
            heading = localizer.heading(readings[int(fused.weight.argmax())].heads)
        return localizer.describe(
            ProbabilityMap(manifest.grid, fused.mass),
            radii_of(manifest, str(min(fused.photos, 4))).radii_m,
            float(scores.min()),
            _summed([reading.timings_ms for reading in readings]),
            started,
            heading_deg=heading[0],
            heading_spread_deg=heading[1],
            photos=fused.photos,
            outliers=fused.outliers,
        )


def radii_of(manifest: CampusManifest, kind: str) -> RadiusFactors | Calibration:
    """What calibrates the radii of one kind of fix: 1 to 4 photos, "walk" or "smoothed"."""
    named: dict[str, RadiusKind] = {"2": "2", "3": "3", "4": "4+", "walk": "walk", "smoothed": "smoothed"}
    found = manifest.fusion.radii.get(named[kind]) if kind in named else None
    return manifest.calibration if found is None else found


def _summed(timings_ms: list[dict[str, float]]) -> dict[str, float]:
    steps = dict.fromkeys(step for one in timings_ms for step in one)
    return {step: sum(one.get(step, 0.0) for one in timings_ms) for step in steps}
