from __future__ import annotations

import numpy as np
import pytest

from core.errors import DatasetError
from train.evaluate.metrics import conformal_factor, enough_for, summarise


def test_a_hand_computed_case() -> None:
    error = np.array([1.0, 4.0, 8.0, 20.0])
    metrics = summarise(error, np.array([2.0, 2, 10, 10]), np.array([5.0, 5, 20, 15]), {"zone": error * 2})
    assert (metrics.n, metrics.mean_m, metrics.median_m, metrics.max_m) == (4, 8.25, 6.0, 20.0)
    assert (metrics.within_5m, metrics.within_10m, metrics.within_25m) == (0.5, 0.75, 1.0)
    assert (metrics.coverage68, metrics.coverage95, metrics.mean_radius68_m) == (0.5, 0.75, 6.0)
    assert metrics.p90_m == pytest.approx(16.4)
    assert metrics.p95_m == pytest.approx(18.2)
    assert metrics.baselines == {"zone": {"mean_m": 16.5, "median_m": 12.0}}


def test_refused_photos_count_in_all_figures_but_those_of_accepted_ones() -> None:
    error = np.array([1.0, 4.0, 9.0, 200.0])
    metrics = summarise(error, error, error, {}, np.array([False, False, False, True]))
    assert (metrics.n, metrics.mean_m, metrics.median_m) == (4, 53.5, 6.5)
    assert metrics.accepted is not None
    assert metrics.accepted.model_dump() == {"n": 3, "mean_m": pytest.approx(14 / 3), "median_m": 4.0}
    assert summarise(error, error, error, {}).accepted is None
    assert summarise(error, error, error, {}, np.ones(4, np.bool_)).accepted is None


def test_nothing_to_evaluate() -> None:
    with pytest.raises(DatasetError, match="no photo"):
        summarise(np.zeros(0), np.zeros(0), np.zeros(0), {})


def test_the_conformal_factor_of_a_hand_computed_case() -> None:
    # scores 1..9: the ceil(10 * 0.68) = 7th smallest is 7
    assert conformal_factor(np.arange(1.0, 10.0), np.ones(9), 0.68) == 7.0
    assert conformal_factor(np.arange(1.0, 10.0), np.full(9, 2.0), 0.68) == 3.5


def test_too_few_photos_widen_the_largest_score_and_promise_nothing() -> None:
    assert [enough_for(0.95, photos) for photos in (13, 18, 19)] == [False, False, True]
    scores = np.arange(1.0, 14.0)
    # Of a plane's Gaussian 13 of 14 lie within sqrt(2 ln 14) and 95 % within sqrt(2 ln 20).
    assert conformal_factor(scores, np.ones(13), 0.95) == pytest.approx(13 * np.sqrt(np.log(20) / np.log(14)))
    assert conformal_factor(np.arange(1.0, 20.0), np.ones(19), 0.95) == 19.0


def test_no_calibration_photo() -> None:
    with pytest.raises(DatasetError, match="no calibration photo"):
        conformal_factor(np.zeros(0), np.zeros(0), 0.68)


@pytest.mark.parametrize("share", [0.68, 0.95])
def test_new_photos_are_covered_as_often_as_promised_whatever_the_spread(share: float) -> None:
    rng = np.random.default_rng(0)
    spread = rng.uniform(1, 30, 6000)
    error = np.abs(rng.standard_t(3, 6000)) * spread
    factor = conformal_factor(error[:3000], spread[:3000], share)
    assert (error[3000:] <= factor * spread[3000:]).mean() == pytest.approx(share, abs=0.03)
