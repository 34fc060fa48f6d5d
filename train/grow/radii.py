"""A campus's radii after a refresh: fitted anew, with its new walks, each judged without its own photos."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.campus.bundle import Bundle
from core.campus.fusion_parameters import RadiusFactors
from core.campus.gallery import Gallery
from core.campus.grid import Grid
from core.campus.manifest import Calibration, CampusManifest, Metrics
from core.locate.posterior import Posterior
from train.bundle.calibrate import SHARES, errors_and_raw_radii, heading_factor, percentiles, radius_factors
from train.bundle.calibration_photos import HELD_OUT, CalibrationPhotos
from train.evaluate.metrics import conformal_factor, summarise
from train.grow.strengths import ood_quantiles

log = logging.getLogger(__name__)

LEAST_CALIBRATION = 20  # with fewer photos in all the factors that stand are better than new ones

Float = NDArray[np.float64]


def leave_one_walk_out(photos: CalibrationPhotos, gallery: Gallery, grid: Grid, bundle: Bundle) -> tuple[Float, Float]:
    """(N,) errors and (N, 2) the map's own radii of the calibration photos.

    Each walk is judged by a gallery without it; photos that were judged as the bundle was made keep what was said then.
    """
    manifest = bundle.manifest
    error_m, raw_m = photos.judged[:, 0].copy(), photos.judged[:, 1:].copy()
    open_ = np.isnan(error_m)
    for walk in np.unique(photos.walk[open_]):
        rows = np.flatnonzero(open_ & (photos.walk == walk))
        others = photos.gallery_without(int(walk), gallery)
        posterior = Posterior(grid, bundle.zones, others, manifest.posterior, manifest.scale_m)
        error_m[rows], raw_m[rows] = errors_and_raw_radii(posterior, photos.heads.at(rows), photos.truth_m[rows])
    return error_m, raw_m


def _with_radii(old: Calibration, error_m: Float, raw_m: Float, was_m: Float) -> Calibration:
    """The factors fitted to these photos; those that stand where they are too few."""
    if len(error_m) < LEAST_CALIBRATION:
        return old
    gain = _gain(old.session_gain, was_m)
    radius_at_m, (factors68, factors95) = radius_factors(error_m, raw_m, SHARES, gain)
    changes = {
        "session_gain": gain,
        "radius_at_m": tuple(radius_at_m.tolist()),
        "radius68_factors": tuple(factors68.tolist()),
        "radius95_factors": tuple(factors95.tolist()),
    }
    return old.model_copy(update=changes)


def held_out_metrics(
    old: Calibration, photos: CalibrationPhotos, error_m: Float, raw_m: Float, was_m: Float
) -> Metrics:
    """The new photos, the last ones, each walk by radii that are fitted to the others: or its own would flatter it."""
    first = len(photos) - len(was_m)
    radii_m = np.empty((len(was_m), 2))
    for walk in np.unique(photos.walk[first:]):
        own = photos.walk == walk
        calibration = _with_radii(old, error_m[~own], raw_m[~own], was_m[~own[first:]])
        radii_m[own[first:]] = [calibration.radii_m((row[0], row[1])) for row in raw_m[own]]
    return summarise(error_m[first:], radii_m[:, 0], radii_m[:, 1], {})


def refitted(old: Calibration, photos: CalibrationPhotos, error_m: Float, raw_m: Float, was_m: Float) -> Calibration:
    """The calibration by all photos, new walks among them; `was_m` is that of `_gain`, of the new photos."""
    if len(photos) < LEAST_CALIBRATION:
        log.info("%d calibration photos are too few to fit radii: those that stand are kept", len(photos))
        return old
    changes: dict[str, Any] = {
        "photos": len(photos),
        "heading_factor": heading_factor(photos.heads, photos.heading_deg) or old.heading_factor,
    }
    if photos.heads.ood_score is not None:
        scores = photos.heads.ood_score.astype(np.float64)
        unseen = (photos.walk == HELD_OUT) | np.isfinite(photos.judged[:, 0])
        if old.ood_quantiles and not unseen.any():
            # An older bundle carries no held-out photos; its quantiles stand for them.
            spread = np.interp(
                np.linspace(0, 1, old.photos), np.linspace(0, 1, len(old.ood_quantiles)), old.ood_quantiles
            )
            scores = np.concatenate([scores.ravel(), spread])
        changes["ood_quantiles"] = percentiles(scores)
    return Calibration.model_validate(_with_radii(old, error_m, raw_m, was_m).model_dump() | changes)


def _gain(old: float, was_m: Float) -> float:
    """What one more session is now thought to bring: the walks that came are the first that could tell.

    Where their (N, 2) errors and radii as they were did not keep to radii of the gain that stood, so much of it is
    taken back.
    """
    if len(was_m) < LEAST_CALIBRATION:
        return old
    return min(1.0, old * max(1.0, conformal_factor(was_m[:, 0], was_m[:, 1], SHARES[0])))


def with_gain(manifest: CampusManifest, ratio: float, photos: CalibrationPhotos) -> dict[str, Any]:
    """The sections whose 68 % radii were extrapolated by the gain too: a second look's, and those of several photos.

    A second look tells other places by the match strengths of old and new photos, where the bundle holds them.
    """
    fusion = manifest.fusion
    scaled = {
        name: {
            kind: RadiusFactors.model_validate(factors.model_dump() | _times(factors.radius68_factors, ratio))
            for kind, factors in radii.items()
        }
        for name, radii in (("radii", fusion.radii), ("first_look_radii", fusion.first_look_radii))
    }
    found: dict[str, Any] = {"fusion": fusion.model_copy(update=scaled)}
    if (look := manifest.second_look) is not None:
        changes = _times(look.calibration.radius68_factors, ratio)
        changes["session_gain"] = min(1.0, look.calibration.session_gain * ratio)
        if np.isfinite(photos.strength).any():
            changes["ood_quantiles"] = ood_quantiles(look, photos)
        found["second_look"] = look.model_copy(update={"calibration": look.calibration.model_copy(update=changes)})
    return found


def _times(factors: tuple[float, ...], ratio: float) -> dict[str, Any]:
    return {"radius68_factors": tuple(factor * ratio for factor in factors)}
