"""Fit the posterior and the radii on the calibration split, by likelihood and by split-conformal prediction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import log

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from core.campus.manifest import Calibration
from core.campus.parameters import PosteriorParams
from core.engines.heads import Heads, joined
from core.locate.heading import angle_between_deg, direction_deg, raw_spread_deg
from core.locate.posterior import Posterior
from core.locate.probability_map import ProbabilityMap
from core.locate.threads import one_blas_thread
from train.bundle.held_out import Ground, HeldOut
from train.evaluate.metrics import conformal_factor

Float = NDArray[np.float64]

PRIOR_PHOTOS = 20.0  # how many calibration photos the default parameters are worth: few photos stay near them
SHARES = (0.68, 0.95)
LEAST_GAIN = 0.7  # of one more session: 0.84 to 0.96 on the real campus
SHARPER = (1.0, 0.7, 0.5)  # factors of the likeliest retrieval temperature
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


def fit_posterior(held_out: Sequence[HeldOut], ground: Ground) -> PosteriorParams:
    """The parameters under which the held-out photos' true positions are likeliest.

    A Gaussian prior about the defaults, worth PRIOR_PHOTOS photos, keeps a small split from extremes. With
    `log_spread`, the regression's width is a factor on the network's own. A regression that says one place of every
    photo is a prior about the campus's middle, and starts as wide as the campus.
    """
    start = PosteriorParams()
    heads = held_out[0].heads
    if heads.log_spread is not None:
        start = replace(start, regression_width_m=ground.scale_m)
    elif not np.ptp(heads.offset, axis=0).any():
        spread_m = float(np.concatenate([part.truth_m for part in held_out]).std()) + 1.0
        start = replace(
            start, regression_width_m=spread_m, regression_weight=0.05, zone_weight=0.05, retrieval_weight=0.88
        )
    origin = _pack(start)
    near = [part.nearest(start.neighbours) for part in held_out]  # whatever the weights: found once

    def cost(at: Float) -> float:
        params = _unpack(at, start)
        prior = 0.5 * PRIOR_PHOTOS * ((at - origin) ** 2).mean()
        likelihood = sum(
            ground.posterior(part.gallery, params).log_likelihood(part.heads, part.truth_m, near=known).sum()
            for part, known in zip(held_out, near, strict=True)
        )
        return float(prior - likelihood)

    found = minimize(cost, origin, method="Powell", options={"maxiter": 30, "xtol": 1e-2, "ftol": 1e-4})
    return _unpack(np.asarray(found.x), start)


def sharpened(held_out: Sequence[HeldOut], ground: Ground, params: PosteriorParams) -> PosteriorParams:
    """The same parameters with the retrieval temperature under which the fixes are nearest to the truth.

    The likeliest temperature spreads the map for the sake of the worst photos; the fix, a median, is then drawn to the
    middle.
    """

    def errors(factor: float) -> Float:
        sharper = replace(params, retrieval_temperature=params.retrieval_temperature * factor)
        return np.concatenate([positions_off_m(part, ground, sharper) for part in held_out])

    factor = nearest({factor: errors(factor) for factor in SHARPER})
    return replace(params, retrieval_temperature=params.retrieval_temperature * factor)


def nearest(error_m: dict[float, Float]) -> float:
    """The key of the errors, each (N,) metres of the same photos, that are least: by mean and median alike, each
    relative to those of the key 1.
    """
    plain = error_m[1.0]
    cost = {
        key: error.mean() / max(plain.mean(), 1e-9) + np.median(error) / max(float(np.median(plain)), 1e-9)
        for key, error in error_m.items()
    }
    return min(cost, key=lambda key: cost[key])


def posterior_parameters(held_out: Sequence[HeldOut], ground: Ground) -> PosteriorParams:
    """The likeliest parameters, sharpened: what a bundle's posterior has."""
    return sharpened(held_out, ground, fit_posterior(held_out, ground))


def session_gain(
    held_out: Sequence[HeldOut], fewer: Sequence[HeldOut], ground: Ground, params: PosteriorParams
) -> float:
    """What one more session in the gallery makes of 68 % radii; 1 where nothing tells.

    Each of G held-out sessions was answered by the G - 1 others, `fewer` are the same photos by G - 2, and a new one
    will have all G. Conformal factors fall with the number of sessions as a power (a learning curve), so the two that
    are known give the third. Those of 95 % radii rest on the worst photos, whom a session more hardly helps: they stay.
    """
    if not fewer:
        return 1.0
    by_one_less, by_two_less = (_factor68(parts, ground, params) for parts in (held_out, fewer))
    sessions = len(held_out)
    steps = log(sessions / (sessions - 1)) / log((sessions - 1) / (sessions - 2))
    return float(np.clip((by_one_less / by_two_less) ** steps, LEAST_GAIN, 1.0))


def _factor68(parts: Sequence[HeldOut], ground: Ground, params: PosteriorParams) -> float:
    """One conformal factor of the 68 % radius for all photos."""
    measured = [readings(part, ground, params) for part in parts]
    error_m, raw_m, _ = (np.concatenate(column) for column in zip(*measured, strict=True))
    return conformal_factor(error_m, raw_m[:, 0], SHARES[0])


def calibrate(
    held_out: Sequence[HeldOut], ground: Ground, params: PosteriorParams, heading_deg: Float, gain: float = 1.0
) -> Calibration:
    """Conformal factors for both radii and the heading, and the OOD scores of photos of this campus.

    heading_deg (N,) where the cameras of all N held-out photos looked, NaN where unknown. `gain`: of `session_gain`.
    """
    measured = [readings(part, ground, params) for part in held_out]
    error_m, raw_m, _ = (np.concatenate(column) for column in zip(*measured, strict=True))
    heads = joined([replace(part.heads, embedding=None) for part in held_out])  # those of two folds do not compare
    ood_quantiles: tuple[float, ...] = ()
    if heads.ood_score is not None:
        ood_quantiles = percentiles(heads.ood_score)
    radius_at_m, (factors68, factors95) = radius_factors(error_m, raw_m, SHARES, gain)
    return Calibration(
        photos=len(heads),
        radius_at_m=tuple(radius_at_m.tolist()),
        radius68_factors=tuple(factors68.tolist()),
        radius95_factors=tuple(factors95.tolist()),
        heading_factor=heading_factor(heads, heading_deg),
        session_gain=gain,
        ood_quantiles=ood_quantiles,
    )


def percentiles(ood_score: NDArray[np.floating]) -> tuple[float, ...]:
    """The 101 percentiles, 0 to 100, of photos' OOD scores: what `Calibration.ood_quantiles` holds of them."""
    return tuple(np.quantile(ood_score.astype(np.float64), np.linspace(0, 1, 101)).tolist())


def positions_off_m(part: HeldOut, ground: Ground, params: PosteriorParams) -> Float:
    """(N,) metres between each fix and its true position."""
    return np.asarray(np.linalg.norm(part.positions_m(ground, params) - part.truth_m, axis=1))


def readings(part: HeldOut, ground: Ground, params: PosteriorParams) -> tuple[Float, Float, Float]:
    """(N,) metres between each fix and its true position, (N, 2) the map's own radii for SHARES, and (N,) the share of
    the probability that the second place holds.
    """
    error_m, raw_m, rival = [], [], []
    for probability, off_m, radii_m in _read_maps(ground.posterior(part.gallery, params), part.heads, part.truth_m):
        error_m.append(off_m)
        raw_m.append(radii_m)
        places = probability.candidates()
        rival.append(places[1][2] if len(places) > 1 else 0.0)
    return np.array(error_m), np.array(raw_m), np.array(rival)


def errors_and_raw_radii(posterior: Posterior, heads: Heads, truth_m: Float) -> tuple[Float, Float]:
    """(N,) metres between each fix and its true position, and (N, 2) the map's own radii for SHARES."""
    read = [rest for _, *rest in _read_maps(posterior, heads, truth_m)]
    return np.array([error_m for error_m, _ in read]), np.array([raw_m for _, raw_m in read])


def _read_maps(
    posterior: Posterior, heads: Heads, truth_m: Float
) -> Iterator[tuple[ProbabilityMap, float, tuple[float, ...]]]:
    """The map of each photo, how far its fix is from the true position, and its own radii for SHARES."""
    for index, truth in enumerate(truth_m):
        with one_blas_thread():
            probability = posterior.map(heads.one(index))
            at_m = probability.median_m()
            yield probability, float(np.linalg.norm(at_m - truth)), probability.radii_m(at_m, SHARES)


def radius_factors(
    error_m: Float, raw_m: Float, shares: Sequence[float], gain: float = 1.0
) -> tuple[Float, list[Float]]:
    """Conformal factors that hold for small and for large radii alike.

    error_m (N,); raw_m (N, S) the map's own radii for S shares -> (G,) ascending radii for the first share, and for
    each share (G,) factors at them. One factor for all photos covers too many of the sure ones and too few of the
    doubtful (on the demo's test split, rendered: 75 and 60 %). So each group of photos of like doubt gets its own
    (Mondrian conformal prediction, Vovk et al. 2003), interpolated so that no radius jumps, and one more common factor
    makes the share right for all photos together. The first share's are multiplied by `gain`, that of `session_gain`.
    """
    count = int(np.clip(len(error_m) // GROUP_PHOTOS, 1, MOST_GROUPS))
    parts = np.array_split(np.argsort(raw_m[:, 0], kind="stable"), count)
    at_m = np.array([np.median(raw_m[part, 0]) for part in parts])
    factors = []
    for column, share in enumerate(shares):
        own = np.array([conformal_factor(error_m[part], raw_m[part, column], share) for part in parts])
        radius_m = raw_m[:, column] * np.interp(raw_m[:, 0], at_m, own)
        factors.append(own * conformal_factor(error_m, radius_m, share) * (gain if column == 0 else 1.0))
    return at_m, factors


def heading_factor(heads: Heads, heading_deg: Float) -> float | None:
    """The conformal factor of the heading's own spread for 68 %, or None where there is nothing to compare."""
    known = np.isfinite(heading_deg)
    if heads.heading is None or not known.any():
        return None
    found = heads.heading[known]
    off_deg = angle_between_deg(direction_deg(found), heading_deg[known])
    return conformal_factor(off_deg, raw_spread_deg(found), 0.68)
