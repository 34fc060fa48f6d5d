"""Errors and coverage of held-out photos. Pure functions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.campus.manifest import AcceptedErrors, Metrics
from core.errors import DatasetError

Float = NDArray[np.float64]

ALL_PHOTOS = "all photos, refused ones included"  # what errors and radii are of where nothing else is said


def summarise(
    error_m: Float,
    radius68_m: Float,
    radius95_m: Float,
    baselines: dict[str, Float],
    refused: NDArray[np.bool_] | None = None,
) -> Metrics:
    """(N,) errors and radii in metres -> Metrics; `baselines` are (N,) errors of other ways on the same photos.

    `refused` (N,): which photos are refused, where that is known. They count in all but `Metrics.accepted`.
    """
    if not len(error_m):
        raise DatasetError("there is no photo to evaluate")
    return Metrics(
        n=len(error_m),
        mean_m=float(error_m.mean()),
        median_m=float(np.median(error_m)),
        p90_m=float(np.percentile(error_m, 90)),
        p95_m=float(np.percentile(error_m, 95)),
        max_m=float(error_m.max()),
        within_5m=float((error_m <= 5).mean()),
        within_10m=float((error_m <= 10).mean()),
        within_25m=float((error_m <= 25).mean()),
        coverage68=float((error_m <= radius68_m).mean()),
        coverage95=float((error_m <= radius95_m).mean()),
        mean_radius68_m=float(radius68_m.mean()),
        baselines={
            name: {"mean_m": float(error.mean()), "median_m": float(np.median(error))}
            for name, error in baselines.items()
        },
        accepted=None if refused is None else _accepted(error_m[~refused]),
    )


def _accepted(error_m: Float) -> AcceptedErrors | None:
    if not len(error_m):
        return None
    return AcceptedErrors(n=len(error_m), mean_m=float(error_m.mean()), median_m=float(np.median(error_m)))


def accepted_words(accepted: AcceptedErrors) -> str:
    """In words, the errors of the photos that are not refused."""
    return f"mean {accepted.mean_m:.1f} m, median {accepted.median_m:.1f} m, n = {accepted.n}"


def conformal_factor(error_m: Float, radius_m: Float, share: float) -> float:
    """The factor by which radii must grow so that a new photo lies within its own with probability `share`.

    Split conformal prediction with the score error / radius: the ceil((n + 1) share)-th smallest score (Lei et al.,
    Distribution-free predictive inference for regression, JASA 2018). Where n is too small for that, nothing is
    promised: the largest score, which n / (n + 1) of new photos stay below, is widened as a plane's Gaussian would be.
    """
    if not len(error_m):
        raise DatasetError("no calibration photo: the error radius cannot be calibrated")
    scores = np.sort(error_m / radius_m)
    if not enough_for(share, len(scores)):
        wider = np.sqrt(np.log(1 - share) / -np.log(len(scores) + 1))
        return max(float(scores[-1] * wider), 1e-3)
    return max(float(scores[int(np.ceil((len(scores) + 1) * share)) - 1]), 1e-3)


def enough_for(share: float, photos: int) -> bool:
    """Whether so many calibration photos can promise that a radius holds this share of new ones."""
    return int(np.ceil((photos + 1) * share)) <= photos
