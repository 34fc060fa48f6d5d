"""Which photos belong together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.errors import DatasetError
from train.dataset.dataset import Dataset
from train.evaluate.sequences import bursts, times_s, walks, windows


def dataset(folder: Path, header: str, *rows: str) -> Dataset:
    (folder / "images").mkdir()
    lines = [f"image_name,lat,lon,{header}"]
    for number, row in enumerate(rows):
        Image.new("RGB", (8, 8)).save(folder / "images" / f"{number}.jpg")
        lines.append(f"{number}.jpg,47.0,8.4,{row}")
    (folder / "gt.csv").write_text("\n".join(lines) + "\n")
    return Dataset.load(folder)


def test_walks_are_by_device_and_session_in_the_order_of_time(tmp_path: Path) -> None:
    found = dataset(
        tmp_path, "local_time,phone,session",
        "2025-12-22T10:00:09,A,one", "2025-12-22T10:00:01,A,one", "2025-12-22T10:00:02,B,one", ",A,one",
        "2025-12-22T10:00:04,A,two",
    )  # fmt: skip
    assert [walk.tolist() for walk in walks(found, np.arange(5))] == [[1, 0], [2], [4]]
    assert [walk.tolist() for walk in walks(found, np.array([0, 4]))] == [[0], [4]]


def test_utc_is_preferred_and_camera_writing_is_read(tmp_path: Path) -> None:
    found = dataset(
        tmp_path, "local_time,time_utc",
        "2025-12-22T10:00:00,2025-12-22T08:00:00+00:00", "2025:12:22 10:00:05,", "10:30,",
    )  # fmt: skip
    time_s = times_s(found)
    assert time_s[1] - time_s[0] == 2 * 3600 + 5
    assert np.isnan(time_s[2])  # an hour without a date is no time


def test_without_times_nobody_knows(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="local_time"):
        walks(dataset(tmp_path, "session", "one", "one"), np.arange(2))


@pytest.mark.parametrize(
    ("times", "found"),
    [
        ([], []),
        ([5.0], [(0, 1)]),
        ([0, 12, 24], [(0, 3)]),
        ([0, 3, 16, 17, 40], [(0, 2), (2, 4), (4, 5)]),
        ([0, 10, 20, 30, 40, 50, 60, 70], [(0, 4), (4, 8)]),
    ],
)
def test_a_burst_ends_with_a_gap_or_after_thirty_seconds(times: list[float], found: list[tuple[int, int]]) -> None:
    assert [(part.start, part.stop) for part in bursts(np.array(times, float), 12.0)] == found


def test_windows_share_no_photo_and_leave_no_part_short() -> None:
    assert windows(slice(4, 11), 3) == [slice(4, 7), slice(7, 10)]
    assert windows(slice(4, 6), 3) == []
