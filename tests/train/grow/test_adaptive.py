from __future__ import annotations

import numpy as np
import pytest

from train.grow.adaptive import STEP, adapted_factor, stops


def test_of_no_photo_there_is_no_curve() -> None:
    assert adapted_factor(np.empty(0), np.empty(0), 0.68).shape == (0,)
    assert stops(np.empty((0, 2)), np.empty(0), np.empty(0, str)).shape == (0,)


def test_a_miss_widens_and_a_hit_narrows_by_hand() -> None:
    factor = adapted_factor(np.array([3.0, 0.5]), np.array([1.0, 1.0]), 0.75, step=0.1)
    assert factor == pytest.approx([np.exp(0.075), np.exp(0.075 - 0.025)])


@pytest.mark.parametrize("share", [0.68, 0.95])
def test_it_finds_the_factor_that_holds_the_share_and_follows_when_it_changes(share: float) -> None:
    rng = np.random.default_rng(0)
    error_m = np.abs(rng.normal(0, 1, 4000)) * np.where(np.arange(4000) < 2000, 1.0, 3.0)
    factor = adapted_factor(error_m, np.ones(4000), share)
    exact = np.quantile(np.abs(rng.normal(0, 1, 100_000)), share)
    assert np.median(factor[1000:2000]) == pytest.approx(exact, rel=0.12)
    assert np.median(factor[3000:]) == pytest.approx(3 * exact, rel=0.12)


def test_in_the_long_run_the_share_of_hits_is_right_whatever_comes() -> None:
    error_m = np.exp(np.sin(np.arange(5000) / 300) * 2)
    factor = np.concatenate([[1.0], adapted_factor(error_m, np.ones(5000), 0.68)[:-1]])
    assert (error_m <= factor).mean() == pytest.approx(0.68, abs=4 / (STEP * 5000))


def test_standpoints_end_where_one_walks_on_or_the_walk_ends() -> None:
    at_m = np.array([[0, 0], [3, 0], [30, 0], [31, 0], [0, 0], [0, 0]], float)
    walk = np.array(["a", "a", "a", "a", "a", "b"])
    assert stops(at_m, np.arange(6.0), walk).tolist() == [0, 0, 1, 1, 2, 3]
    shuffled = np.array([5, 2, 0, 4, 1, 3])
    again = stops(at_m[shuffled], np.arange(6.0)[shuffled], walk[shuffled])
    assert again.tolist() == [3, 1, 0, 2, 0, 1]
