from __future__ import annotations

import numpy as np
import pytest

from core.locate.heading import angle_between_deg, direction_deg, raw_spread_deg


def test_directions_are_clockwise_from_north() -> None:
    towards = np.array([[0, 1], [1, 0], [0, -1], [-1, 0], [-1e-3, 1]], np.float32)
    assert direction_deg(towards) == pytest.approx([0, 90, 180, 270, 359.943], abs=1e-3)


def test_a_longer_heading_is_a_surer_one() -> None:
    spread = raw_spread_deg(np.array([[0, 100], [0, 1], [0, 0]], np.float32))
    assert spread[0] == pytest.approx(5.73, abs=0.01)  # 0.1 radian
    assert spread[0] < spread[1] < spread[2]
    assert np.isfinite(spread).all()


def test_the_angle_between_goes_the_short_way_round() -> None:
    assert angle_between_deg(np.array([350.0, 10.0, 0.0]), np.array([10.0, 350.0, 180.0])).tolist() == [20, 20, 180]
    assert np.isnan(angle_between_deg(np.array([1.0]), np.array([np.nan]))).all()
