from __future__ import annotations

import numpy as np
import pytest

from core.campus.gallery import Gallery
from core.campus.grid import Grid
from core.campus.parameters import PosteriorParams
from core.campus.zones import Zones
from core.engines.heads import Heads
from core.locate.heading import angle_between_deg, direction_deg, raw_spread_deg
from core.locate.mixture import LEAST_WIDTH_M
from core.locate.posterior import Posterior
from train.bundle.calibrate import (
    LEAST_GAIN,
    SHARES,
    calibrate,
    fit_posterior,
    heading_factor,
    radius_factors,
    session_gain,
)
from train.bundle.held_out import Ground, HeldOut

GRID = Grid(-150.0, -150.0, 3.0, 100, 100)
GROUND = Ground(GRID, Zones(()), 100.0)


def campus(photos: int, regression_sd_m: float, retrieval_right: float, seed: int) -> tuple[Heads, np.ndarray, Gallery]:
    """Photos whose regression is off by a normal error and whose nearest gallery photo is right that often."""
    rng = np.random.default_rng(seed)
    places = rng.uniform(-100, 100, (60, 2))
    truth = places[rng.integers(0, 60, photos)]
    gallery = Gallery(np.eye(60, dtype=np.float32), places.astype(np.float32))
    seen = np.where(rng.random(photos) < retrieval_right, 0, rng.integers(1, 60, photos))
    index = (np.array([np.flatnonzero((places == t).all(axis=1))[0] for t in truth]) + seen) % 60
    heads = Heads(
        ((truth + rng.normal(0, regression_sd_m, (photos, 2))) / 100).astype(np.float32),
        embedding=gallery.embedding[index],
    )
    return heads, truth, gallery


def test_the_component_that_is_right_gets_the_weight() -> None:
    def fitted(regression_sd_m: float, retrieval_right: float) -> PosteriorParams:
        heads, truth, gallery = campus(150, regression_sd_m, retrieval_right, 0)
        return fit_posterior([HeldOut(heads, truth, gallery)], GROUND)

    sharp_retrieval, sharp_regression = fitted(40.0, 1.0), fitted(3.0, 0.02)
    assert sharp_retrieval.retrieval_weight > 2 * sharp_retrieval.regression_weight
    assert sharp_regression.regression_weight > 2 * sharp_regression.retrieval_weight
    assert sharp_regression.regression_width_m < 10


def test_photos_that_share_coordinates_do_not_make_a_kernel_of_no_width() -> None:
    heads, truth, gallery = campus(150, 15.0, 0.8, 4)
    fitted = fit_posterior([HeldOut(heads, truth, gallery)], GROUND)
    likelihood = Posterior(GRID, Zones(()), gallery, fitted, 100).log_likelihood(heads, truth)
    assert likelihood.max() <= -np.log(2 * np.pi * LEAST_WIDTH_M**2) + 1e-6
    assert fitted.regression_weight > 0.05  # the photos that retrieval gets wrong still have a say


def test_fitted_parameters_are_likelier_than_the_defaults_on_new_photos() -> None:
    heads, truth, gallery = campus(200, 15.0, 0.5, 2)
    fitted = fit_posterior([HeldOut(heads, truth, gallery)], GROUND)
    new_heads, new_truth, new_gallery = campus(200, 15.0, 0.5, 2)

    def likelihood(params: PosteriorParams) -> float:
        return float(Posterior(GRID, Zones(()), new_gallery, params, 100).log_likelihood(new_heads, new_truth).mean())

    assert likelihood(fitted) > likelihood(PosteriorParams()) + 0.1
    weights = (fitted.regression_weight, fitted.zone_weight, fitted.retrieval_weight, fitted.floor_weight)
    assert sum(weights) == pytest.approx(1)


def test_calibrated_radii_cover_new_photos_as_promised() -> None:
    heads, truth, gallery = campus(1600, 15.0, 0.6, 3)
    posterior = Posterior(GRID, Zones(()), gallery, PosteriorParams(), 100)
    assert heads.embedding is not None
    first = Heads(heads.offset[:800], embedding=heads.embedding[:800])
    calibration = calibrate([HeldOut(first, truth[:800], gallery)], GROUND, PosteriorParams(), np.full(800, np.nan))
    covered = {0.68: 0, 0.95: 0}
    for index in range(800, 1600):
        probability = posterior.map(heads.one(index))
        at_m = probability.median_m()
        error = np.linalg.norm(at_m - truth[index])
        for share, radius in zip(covered, calibration.radii_m(probability.radii_m(at_m, SHARES)), strict=True):
            covered[share] += int(error <= radius)
    assert covered[0.68] / 800 == pytest.approx(0.68, abs=0.05)
    assert covered[0.95] / 800 == pytest.approx(0.95, abs=0.025)
    assert calibration.ood_quantiles == ()
    assert calibration.photos == 800


def test_what_one_more_session_brings_is_read_off_what_one_less_costs() -> None:
    """Five sessions answered by four of them and by three: each time fewer photos find their place."""

    def parts(retrieval_right: float, count: int) -> list[HeldOut]:
        made = (campus(120, 15.0, retrieval_right, seed) for seed in range(count))
        return [HeldOut(heads, truth, gallery) for heads, truth, gallery in made]

    by_four, by_three = parts(0.68, 5), parts(0.6, 20)
    gain = session_gain(by_four, by_three, GROUND, PosteriorParams())
    assert LEAST_GAIN < gain < 0.97
    assert session_gain(by_four, [], GROUND, PosteriorParams()) == 1.0
    assert session_gain(by_four, parts(0.9, 20), GROUND, PosteriorParams()) == 1.0  # nothing gets wider by it
    headings = np.full(600, np.nan)
    plain, gained = (calibrate(by_four, GROUND, PosteriorParams(), headings, by) for by in (1.0, gain))
    assert np.array(gained.radius68_factors) == pytest.approx(gain * np.array(plain.radius68_factors))
    assert gained.radius95_factors == plain.radius95_factors
    assert (gained.session_gain, plain.session_gain) == (gain, 1.0)


def test_the_heading_spread_holds_new_photos_as_promised() -> None:
    rng = np.random.default_rng(5)
    heading_deg = rng.uniform(0, 360, 900)
    concentration = rng.choice([2.0, 30.0], 900)
    seen = np.radians(heading_deg + np.degrees(rng.vonmises(0, concentration)))
    # the network believes itself to be surer than it is
    heading = (np.stack([np.sin(seen), np.cos(seen)], axis=1) * (3 * concentration)[:, None]).astype(np.float32)
    factor = heading_factor(Heads(np.zeros((300, 2), np.float32), heading=heading[:300]), heading_deg[:300])
    assert factor is not None
    off = angle_between_deg(direction_deg(heading[300:]), heading_deg[300:])
    assert (off <= factor * raw_spread_deg(heading[300:])).mean() == pytest.approx(0.68, abs=0.05)


def test_without_a_heading_to_compare_with_there_is_no_factor() -> None:
    heads = Heads(np.zeros((2, 2), np.float32), heading=np.ones((2, 2), np.float32))
    assert heading_factor(heads, np.full(2, np.nan)) is None
    assert heading_factor(Heads(np.zeros((2, 2), np.float32)), np.zeros(2)) is None


def test_the_radius_holds_for_sure_and_for_doubtful_photos_alike() -> None:
    rng = np.random.default_rng(8)
    raw68 = np.exp(rng.uniform(1, 4, 4000))
    raw_m = np.stack([raw68, 2 * raw68], axis=1)
    error_m = rng.rayleigh(raw68**1.3 / 3)  # the map is too modest when sure, and too bold when in doubt
    at_m, factors = radius_factors(error_m[:2000], raw_m[:2000], SHARES)
    assert len(at_m) == 4
    quarter = np.argsort(np.argsort(raw68[2000:])) * 4 // 2000
    for column, share in enumerate(SHARES):
        one = np.quantile(error_m[:2000] / raw_m[:2000, column], share)
        radius = raw_m[2000:, column] * np.interp(raw68[2000:], at_m, factors[column])
        held = error_m[2000:] <= radius
        plain = error_m[2000:] <= raw_m[2000:, column] * one
        assert held.mean() == pytest.approx(share, abs=0.03)
        assert all(held[quarter == q].mean() == pytest.approx(share, abs=0.07) for q in range(4))
        assert max(abs(plain[quarter == q].mean() - share) for q in range(4)) > 0.1 * (1 - share) / 0.32


def test_few_calibration_photos_get_one_factor_for_all() -> None:
    at_m, (factors,) = radius_factors(np.arange(1.0, 41), np.full((40, 1), 10.0), (0.68,))
    assert len(at_m) == 1
    assert factors == pytest.approx([2.8])  # the 28th of 40
