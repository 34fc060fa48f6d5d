"""A fix as a GeoPose: the place, which way the camera looked, and how sure both are."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest

from app.serve.api.geopose import UNKNOWN_DEG, basic_quaternion, protocol_answer
from core.locate.fix import Fix
from core.locate.localizer import Localizer
from tests.bundles import photo

NOON = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=timezone.utc)


@pytest.fixture(scope="module")
def fix(pristine: Path) -> Fix:
    return Localizer.load(pristine).locate(photo(east_m=20.0))


@pytest.mark.parametrize("heading_deg", [0.0, 45.0, 90.0, 200.0, 359.0])
def test_the_quaternion_turns_the_x_axis_to_where_the_camera_looked(fix: Fix, heading_deg: float) -> None:
    pose = basic_quaternion(replace(fix, heading_deg=heading_deg), 7.0)
    assert pose["position"] == {"lat": fix.lat, "lon": fix.lon, "h": 7.0}
    x, y, z, w = (pose["quaternion"][axis] for axis in "xyzw")
    # The first column of the quaternion's rotation matrix: the x axis in east, north and up.
    looks = (1 - 2 * (y * y + z * z), 2 * (x * y + z * w), 2 * (x * z - y * w))
    wanted = (math.sin(math.radians(heading_deg)), math.cos(math.radians(heading_deg)), 0.0)
    assert looks == pytest.approx(wanted, abs=1e-9)


def test_accuracies_are_the_68_percent_bounds_of_place_and_heading(fix: Fix) -> None:
    looking = replace(fix, heading_deg=90.0, heading_spread_deg=23.0)
    said = protocol_answer(looking, 0.0, "q", NOON)
    assert said["accuracy"] == {"position": fix.radius68_m, "orientation": 23.0}
    assert fix.radius68_m != fix.radius95_m
    assert said["timestamp"] == 1_772_366_400_250


def test_of_an_unknown_heading_nothing_is_claimed(fix: Fix) -> None:
    said = protocol_answer(replace(fix, heading_deg=None, heading_spread_deg=None), 0.0, "q", NOON)
    assert said["geopose"]["quaternion"] == {"x": 0.0, "y": 0.0, "z": 0.0, "w": 1.0}
    assert said["accuracy"]["orientation"] == UNKNOWN_DEG
