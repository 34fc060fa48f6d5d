"""What the tests of sinks share: programs of others that take fixes, and the frames of a run."""

from __future__ import annotations

import shutil
import time

import pytest

from edge.device.sources import Frame

START_S = time.time() // 1


def program(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    if found is None:
        pytest.skip(f"{name} is not installed: apt-get install gpsd gpsd-clients mosquitto")
    return found


def frame(second: float = 0.0) -> Frame:
    return Frame("photo.jpg", None, START_S + second)
