"""Course and speed out of the last places."""

from __future__ import annotations

import pytest

from core.locate.track import Track


def test_nothing_is_known_of_two_places() -> None:
    track = Track()
    track.add(0.0, 0.0, 0.0)
    track.add(5.0, 5.0, 0.0)
    assert track.velocity() is None


@pytest.mark.parametrize(("east", "north", "course"), [(1, 0, 90), (0, 1, 0), (-1, 0, 270), (0.7, -0.7, 135)])
def test_a_straight_walk_has_course_and_speed(east: float, north: float, course: float) -> None:
    track = Track()
    for second in range(0, 40, 2):
        track.add(float(second), east * second, north * second)
    velocity = track.velocity()
    assert velocity is not None
    assert velocity.course_deg is not None
    assert velocity.course_deg == pytest.approx(course, abs=1e-6)
    assert velocity.speed_m_s == pytest.approx((east**2 + north**2) ** 0.5)


def test_standing_has_no_course() -> None:
    track = Track()
    for second in range(20):
        track.add(float(second), 0.3 * (-1) ** second, 0.0)
    velocity = track.velocity()
    assert velocity is not None
    assert (velocity.speed_m_s, velocity.course_deg) == (0.0, None)


def test_places_of_a_jump_are_no_walk() -> None:
    track = Track()
    for second, east in enumerate((0.0, 60.0, 0.0, 60.0, 0.0)):
        track.add(float(second), east, 0.0)
    velocity = track.velocity()
    assert velocity is not None
    assert not velocity.moving


def test_a_walker_who_stops_stands_after_a_while() -> None:
    track = Track()
    for second in range(0, 60, 2):
        track.add(float(second), min(second, 20) * 1.3, 0.0)
    velocity = track.velocity()
    assert velocity is not None
    assert velocity.speed_m_s == 0.0
