"""Rounding puts no figure on its limit, or across it."""

from __future__ import annotations

import pytest

from train.grow.figures import beside, exact, percent_beside


@pytest.mark.parametrize(
    ("figure", "limit", "told"),
    [
        (59.7, 60, "59.7"),
        (59.4, 60, "59"),
        (60.0, 60, "60"),
        (60.2, 60, "60.2"),
        (59.999, 60, "59.999"),
        (59.6, 59.5, "60"),
        (60.4, 60.2, "60.4"),  # 60 would be below it
        (60.0 - 1e-12, 60, "60"),
    ],
)
def test_a_figure_has_the_digits_that_keep_it_on_its_side(figure: float, limit: float, told: str) -> None:
    assert beside(figure, limit) == told


def test_shares_compare_with_a_limit_that_binary_fractions_miss() -> None:
    assert 100 * 0.57 != 57
    assert percent_beside(0.5704, 0.57) == "57.04%"
    assert percent_beside(0.57, 0.57) == "57%"
    assert beside(2.04, 2.0, 1) == "2.04"
    assert beside(2.14, 2.0, 1) == "2.1"


def test_a_limit_is_told_as_it_was_given() -> None:
    assert [exact(limit) for limit in (60.0, 100 * 0.57, 88.5, 2.0, 2.25)] == ["60", "57", "88.5", "2", "2.25"]
