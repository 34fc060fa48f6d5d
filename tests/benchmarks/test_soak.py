"""The soak in its short form, and what its curves are judged by."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.__main__ import length_s
from benchmarks.curves import Curve, picture
from benchmarks.soak import APP, EDGE, FRAME, HTTP, PAGE, soak


def curve(rise_an_hour: float, noise: float = 3.0, hours: float = 1.0, first: float = 0.0) -> Curve:
    """500 samples of something at 400 MB that warms up by `first` in the first minutes."""
    rng, seconds = np.random.default_rng(0), np.linspace(0, 3600 * hours, 500)
    values = 400 + rise_an_hour * seconds / 3600 + rng.normal(0, noise, 500) - first * np.exp(-seconds / 120)
    return Curve("memory", "MB", seconds, values, allowed=20.0)


def test_a_leak_is_no_flat_curve_and_noise_and_a_warm_up_are() -> None:
    assert curve(0.0).flat
    assert curve(0.0, first=200.0).flat
    assert curve(-30.0).flat
    assert not curve(60.0).flat
    assert curve(60.0, hours=0.1).flat, "a rise of 6 MB is less than what is allowed"
    trend = curve(60.0).trend()
    assert trend.low < 60 < trend.high
    assert trend.high - trend.low < 10
    assert trend.hours == pytest.approx(0.75, abs=0.01)


def test_one_look_that_is_far_off_moves_no_line() -> None:
    odd = curve(0.0)
    odd.values[[130, 300, 450]] += 5000
    assert odd.flat


def test_a_stall_before_the_last_sample_leaves_a_trend() -> None:
    seconds = np.array([0.0, 0.1, 0.2, 0.3, 20.0])
    trend = Curve("a photo", "ms", seconds, np.full(5, 7.0), allowed=1.0).trend()
    assert (trend.slope_per_h, trend.level) == (0.0, 7.0)


def test_the_picture_shows_every_curve() -> None:
    image = Image.open(io.BytesIO(picture([curve(0.0), curve(60.0)])))
    assert image.format == "PNG"
    assert image.width == 800
    assert image.height == 300


def test_a_soak_takes_ten_minutes_where_nothing_is_said() -> None:
    assert (length_s("soak"), length_s("predicting")) == (600.0, 30.0)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="processes tell what they hold on Linux alone")
def test_the_app_http_and_edge_run_side_by_side_lose_no_photo_and_stay_flat(pristine: Path) -> None:
    minutes = float(os.environ.get("CAMPUS_SOAK_MINUTES", "0"))
    record = soak(pristine, 60 * minutes) if minutes else soak(pristine, 10.0, pause_s=0.05, every_s=0.25)
    assert record.failures == []
    assert all(len(record.waits[kind]) > 5 for kind in (PAGE, HTTP, FRAME))
    for program in (APP, EDGE):
        assert len(record.held[program]) > 10
        assert min(sample.memory_mb for sample in record.held[program]) > 30
        late = record.held[program][len(record.held[program]) // 2 :]
        assert abs(late[-1].handles - late[0].handles) < 20
        # A photo that was kept, decoded, is 6 MB.
        assert max(sample.memory_mb for sample in late) - np.median([sample.memory_mb for sample in late]) < 150
    curves = record.curves()
    assert len(curves) == 7
    if minutes:  # waits are the machine's too
        rises = {one.name: (one.allowed, one.trend()) for one in curves if one.unit != "ms"}
        for name, (allowed, trend) in rises.items():
            assert trend.slope_per_h * trend.hours <= 3 * allowed, (name, trend)
