"""The second look of a bundle: local features of its gallery, and how far matches are to be trusted.

Everything is fitted by likelihood on photos that the gallery was made without, and left out where it does not pay.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from core.campus.gallery import nearest_neighbours
from core.campus.local_gallery import LocalGallery
from core.campus.manifest import Calibration, SecondLook
from core.campus.parameters import PosteriorParams
from core.engines.heads import Heads
from core.locate.evidence import Evidence
from core.locate.posterior import Posterior
from core.locate.second_look import Doubt, ood_score
from core.locate.threads import one_blas_thread
from core.locate.verification import match_strength
from train.bundle.calibrate import PRIOR_PHOTOS, SHARES, nearest, percentiles, radius_factors

log = logging.getLogger(__name__)

Float = NDArray[np.float64]
Float32 = NDArray[np.float32]
Rows = NDArray[np.int64]  # of the dataset

CANDIDATES = 24  # 12 to 50 give the same metres on the real campus
MATCH_WEIGHT = 2.0  # where the fit starts, and what few calibration photos stay near
# Photos are looked at twice where their first radius is above a limit: the largest one with which mean and median error
# are at most this share above those of all photos looked at twice.
LOOK_COST = 0.002
LEAST_LOOKED_AT = 30  # fewer photos make no radii of their own
SHARPNESS = (1.0, 1.5, 2.0)  # of the map that a fix is read off
# What the best match says of a photo of another place beside the network's own OOD score, each in standard deviations:
# 0.25 to 1 do alike, and 0.5 refused most photos of other places at the same share of own ones (RESULTS.md).
STRENGTH_SHARE = 0.5


@dataclass(frozen=True)
class Asked:
    """B photos, the posterior whose gallery was made without them, and how they match its photos.

    truth_m (B, 2) local metres; `evidence` has weight 1.
    """

    posterior: Posterior
    heads: Heads
    truth_m: Float
    evidence: Evidence

    @classmethod
    def of(
        cls,
        posterior: Posterior,
        heads: Heads,
        truth_m: Float,
        gallery: LocalGallery,
        features: Sequence[Float32],
    ) -> Asked:
        """`gallery` and `features`: local features of the posterior's gallery, and of the photos themselves."""
        assert heads.embedding is not None
        assert posterior.gallery is not None
        rows = nearest_neighbours(heads.embedding, posterior.gallery, CANDIDATES)[0]
        found = [match_strength(one, gallery.at(near)) for one, near in zip(features, rows, strict=True)]
        return cls(posterior, heads, truth_m, Evidence(rows, np.array(found)))

    def with_params(self, params: PosteriorParams) -> Asked:
        first = self.posterior
        return replace(self, posterior=Posterior(first.grid, first.zones, first.gallery, params, first.scale_m))

    def at(self, photos: Rows) -> Asked:
        """Some of the photos."""
        return Asked(self.posterior, self.heads.at(photos), self.truth_m[photos], self.evidence.of(photos))

    def log_likelihood(self, weight: float) -> Float:
        """(B,) nats per square metre at the true positions, with matches weighed."""
        return self.posterior.log_likelihood(self.heads, self.truth_m, self.evidence.scaled(weight))


@dataclass(frozen=True)
class FittedLook:
    """A second look, and what it says of the photos that it was fitted to.

    evidence: for each part that was asked, of each of its photos; None where the first look is not in doubt.
    strength (N,): the best match strength of each photo of all parts.
    """

    look: SecondLook
    evidence: tuple[tuple[Evidence | None, ...], ...]
    strength: Float


def fit_second_look(
    asked: Sequence[Asked], calibration: Calibration, size: tuple[int, int], keypoints: int
) -> FittedLook | None:
    """How matches re-weigh a campus whose first look is fitted; None, with the reason logged, where they do not pay.

    `size` (height, width) of the canvas, and how many keypoints a photo has, are those of the features.
    """
    gain = cross_fitted_gain(asked)
    log.info("second look: %+.2f nats a calibration photo, cross-fitted", gain)
    if gain <= 0:
        log.info("no second look: it does not pay on the calibration photos")
        return None
    params, weight = fit_evidence(asked)
    params = sharpest(asked, params, weight)
    first, second = _errors(asked, calibration, params, weight)
    best = np.concatenate([part.evidence.log_ratio.max(axis=1) for part in asked])
    own = np.concatenate([part.heads.own_ood_score for part in asked])
    look = SecondLook(
        height=size[0],
        width=size[1],
        keypoints=keypoints,
        candidates=CANDIDATES,
        match_weight=weight,
        posterior=params,
        calibration=calibration,  # until the photos that are looked at twice have told their own
        beyond_radius68_m=look_limit_m(first.error_m, second.error_m, first.radius68_m, first.split),
        strength_weight=strength_weight(own, best),
    )
    looked = look.wanted(first.radius68_m, first.split, first.ood_score)
    log.info(
        "second look for %.0f %% of the calibration photos: mean error %.1f -> %.1f m",
        100 * looked.mean(),
        first.error_m.mean(),
        np.where(looked, second.error_m, first.error_m).mean(),
    )
    calibrated = _radii(calibration, second, looked, look.ood_statistic(own, best))
    return FittedLook(look.model_copy(update={"calibration": calibrated}), _evidence(asked, looked, weight), best)


def strength_weight(own: Float, best: Float) -> float:
    """What a match strength counts beside the network's own OOD score: of (N,) own photos, and their best matches."""
    spread = float(own.std())
    return STRENGTH_SHARE * spread / max(float(best.std()), 1e-9) if spread else 1.0


def _evidence(
    asked: Sequence[Asked], looked: NDArray[np.bool_], weight: float
) -> tuple[tuple[Evidence | None, ...], ...]:
    """What matches say of each photo, of those alone that are looked at twice: (N,) over all parts."""
    found, seen = [], 0
    for part in asked:
        weighed, count = part.evidence.scaled(weight), len(part.heads)
        wanted = looked[seen : seen + count]
        found.append(tuple(weighed.of(slice(row, row + 1)) if wanted[row] else None for row in range(count)))
        seen += count
    return tuple(found)


def fit_evidence(asked: Sequence[Asked]) -> tuple[PosteriorParams, float]:
    """The parameters and the match weight under which the true positions are likeliest.

    Only the match weight and the retrieval temperature are fitted: widths and weights fitted along with them suit the
    sessions they were fitted to, and cost 0.3 nats a photo on others of the real campus. A Gaussian prior about the
    first look's temperature and MATCH_WEIGHT, worth PRIOR_PHOTOS photos, keeps few photos from extremes.
    """
    first = asked[0].posterior.params

    def params_at(at: Float) -> tuple[PosteriorParams, float]:
        weight, temperature = np.exp(np.clip(at, -4, 4)).tolist()
        params = replace(first, retrieval_temperature=first.retrieval_temperature * temperature)
        return params, MATCH_WEIGHT * weight

    def cost(at: Float) -> float:
        params, weight = params_at(at)
        likelihood = sum(float(part.with_params(params).log_likelihood(weight).sum()) for part in asked)
        return float(0.5 * PRIOR_PHOTOS * (at**2).mean() - likelihood)

    found = minimize(cost, np.zeros(2), method="Powell", options={"maxiter": 6, "xtol": 2e-2, "ftol": 1e-5})
    return params_at(np.asarray(found.x))


def sharpest(asked: Sequence[Asked], params: PosteriorParams, weight: float) -> PosteriorParams:
    """The same parameters with the sharpness under which the fixes are nearest to the truth.

    The likeliest map is wide for the sake of photos whose best match is wrong: those errors cost nats, not metres.
    """
    error_m: dict[float, list[float]] = {sharpness: [] for sharpness in SHARPNESS}
    with one_blas_thread():
        for part in asked:
            second, evidence = part.with_params(params).posterior, part.evidence.scaled(weight)
            for row, truth in enumerate(part.truth_m):
                probability = second.map(part.heads.one(row), evidence.of(slice(row, row + 1)))
                for sharpness, errors in error_m.items():
                    at_m = replace(probability, sharpness=sharpness).median_m()
                    errors.append(float(np.linalg.norm(at_m - truth)))
    return replace(params, sharpness=nearest({key: np.array(errors) for key, errors in error_m.items()}))


def cross_fitted_gain(asked: Sequence[Asked]) -> float:
    """Nats a photo that matches add on photos they were not fitted to; the first look was fitted to all, in its favour.

    Held-out groups take turns in two halves; a single group is halved in the dataset's order.
    """
    if len(asked) == 1:
        halves = [[asked[0].at(half)] for half in np.array_split(np.arange(len(asked[0].heads)), 2)]
    else:
        halves = [list(asked[0::2]), list(asked[1::2])]
    gain, photos = 0.0, 0
    for fitted_on, judged in (halves, halves[::-1]):
        params, weight = fit_evidence(fitted_on)
        for part in judged:
            second = part.with_params(params).log_likelihood(weight)
            gain += float((second - part.posterior.log_likelihood(part.heads, part.truth_m)).sum())
            photos += len(second)
    return gain / photos


@dataclass(frozen=True)
class _Errors:
    """What one look makes of all asked photos; metres (N,), raw_m (N, 2) the map's own radii for SHARES."""

    error_m: Float
    radius68_m: Float
    raw_m: Float
    split: NDArray[np.bool_]
    ood_score: Float


def _errors(
    asked: Sequence[Asked], calibration: Calibration, params: PosteriorParams, weight: float
) -> tuple[_Errors, _Errors]:
    """Both looks at the same photos."""
    found: tuple[list[tuple[float, ...]], list[tuple[float, ...]]] = ([], [])
    for part in asked:
        second, evidence = part.with_params(params).posterior, part.evidence.scaled(weight)
        for row, truth in enumerate(part.truth_m):
            one = part.heads.one(row)
            ood = ood_score(calibration, float(one.own_ood_score[0]))
            maps = (part.posterior.map(one), second.map(one, evidence.of(slice(row, row + 1))))
            for into, probability in zip(found, maps, strict=True):
                doubt, at_m = Doubt.of(probability, calibration), probability.median_m()
                error_m = float(np.linalg.norm(at_m - truth))
                into.append((error_m, doubt.radius68_m, *probability.radii_m(at_m, SHARES), float(doubt.split), ood))
    first, again = (np.array(rows) for rows in found)
    return tuple(_Errors(t[:, 0], t[:, 1], t[:, 2:4], t[:, 4] > 0, t[:, 5]) for t in (first, again))  # type: ignore[return-value]


def _radii(first: Calibration, second: _Errors, looked: NDArray[np.bool_], statistic: Float) -> Calibration:
    """The calibration of photos that were looked at twice."""
    chosen = looked if looked.sum() >= LEAST_LOOKED_AT else np.ones_like(looked)
    radius_at_m, (factors68, factors95) = radius_factors(
        second.error_m[chosen], second.raw_m[chosen], SHARES, first.session_gain
    )
    return first.model_copy(
        update={
            "photos": int(chosen.sum()),
            "radius_at_m": tuple(radius_at_m.tolist()),
            "radius68_factors": tuple(factors68.tolist()),
            "radius95_factors": tuple(factors95.tolist()),
            "ood_quantiles": percentiles(statistic),
        }
    )


def look_limit_m(first_m: Float, second_m: Float, radius68_m: Float, split: NDArray[np.bool_]) -> float:
    """The largest first radius, in metres, below which a second look is not worth its time.

    first_m, second_m (N,) errors of both looks; radius68_m (N,) of the first, and whether it was split.
    """
    limits = [0.0, *np.quantile(radius68_m, np.linspace(0, 0.9, 19)).tolist()]
    errors = [np.where((radius68_m > limit) | split, second_m, first_m) for limit in limits]
    worse = [
        max(error.mean() / second_m.mean(), np.median(error) / np.median(second_m)) > 1 + LOOK_COST for error in errors
    ]
    return float(max(limit for limit, lost in zip(limits, worse, strict=True) if limit == 0 or not lost))
