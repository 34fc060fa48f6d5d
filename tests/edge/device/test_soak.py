"""The short form of the soak of `edge run`; `python -m tests.edge.device.soak` is the long one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.edge.device.soak import BROKEN_EVERY, soak

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="reads the memory of a process where Linux tells it"),
]


def test_a_run_with_a_camera_that_comes_and_goes_keeps_its_counts_and_its_memory(field: Path, tmp_path: Path) -> None:
    run = soak(field, tmp_path, frames=1200, per_s=400, lost_every=500)
    print(run)
    assert run.exit_code == 0
    assert run.delivered == 1200
    assert run.located + run.skipped + run.dropped == run.delivered
    assert run.openings == 3
    # The camera is faster than any device: frames are dropped, no fix is of an older frame than the one before, and
    # a broken frame is either dropped or skipped.
    assert run.dropped > 0
    assert run.numbers == sorted(set(run.numbers))
    assert 0 < run.skipped <= run.delivered / BROKEN_EVERY
    assert run.located == len(run.numbers) == run.tracked
    assert not [number for number in run.numbers if number % BROKEN_EVERY == 0]
    # A queue of frames or a list of fixes would grow with the run; a picture here is 0.36 MB, and 500 are located.
    assert run.growth_mb < 10
