from __future__ import annotations

import numpy as np
import pytest

from core.errors import DatasetError
from train.evaluate.coverage import (
    LEVELS,
    calibration_curve,
    groups,
    misleading,
    proportion,
    radius_quarters,
    risk_coverage,
)


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [
        (0, 10, 0.0, 1 - 0.025 ** (1 / 10)),
        (10, 10, 0.025 ** (1 / 10), 1.0),
        (5, 10, 0.187086, 0.812914),  # Clopper and Pearson's own table, to six places
    ],
)
def test_intervals_of_known_cases(hits: int, n: int, low: float, high: float) -> None:
    found = proportion(np.arange(n) < hits)
    assert (found.hits, found.n, found.share) == (hits, n, hits / n)
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-6)


def test_a_share_of_nothing() -> None:
    with pytest.raises(DatasetError, match="no photos"):
        proportion(np.zeros(0, bool))


def test_groups_of_a_hand_computed_case() -> None:
    names = np.array(["b", "a", "", "b", "c", "a", "d"])
    error = np.array([1.0, 2.0, 99.0, 3.0, 4.0, 8.0, 6.0])
    found = groups("device", names, error, np.full(7, 2.5), np.full(7, 5.0), least=2)
    assert [(group.name, group.n) for group in found] == [("a", 2), ("b", 2), ("2 with fewer than 2 photos", 2)]
    a, b, small = found
    assert (a.by, a.median_m, a.mean_m, a.mean_radius68_m) == ("device", 5.0, 5.0, 2.5)
    assert (a.coverage68.hits, a.coverage95.hits) == (1, 1)
    assert (b.coverage68.hits, b.coverage95.hits) == (1, 2)
    assert (small.mean_m, small.coverage68.hits, small.coverage95.hits) == (5.0, 0, 1)


def test_a_single_group_would_only_repeat_the_whole() -> None:
    one = np.ones(12)
    assert groups("device", np.array(["phone"] * 12), one, one, one) == ()
    assert groups("device", np.array([""] * 12), one, one, one) == ()
    assert groups("session", np.arange(12).astype(str), one, one, one) == ()  # twelve sessions of one photo


def test_one_small_group_keeps_its_name() -> None:
    names = np.array(["day"] * 10 + ["night"] * 3)
    assert [group.name for group in groups("light", names, *np.ones((3, 13)))] == ["day", "night"]


def test_quarters_of_the_radius_hold_equal_radii_together() -> None:
    names = radius_quarters(np.array([40.0, 10.0, 20.0, 30.0, 5.0, 15.0, 25.0, 35.0]))
    assert names.tolist() == [
        "Q4: 35 to 40 m", "Q1: 5 to 10 m", "Q2: 15 to 20 m", "Q3: 25 to 30 m",
        "Q1: 5 to 10 m", "Q2: 15 to 20 m", "Q3: 25 to 30 m", "Q4: 35 to 40 m",
    ]  # fmt: skip
    assert set(radius_quarters(np.full(9, 7.0)).tolist()) == {"Q1: 7 to 7 m"}


def test_the_calibration_curve_of_a_hand_computed_case() -> None:
    error = np.arange(1.0, 21.0)  # 20 photos: 5 % of them is one
    exact = np.tile(np.arange(1.0, 20.0), (20, 1))
    curve = calibration_curve(error, exact)
    assert curve.nominal == LEVELS == tuple(c.share for c in curve.covered)
    assert curve.mean_gap == pytest.approx(0)
    assert calibration_curve(error, exact - 1).mean_gap == pytest.approx(0.05)


def test_a_clear_answer_misleads_beyond_three_radii() -> None:
    error, radius, clear = np.array([31.0, 29.0, 31.0, 1.0]), np.full(4, 10.0), np.array([True, True, False, True])
    assert misleading(error, radius, clear).tolist() == [True, False, False, False]


def test_the_risk_of_the_surest_in_a_hand_computed_case() -> None:
    error, doubt = np.array([8.0, 2.0, 5.0, 1.0]), np.array([3.0, 1.0, 2.0, 1.0])
    assert risk_coverage(error, doubt).tolist() == [1.5, 1.5, 8 / 3, 4.0]  # photos of equal doubt count as their mean
    assert risk_coverage(error, error).tolist() == [1.0, 1.5, 8 / 3, 4.0]
    assert risk_coverage(np.empty(0), np.empty(0)).tolist() == []
