"""Fit the posterior and the radii on the calibration split, by likelihood and by split-conformal prediction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from core.campus.gallery import Gallery
from core.campus.grid import Grid
from core.campus.manifest import Calibration
from core.campus.parameters import PosteriorParams
from core.campus.zones import Zones
from core.engines.heads import Heads
from core.locate.heading import angle_between_deg, direction_deg, raw_spread_deg
from core.locate.posterior import Posterior
from train.evaluate.metrics import conformal_factor

Float = NDArray[np.float64]

PRIOR_PHOTOS = 20.0  # how many calibration photos the default parameters are worth: few photos stay near them
SHARES = (0.68, 0.95)
# Photos of like doubt that get a conformal factor of their own. Fewer make it a matter of luck: on halves of the demo's
# calibration split (rendered), groups of 50 held no quarter better than one factor for all 200.
GROUP_PHOTOS = 150
MOST_GROUPS = 4
_POSITIVE = (
    "regression_width_m",
    "zone_temperature",
    "zone_width",
    "retrieval_temperature",
    "retrieval_width_m",
)
_WEIGHTS = ("regression_weight", "zone_weight", "retrieval_weight", "floor_weight")


def _pack(params: PosteriorParams) -> Float:
    """Unbounded coordinates: logarithms of what is positive, log-odds of the weights."""
    return np.log([getattr(params, name) for name in (*_POSITIVE, *_WEIGHTS)])


def _unpack(at: Float, start: PosteriorParams) -> PosteriorParams:
    values = np.exp(np.clip(at, -15, 15))
    values[len(_POSITIVE) :] /= values[len(_POSITIVE) :].sum()
    return replace(start, **dict(zip((*_POSITIVE, *_WEIGHTS), values.tolist(), strict=True)))


def fit_posterior(
    heads: Heads, truth_m: Float, grid: Grid, zones: Zones, gallery: Gallery | None, scale_m: float
) -> PosteriorParams:
    """The parameters under which the calibration photos' true positions, (N, 2) local metres, are likeliest.

    A Gaussian prior about the defaults, worth PRIOR_PHOTOS photos, keeps a small split from extremes. With
    `log_spread`, the regression's width is a factor on the network's own.
    """
    default = PosteriorParams()
    start = default if heads.log_spread is None else replace(default, regression_width_m=scale_m)
    origin = _pack(start)

    def cost(at: Float) -> float:
        posterior = Posterior(grid, zones, gallery, _unpack(at, start), scale_m)
        prior = 0.5 * PRIOR_PHOTOS * ((at - origin) ** 2).mean()
        return float(prior - posterior.log_likelihood(heads, truth_m).sum())

    found = minimize(cost, origin, method="Powell", options={"maxiter": 30, "xtol": 1e-2, "ftol": 1e-4})
    return _unpack(np.asarray(found.x), start)


def calibrate(posterior: Posterior, heads: Heads, truth_m: Float, heading_deg: Float) -> Calibration:
    """Conformal factors for both radii and the heading, and the OOD scores of photos of this campus.

    truth_m (N, 2) local metres; heading_deg (N,) where the camera looked, NaN where unknown.
    """
    error_m, raw_m = errors_and_raw_radii(posterior, heads, truth_m)
    ood_quantiles: tuple[float, ...] = ()
    if heads.ood_score is not None:
        ood_quantiles = tuple(np.quantile(heads.ood_score.astype(np.float64), np.linspace(0, 1, 101)).tolist())
    radius_at_m, (factors68, factors95) = radius_factors(error_m, raw_m, SHARES)
    return Calibration(
        photos=len(heads),
        radius_at_m=tuple(radius_at_m.tolist()),
        radius68_factors=tuple(factors68.tolist()),
        radius95_factors=tuple(factors95.tolist()),
        heading_factor=heading_factor(heads, heading_deg),
        ood_quantiles=ood_quantiles,
    )


def errors_and_raw_radii(posterior: Posterior, heads: Heads, truth_m: Float) -> tuple[Float, Float]:
    """(N,) metres between each fix and its true position, and (N, 2) the map's own radii for SHARES."""
    error_m, raw_m = [], []
    for index, truth in enumerate(truth_m):
        probability = posterior.map(heads.one(index))
        at_m = probability.median_m()
        error_m.append(float(np.linalg.norm(at_m - truth)))
        raw_m.append(probability.radii_m(at_m, SHARES))
    return np.array(error_m), np.array(raw_m)


def radius_factors(error_m: Float, raw_m: Float, shares: Sequence[float]) -> tuple[Float, list[Float]]:
    """Conformal factors that hold for small and for large radii alike.

    error_m (N,); raw_m (N, S) the map's own radii for S shares -> (G,) ascending radii for the first share, and for
    each share (G,) factors at them. One factor for all photos covers too many of the sure ones and too few of the
    doubtful (on the demo's test split, rendered: 75 and 60 %). So each group of photos of like doubt gets its own
    (Mondrian conformal prediction, Vovk et al. 2003), interpolated so that no radius jumps, and one more common factor
    makes the share right for all photos together.
    """
    count = int(np.clip(len(error_m) // GROUP_PHOTOS, 1, MOST_GROUPS))
    parts = np.array_split(np.argsort(raw_m[:, 0], kind="stable"), count)
    at_m = np.array([np.median(raw_m[part, 0]) for part in parts])
    factors = []
    for column, share in enumerate(shares):
        own = np.array([conformal_factor(error_m[part], raw_m[part, column], share) for part in parts])
        radius_m = raw_m[:, column] * np.interp(raw_m[:, 0], at_m, own)
        factors.append(own * conformal_factor(error_m, radius_m, share))
    return at_m, factors


def heading_factor(heads: Heads, heading_deg: Float) -> float | None:
    """The conformal factor of the heading's own spread for 68 %, or None where there is nothing to compare."""
    known = np.isfinite(heading_deg)
    if heads.heading is None or not known.any():
        return None
    found = heads.heading[known]
    off_deg = angle_between_deg(direction_deg(found), heading_deg[known])
    return conformal_factor(off_deg, raw_spread_deg(found), 0.68)
