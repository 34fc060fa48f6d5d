"""Which positions look wrong: made campuses with known mistakes, and the real ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from core.campus.frame import LocalFrame
from core.io.labels import read_labels
from train.dataset.outliers import (
    MIN_PHOTOS,
    find_outliers,
    shared_positions,
    sites,
    sphere_points,
)

FRAME = LocalFrame.about(31.262, 34.803)


def campus(count: int = 120, width_m: float = 300, height_m: float = 200, seed: int = 0) -> NDArray[np.float64]:
    """(N, 2) metres of photos strewn over a rectangle."""
    return np.random.default_rng(seed).uniform((0, 0), (width_m, height_m), (count, 2))


def degrees(local_m: NDArray[np.float64], frame: LocalFrame = FRAME) -> NDArray[np.float64]:
    return frame.to_latlon(local_m)


@pytest.mark.parametrize("count", [0, 1, 2, MIN_PHOTOS - 1])
def test_too_few_photos_accuse_nobody(count: int) -> None:
    far = campus(count) * 1000
    assert find_outliers(degrees(far).reshape(-1, 2)) == []
    assert sites(degrees(far).reshape(-1, 2)) == []


def test_a_campus_has_no_outliers() -> None:
    for scale in (0.01, 1, 10):
        latlon = degrees(campus() * scale)
        assert find_outliers(latlon) == []
        assert [len(rows) for rows in sites(latlon)] == [120]


@pytest.mark.parametrize("frame", [FRAME, LocalFrame.about(-0.0005, 10), LocalFrame.about(-17, 179.9995)])
def test_far_photos_are_certain_wherever_the_campus_lies(frame: LocalFrame) -> None:
    local_m = campus()
    local_m[7] = (20_000, 20_000)
    local_m[50] = (-900, 100)
    found = find_outliers(degrees(local_m, frame))
    assert [(outlier.row, outlier.certain) for outlier in found] == [(7, True), (50, True)]
    assert "km" in found[0].reason
    assert "m from the nearest photo" in found[1].reason


def test_swapped_and_unsigned_coordinates_are_certain() -> None:
    latlon = degrees(campus())
    latlon[3] = latlon[3][::-1]
    latlon[4] = -latlon[4]
    assert [outlier.row for outlier in find_outliers(latlon) if outlier.certain] == [3, 4]


def test_a_little_way_off_is_only_doubtful() -> None:
    local_m = campus()
    local_m[9] = (300 + 230, 100)
    found = find_outliers(degrees(local_m))
    assert [(outlier.row, outlier.certain) for outlier in found] == [(9, False)]


def test_a_second_site_is_kept_and_a_pair_astray_is_not() -> None:
    local_m = campus()
    local_m[:30, 0] += 5000
    local_m[40:42] = (-9000, 9000)
    latlon = degrees(local_m)
    assert [outlier.row for outlier in find_outliers(latlon)] == [40, 41]
    assert [len(rows) for rows in sites(latlon)] == [88, 30]


def test_photos_all_over_the_world_are_no_campus() -> None:
    rng = np.random.default_rng(0)
    latlon = np.column_stack([rng.uniform(-70, 70, 60), rng.uniform(-180, 180, 60)])
    latlon[:6] = degrees(campus(6))
    assert find_outliers(latlon) == []


def test_the_contributor_is_named_as_evidence() -> None:
    local_m = campus()
    local_m[9] = (5000, 0)
    who = ["ann" if row in (8, 9, 10) else "" for row in range(len(local_m))]
    (outlier,) = find_outliers(degrees(local_m), contributors=who)
    assert "same contributor" in outlier.reason
    (stranger,) = find_outliers(degrees(local_m), contributors=[""] * len(local_m))
    assert "contributor" not in stranger.reason


def walk(steps: int = 40) -> NDArray[np.float64]:
    """(N, 2) metres: up and down a campus at 10 m a photo."""
    east = np.arange(steps) * 10.0
    return np.column_stack([east, np.zeros(steps)])


@pytest.mark.parametrize("row", [0, 1, 20, 39])
def test_a_jump_in_a_timed_walk_is_doubtful(row: int) -> None:
    local_m = walk()
    local_m[row, 1] += 180
    order = np.random.default_rng(1).permutation(40)  # the rows need not be in order of time
    found = find_outliers(degrees(local_m[order]), time_s=1e9 + 8.0 * np.arange(40)[order], sequences=["walk"] * 40)
    assert [(order[outlier.row], outlier.certain) for outlier in found] == [(row, False)]
    assert "sequence" in found[0].reason


def test_a_step_faster_than_anyone_runs_is_doubtful() -> None:
    local_m = walk()
    local_m[20, 1] += 110  # 8 s later, of which 50 m may be both positions' error
    seconds = 8.0 * np.arange(40)
    assert [s.row for s in find_outliers(degrees(local_m), time_s=seconds, sequences=["walk"] * 40)] == [20]
    local_m[20, 1] -= 30
    assert find_outliers(degrees(local_m), time_s=seconds, sequences=["walk"] * 40) == []


def test_a_position_that_stays_the_same_for_longer_than_a_standpoint_takes_is_doubtful() -> None:
    local_m = walk()
    local_m[10:20] = local_m[10]
    order = np.random.default_rng(1).permutation(40)
    latlon, walked = degrees(local_m[order]), ["walk"] * 40
    found = find_outliers(latlon, time_s=8.0 * np.arange(40)[order], sequences=walked)
    assert sorted(order[outlier.row] for outlier in found) == list(range(10, 20))
    assert {(outlier.certain, outlier.reason) for outlier in found} == {
        (False, "the phone's position did not change for 72 s")
    }
    assert find_outliers(latlon, time_s=4.0 * np.arange(40)[order], sequences=walked) == []
    assert find_outliers(latlon, sequences=walked) == []  # no times, no telling


def test_a_pause_or_a_slow_walk_is_no_jump() -> None:
    local_m = walk()
    local_m[20, 1] += 180
    far_apart = 3600.0 * np.arange(40)
    assert find_outliers(degrees(local_m), time_s=far_apart, sequences=["walk"] * 40) == []
    quick = 8.0 * np.arange(40)
    assert find_outliers(degrees(local_m), time_s=quick, sequences=[""] * 40) == []
    apart = [str(row) for row in range(40)]
    assert find_outliers(degrees(local_m), time_s=quick, sequences=apart) == []


def test_a_spike_in_a_walk_ordered_by_name_is_doubtful() -> None:
    local_m = walk()
    local_m[20, 1] += 180
    assert [s.row for s in find_outliers(degrees(local_m), sequences=["walk"] * 40)] == [20]
    local_m[20:, 1] += 180  # everything from there on lies there: someone crossed the campus
    local_m[20, 1] -= 180
    assert find_outliers(degrees(local_m), sequences=["walk"] * 40) == []


def test_a_photo_of_poor_accuracy_is_doubtful() -> None:
    error_m = np.full(120, 5.0)
    error_m[3], error_m[4] = 80.0, np.nan
    (outlier,) = find_outliers(degrees(campus()), error_m=error_m)
    assert (outlier.row, outlier.certain) == (3, False)
    assert "80 m" in outlier.reason


def test_one_outlier_for_each_row_with_every_reason() -> None:
    local_m = campus()
    local_m[3] = (5000, 0)
    error_m = np.full(120, 5.0)
    error_m[3] = 80.0
    (outlier,) = find_outliers(degrees(local_m), error_m=error_m)
    assert outlier.certain
    assert "80 m" in outlier.reason
    assert "nearest photo" in outlier.reason


@pytest.mark.parametrize(
    ("latlon", "groups"),
    [
        (np.zeros((0, 2)), []),
        ([[1.0, 2.0]], []),
        ([[1.0, 2.0], [1.0, 2.0], [1.0, 3.0]], [[0, 1]]),
        ([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0], [3.0, 4.0], [1.0, 2.0]], [[0, 2, 4], [1, 3]]),
    ],
)
def test_shared_positions(latlon: NDArray[np.float64], groups: list[list[int]]) -> None:
    assert shared_positions(latlon) == groups


def test_sphere_points_measure_metres() -> None:
    points = sphere_points([[0.0, 179.9995], [0.0, -179.9995]])
    assert np.linalg.norm(points[0] - points[1]) == pytest.approx(111.19, abs=0.01)


def test_many_photos_take_little_time_and_memory() -> None:
    latlon = degrees(campus(50_000, 800, 500))
    latlon[123] = (31.5, 34.803)
    assert [outlier.row for outlier in find_outliers(latlon)] == [123]


def test_iiith_labels_that_are_plainly_wrong(campus_data: Path) -> None:
    table = read_labels(campus_data / "iiith" / "gt.csv")
    who = table["contributor"].tolist()
    found = find_outliers(table[["lat", "lon"]].to_numpy(), sequences=who, contributors=who)
    truly = set(np.flatnonzero(table["outlier"] == "1").tolist())
    assert {outlier.row for outlier in found if outlier.certain} == truly
    assert len(found) - len(truly) <= 2


def test_bgu_has_nothing_to_throw_out(campus_data: Path) -> None:
    table = read_labels(campus_data / "bgu-positions" / "gt.csv")
    latlon = table[["lat", "lon"]].to_numpy()
    assert len(latlon) == 3647
    assert find_outliers(latlon) == []
    assert sum(map(len, shared_positions(latlon))) > 1800
