"""Which limits a campus's field photos pass: each by as much as it says, and by more than chance allows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from core.campus.manifest import AcceptedErrors, Metrics
from train.grow.checkup import Limits, _alarms, _Photos, _unproven
from train.grow.growth import Growth, growth

COUNT = 1000
MEDIAN_M = 10.0
MEASURED = Metrics(
    n=40, mean_m=12.0, median_m=MEDIAN_M, p90_m=20.0, p95_m=30.0, max_m=40.0,
    within_5m=0.2, within_10m=0.5, within_25m=0.9,
    coverage68=0.70, coverage95=0.96, mean_radius68_m=12.0,
)  # fmt: skip


def some(share: float) -> NDArray[np.bool_]:
    """That share of the photos, the last ones."""
    return np.arange(COUNT) >= COUNT - round(share * COUNT)


def photos(
    *,
    hit68: float = 0.68,
    hit95: float = 0.95,
    refused: float = 0.0,
    unlike: float = 0.1,
    grown: float = 1.0,
    **more: Any,
) -> _Photos:
    """Photos as often within their radii, refused and unlike the campus as is said, `grown` times as far off."""
    told = {"where": {}, "stands": np.arange(COUNT), **more}
    error_m = np.full(COUNT, grown * MEDIAN_M)
    return _Photos(
        hit68=some(hit68), hit95=some(hit95), refused=~some(1 - refused), unlike=some(unlike), error_m=error_m, **told
    )


def grown_of(seen: _Photos, measured: Metrics = MEASURED) -> Growth | None:
    return growth(seen.error_m, seen.refused, measured)


def alarms(seen: _Photos) -> list[tuple[str, str, str]]:
    return [(alarm.by, alarm.name, alarm.what) for alarm in _alarms(seen, Limits(), MEASURED, "before")]


@pytest.mark.parametrize(
    ("within", "beyond", "what"),
    [
        ({"hit68": 0.62}, {"hit68": 0.55}, "68 % radius"),
        ({"hit95": 0.90}, {"hit95": 0.86}, "95 % radius"),
        ({"refused": 0.08}, {"refused": 0.13}, "refused"),
        ({"unlike": 0.22}, {"unlike": 0.28}, "drift"),
        ({"grown": 1.9}, {"grown": 2.1}, "error"),
    ],
)
def test_an_alarm_is_raised_beyond_its_limit_alone(
    within: dict[str, float], beyond: dict[str, float], what: str
) -> None:
    assert alarms(photos(**within)) == []
    assert alarms(photos(**beyond)) == [("all", "all photos", what)]


@pytest.mark.parametrize(
    ("seen", "found"),
    [
        ({"hit68": 0.597}, "the 68 % radius holds 59.7% ("),
        ({"hit68": 0.594}, "the 68 % radius holds 59% ("),
        ({"hit95": 0.876}, "the 95 % radius holds 87.6% ("),
        ({"refused": 0.103}, "10.3% are refused"),
        ({"unlike": 0.253}, "25.3% look unlike"),
        ({"grown": 2.0003}, "2.0003 times what it was before"),
    ],
)
def test_a_figure_beyond_its_limit_is_not_rounded_to_it(seen: dict[str, float], found: str) -> None:
    (alarm,) = _alarms(photos(**seen), Limits(), MEASURED, "before")
    assert found in alarm.message


def test_a_radius_in_doubt_is_said_to_hold_less_than_its_limit() -> None:
    few = photos(hit68=0.597, stands=np.arange(COUNT) % 40)
    assert _alarms(few, Limits(), MEASURED, "before") == ()
    (advice,) = _unproven(few, Limits(), grown_of(few))
    assert "holds 59.7%, below 60%," in advice
    (advice,) = _unproven(few, Limits(coverage68=0.605), grown_of(few))
    assert "holds 60%, below 60.5%," in advice


def test_errors_that_may_have_grown_by_chance_are_not_called_well() -> None:
    few = photos(hit68=1.0, hit95=1.0, stands=np.arange(COUNT) % 7)
    few.error_m[:] = np.where(np.arange(COUNT) % 7 < 4, 2.27 * MEDIAN_M, 0.5 * MEDIAN_M)
    assert _alarms(few, Limits(), MEASURED, "before") == ()
    (advice,) = _unproven(few, Limits(), grown_of(few))
    assert "the median error is 2.3 times what it was, above 2, which 7 standpoints leave to chance" in advice
    (advice,) = _unproven(few, Limits(error_growth=2.5), grown_of(few))
    assert advice == "nothing to do: the radii hold"
    (advice,) = _unproven(few, Limits(), grown_of(few, MEASURED.model_copy(update={"median_m": 0.0})))
    assert "inf times what it was" in advice


@pytest.mark.parametrize(
    ("kept_m", "accepted_m", "refused_m", "passed"),
    [
        (6.0, 13.0, 13.0, "accepted photos"),  # 1.3 times the median of all, whose refused photos are far off
        (6.0, 11.0, 500.0, None),
        (None, 13.0, 500.0, None),
        (None, 21.0, 1.0, "all photos, refused ones included"),
    ],
)
def test_errors_have_grown_beside_those_of_the_same_kind_of_photos(
    kept_m: float | None, accepted_m: float, refused_m: float, passed: str | None
) -> None:
    kept = None if kept_m is None else AcceptedErrors(n=36, mean_m=7.0, median_m=kept_m)
    seen = photos(refused=0.09)
    seen.error_m[:] = np.where(seen.refused, refused_m, accepted_m)
    found = _alarms(seen, Limits(), MEASURED.model_copy(update={"accepted": kept}), "before")
    assert [alarm.what for alarm in found] == ([] if passed is None else ["error"])
    assert all(f"what it was before, both of {passed} (" in alarm.message for alarm in found)


def test_all_photos_are_compared_with_all_where_a_campus_keeps_no_other_figure() -> None:
    """Of the accepted photos half are 19 m off; with the refused ones, as in the campus's own figure, half are 25 m."""
    seen = photos(refused=0.09)
    seen.error_m[:] = np.where(seen.refused, 500.0, np.where(np.arange(COUNT) % 100 < 52, 19.0, 25.0))
    assert np.median(seen.error_m[~seen.refused]) == 19.0
    assert np.median(seen.error_m) == 25.0
    assert alarms(seen) == [("all", "all photos", "error")]


def test_refused_photos_have_no_radius_that_could_fail() -> None:
    assert alarms(photos(hit68=0.58, hit95=0.87, refused=0.09)) == []


def test_photos_of_one_standpoint_are_one_observation() -> None:
    assert alarms(photos(hit68=0.5, stands=np.arange(COUNT) % 8)) == []


def test_the_light_that_is_wrong_is_named_and_the_other_is_not() -> None:
    light = np.where(np.arange(COUNT) < 300, "night", "day")  # whose radii fail first
    assert alarms(photos(hit68=0.75, hit95=1.0, where={"light": light})) == [("light", "night", "68 % radius")]


def test_a_walk_that_alone_would_be_an_alarm_is_none_as_the_unluckiest_of_forty() -> None:
    """Of so many groups of a campus that is well, some are that unlucky by chance."""
    number = np.arange(COUNT)
    walk = number // 25
    hit = np.where(walk == 7, number % 25 < 10, number % 10 < 7)
    for names, found in ((walk.astype(str), []), (np.where(walk == 7, "7", "rest"), [("walk", "7", "68 % radius")])):
        seen = photos(hit95=1.0, unlike=0.0, where={"walk": names})
        seen.hit68[:] = hit
        assert alarms(seen) == found
