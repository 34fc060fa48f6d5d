"""The columns of a dataset: night, sessions and names of images."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from tests.train.dataset.walks import LAT, LON
from train.dataset.columns import image_names, is_night, sessions


@pytest.mark.parametrize(
    ("clock", "night"),
    [("", False), ("noon", False), ("16:59", False), ("17:00", True), ("6:37", False), (" 17:51", True),
     ("04:59", True), ("00:00", True), ("99:00", False)],
)  # fmt: skip
def test_night_by_the_clock(clock: str, night: bool) -> None:
    assert is_night(LAT, LON, None, clock) is night


def test_night_at_the_poles_of_the_year() -> None:
    midsummer, midwinter = (datetime(2024, month, 21, 12, tzinfo=timezone.utc) for month in (6, 12))
    assert not is_night(78.2, 15.6, midsummer - timedelta(hours=12))
    assert is_night(78.2, 15.6, midwinter)


def test_sessions_end_with_a_pause() -> None:
    assert sessions([], [], [], "root") == []
    times = [datetime(2024, 6, 1, 9, minute, tzinfo=timezone.utc) for minute in (0, 25, 50)]
    times.append(times[-1] + timedelta(minutes=31))
    found = sessions(list("abcd"), ["X", "X", "X", "X"], times, "root")
    assert found == ["X 2024-06-01 09:00"] * 3 + ["X 2024-06-01 10:21"]
    two = sessions(list("ab"), ["X", "Y"], times[:2], "root")
    assert two == ["X 2024-06-01 09:00", "Y 2024-06-01 09:25"]
    assert sessions(["a", "b"], ["X", ""], [None, None], "root") == ["X", ""]


@pytest.mark.parametrize(
    ("sources", "names"),
    [
        ([], []),
        (["a.HEIC"], ["a.jpg"]),
        (["a.jpg", "A.png"], ["a_jpg.jpg", "A_png.jpg"]),
        (["a.jpg", "a.png", "a_png.webp"], ["a_jpg.jpg", "a_png.jpg", "a_png_2.jpg"]),
        (["..x.jpg", "a b,c.jpg", "תמונה.jpg"], ["x.jpg", "a_b_c.jpg", "תמונה.jpg"]),
        (["bad\udcff.jpg"], ["bad_.jpg"]),
    ],
)
def test_image_names(sources: list[str], names: list[str]) -> None:
    assert image_names(sources) == names
