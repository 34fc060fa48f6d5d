"""A walk through a bundle: photos in the order of time."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest

from core.campus.bundle import Bundle
from core.campus.frame import distance_m
from core.campus.fusion_parameters import Fusion, RadiusFactors
from core.errors import CampusError, PhotoError, TimeReversed
from core.locate.localizer import Localizer
from core.photo.capture import Capture
from tests.bundles import make_bundle, off_m, photo


def test_a_walk_has_a_course_a_speed_and_a_smaller_circle(localizer: Localizer) -> None:
    walk = localizer.walk()
    assert (walk.course_deg, walk.speed_m_s) == (None, None)
    fixes = [walk.add(photo(east_m=-60 + 1.4 * s, view=s + 1), float(s)) for s in range(0, 60, 3)]
    assert [fix.photos for fix in fixes] == list(range(1, 21))
    assert fixes[-1].radius68_m < localizer.locate(photo()).radius68_m
    assert walk.course_deg == pytest.approx(90, abs=25)
    assert walk.speed_m_s == pytest.approx(1.4, abs=0.7)
    assert (fixes[-1].course_deg, fixes[-1].speed_m_s) == (walk.course_deg, walk.speed_m_s)


def test_a_course_is_from_true_north(tmp_path: Path) -> None:
    """The same walk on two campuses, whose grids' norths differ from true north."""
    norths, courses = [], []
    for lat, lon in ((47.0, 8.4), (68.0, 12.1)):
        localizer = Localizer.load(make_bundle(tmp_path / f"{lat:.0f}", lat=lat, lon=lon))
        walk = localizer.walk()
        for s in range(0, 30, 3):
            walk.add(photo(east_m=-60 + 1.4 * s, view=s + 1), float(s))
        norths.append(localizer.bundle.manifest.frame.convergence_deg)
        courses.append(walk.course_deg)
    assert norths == pytest.approx([-0.44, -2.69], abs=0.01)
    assert np.diff(np.array(courses, np.float64)) == pytest.approx(np.diff(norths), abs=1e-6)


def test_a_smoothed_walk_is_as_long_and_nearer(localizer: Localizer) -> None:
    walk, rng = localizer.walk(), np.random.default_rng(0)
    truth = [(-60 + 1.4 * s, 0.0) for s in range(0, 80, 2)]
    fixes = [
        walk.add(photo(east_m=east + rng.normal(0, 12), north_m=rng.normal(0, 12), view=i + 1), 2.0 * i)
        for i, (east, _) in enumerate(truth)
    ]
    smoothed = walk.smoothed()
    assert len(smoothed) == len(fixes) == 40  # more than one segment
    before, after = (
        np.mean([off_m(fix, *place) for fix, place in zip(found, truth, strict=True)]) for found in (fixes, smoothed)
    )
    assert after < before
    assert walk.add(photo(view=99), 1e4).photos == 41  # smoothing does not end a walk


def test_a_long_walk_keeps_its_last_photos(localizer: Localizer) -> None:
    walk = localizer.walk(keep=40)
    for second in range(130):
        walk.add(photo(view=second % 7 + 1), float(second))
    assert 40 <= len(walk.smoothed()) <= 96
    assert not localizer.walk().smoothed()
    forgetful = localizer.walk(keep=0)
    forgetful.add(photo(), 0.0)
    assert forgetful.smoothed() == []


def test_a_photo_s_own_time_counts_and_time_never_runs_backwards(localizer: Localizer) -> None:
    walk = localizer.walk()
    walk.add(photo(view=1), datetime(2026, 3, 1, 10, 0, 5, tzinfo=timezone.utc))
    with pytest.raises(TimeReversed):
        walk.add(photo(view=2), datetime(2026, 3, 1, 10, 0, 4))  # a naive time is UTC
    walk.add(photo(view=3))  # has no time of its own: now


def test_a_walk_may_restart_where_time_runs_backwards(localizer: Localizer) -> None:
    walk, fresh = localizer.walk(), localizer.walk()
    readings = [localizer.read(photo(east_m=-50 + 20 * view, view=view)) for view in range(1, 5)]
    assert [walk.add_or_restart(readings[i], t).photos for i, t in enumerate((10.0, 12.0, 3.0))] == [1, 2, 1]
    assert len(walk.smoothed()) == 1
    fresh.add_reading(readings[2], 3.0)
    one, other = walk.add_or_restart(readings[3], 5.0), fresh.add_reading(readings[3], 5.0)
    assert (one.lat, one.lon, one.radius68_m) == (other.lat, other.lon, other.radius68_m)
    with pytest.raises(TimeReversed):
        walk.add_or_restart(readings[0], float("nan"))
    assert walk.add_or_restart(readings[0], 6.0).photos == 3


def test_a_clock_that_is_put_right_ends_no_walk_where_that_is_allowed(localizer: Localizer) -> None:
    walk = localizer.walk()
    readings = [localizer.read(photo(east_m=-50 + 20 * view, view=view)) for view in range(1, 5)]
    counts = [walk.add_or_restart(readings[i], t, 1.0).photos for i, t in enumerate((10.0, 9.95, 11.0, 10.0))]
    assert counts == [1, 2, 3, 1]


def test_an_unreadable_photo_leaves_the_walk_as_it_was(localizer: Localizer) -> None:
    walk = localizer.walk()
    walk.add(photo(view=1), 0.0)
    with pytest.raises(PhotoError):
        walk.add(b"no photo", 1.0)
    assert walk.add(photo(view=2), 2.0).photos == 2


def test_a_photo_of_elsewhere_moves_nobody(localizer: Localizer) -> None:
    walk = localizer.walk()
    for second in range(4):
        here = walk.add(photo(east_m=-60, north_m=-60, view=second + 1), float(second))
    there = walk.add(photo("elsewhere", east_m=70, north_m=70, view=9), 4.0)
    assert float(distance_m(here.lat, here.lon, there.lat, there.lon)) < 5
    assert there.on_campus  # it was a moment ago
    assert there.photos == 4
    assert not walk.add(photo("elsewhere", east_m=70, north_m=70, view=10), 120.0).on_campus


def test_a_photo_that_contradicts_the_walk_is_named(localizer: Localizer) -> None:
    walk = localizer.walk()
    for second in range(4):
        walk.add(photo(east_m=-60, north_m=-60, view=second + 1), float(second))
    assert walk.add(photo(east_m=70, north_m=70, view=9), 5.0).outliers == (4,)


def test_a_standing_camera_counts_its_picture_once(localizer: Localizer) -> None:
    walk = localizer.walk()
    fixes = [walk.add(photo(east_m=10, view=1), 0.2 * number) for number in range(30)]
    assert fixes[-1].photos == 1
    assert fixes[-1].radius68_m == fixes[0].radius68_m
    assert fixes[-1].speed_m_s == 0.0


def test_a_walk_and_its_smoothing_have_radii_of_their_own(localizer: Localizer) -> None:
    def radii_m(**factors: float) -> list[float]:
        """The 68 % radius of a walk's last fix, and of its last smoothed one, by factors of these kinds."""
        kinds = {
            kind: RadiusFactors(fixes=50, radius_at_m=(10.0,), radius68_factors=(one,), radius95_factors=(9.0,))
            for kind, one in factors.items()
        }
        fusion = Fusion.model_validate({"radii": kinds})
        manifest = localizer.bundle.manifest.model_copy(update={"fusion": fusion})
        walk = Localizer(Bundle(localizer.bundle.path, manifest), localizer.engine).walk()
        fixes = [walk.add(photo(east_m=20.0 + view, view=view), float(view)) for view in (1, 2)]
        return [found[-1].map_radii_m[0] for found in (fixes, walk.smoothed())]

    walked_m, smoothed_m = radii_m(walk=1.0, smoothed=1.0)
    assert radii_m(walk=2.0, smoothed=3.0) == pytest.approx([2 * walked_m, 3 * smoothed_m])


def test_a_walk_tells_where_the_last_photo_s_camera_looked(localizer: Localizer) -> None:
    told = localizer.bundle.manifest
    manifest = told.model_copy(update={"calibration": told.calibration.model_copy(update={"heading_factor": 1.0})})
    walk = Localizer(Bundle(localizer.bundle.path, manifest), localizer.engine).walk()
    reading = localizer.read(photo())
    for second, (heading, wanted_deg) in enumerate((((3.0, 0.0), 90.0), ((0.0, -3.0), 180.0))):
        heads = replace(reading.heads, heading=np.array([heading], np.float32))
        fix = walk.add_reading(replace(reading, heads=heads), float(second))
        assert fix.heading_deg == pytest.approx(wanted_deg)
        assert fix.heading_spread_deg is not None
    assert [one.heading_deg for one in walk.smoothed()] == pytest.approx([90.0, 180.0])


def test_motion_can_be_told(localizer: Localizer) -> None:
    def radius_after_a_minute(speed_m_s: float) -> float:
        walk = localizer.walk(speed_m_s=speed_m_s, standing_s=1.0)
        walk.add(photo(view=1), 0.0)
        return walk.add(photo("elsewhere", view=2), 60.0).map_radii_m[0]

    assert radius_after_a_minute(4.0) > 1.5 * radius_after_a_minute(0.5)
    with pytest.raises(CampusError, match="speed_m_s"):
        localizer.walk(pace=2.0)
    with pytest.raises(CampusError, match="positive"):
        localizer.walk(speed_m_s=float("nan"))


def test_a_photo_without_utc_is_dated_by_the_clock_that_an_earlier_one_told(localizer: Localizer) -> None:
    noon = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
    clock = datetime(2026, 3, 1, 14)  # the camera's, two hours ahead
    captures = (Capture(time_utc=noon, local_time=clock), Capture(local_time=clock + timedelta(seconds=10)))
    reading, walk = localizer.read(photo()), localizer.walk()
    for capture in captures:
        walk.add_reading(replace(reading, capture=capture))
    assert walk._filter.time_s == noon.timestamp() + 10
