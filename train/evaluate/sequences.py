"""Which photos of a dataset one person took one after another: walks, chains within them, and bursts within those."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from math import inf

import numpy as np
from numpy.typing import NDArray

from core.errors import DatasetError
from core.photo.capture import as_utc, parse_iso_time, parse_local_time
from train.dataset.dataset import Dataset

BURST_GAP_S = 12.0  # people who photograph a standpoint take 2 to 6 s a photo, and then walk on
# How many gaps a burst may last: whoever photographs on and on walks meanwhile. 20 to 120 s were tried (RESULTS.md).
BURST_LASTS_GAPS = 2.5

Rows = NDArray[np.int64]
Float = NDArray[np.float64]

_TIMES = ("time_utc", "local_time")
_WALKERS = ("device", "phone", "contributor", "session")


def times_s(dataset: Dataset) -> Float:
    """(N,) seconds of the clock that each photo was dated by, NaN where it has none; only differences mean anything."""
    found = np.full(len(dataset), np.nan)
    for name in _TIMES:
        if not dataset.has(name):
            continue
        for row, text in enumerate(dataset.column(name)):
            if np.isnan(found[row]) and (time := _time(text)) is not None:
                found[row] = time.timestamp()
    return found


def _time(text: str) -> datetime | None:
    time = parse_iso_time(text) or parse_local_time(text)
    return None if time is None else as_utc(time)


def walkers(dataset: Dataset) -> list[tuple[str, ...]]:
    """(N,) whose walk each photo is of: device and session, as far as the dataset tells them."""
    names = [dataset.column(name) for name in _WALKERS if dataset.has(name)]
    return list(zip(*names, strict=True)) if names else [()] * len(dataset)


def walks(dataset: Dataset, rows: Rows) -> list[Rows]:
    """The photos in `rows` by device and session, each in the order of time; those without a time are left out.

    Raises DatasetError where no photo of the dataset has a date and a time.
    """
    time_s = times_s(dataset)
    if not np.isfinite(time_s[rows]).any():
        raise DatasetError(
            "no photo has a date and time, so nobody knows which belong together",
            path=dataset.root / "gt.csv",
            remedy="add a column local_time, such as 2025-12-22T09:47:11, or ingest photos with EXIF",
        )
    names = walkers(dataset)
    by_walker: dict[tuple[str, ...], list[int]] = {}
    for row in rows[np.isfinite(time_s[rows])]:
        by_walker.setdefault(names[row], []).append(int(row))
    found = [np.array(photos, np.int64) for photos in by_walker.values()]
    return [photos[np.argsort(time_s[photos], kind="stable")] for photos in found]


def chains(time_s: Float, gap_s: float, most_s: float = inf) -> list[slice]:
    """The chains of a walk whose photos were taken at (N,) ascending times: no gap in one is longer than `gap_s`, and
    none lasts longer than `most_s`."""
    starts = [0]
    for index in range(1, len(time_s)):
        gap, lasted = time_s[index] - time_s[[index - 1, starts[-1]]]
        if gap > gap_s or lasted > most_s:
            starts.append(index)
    return [slice(first, last) for first, last in pairwise([*starts, len(time_s)]) if first < last]


def bursts(time_s: Float, gap_s: float) -> list[slice]:
    """The photos of one standpoint each: chains that are cut after BURST_LASTS_GAPS gaps."""
    return chains(time_s, gap_s, BURST_LASTS_GAPS * gap_s)


def windows(burst: slice, photos: int) -> list[slice]:
    """The burst cut into disjoint parts of so many photos; what is left over at its end belongs to none."""
    return [slice(first, first + photos) for first in range(burst.start, burst.stop - photos + 1, photos)]
