"""What Python runs first where this folder is on its path: the time of day, moved by the seconds that a file tells."""

from __future__ import annotations

import os
import time
from pathlib import Path

_told, _time, _time_ns = Path(os.environ["JUMPING_CLOCK"]), time.time, time.time_ns


def _moved() -> float:
    return _time() + float(_told.read_text())


def _moved_ns() -> int:
    return _time_ns() + 10**9 * int(_told.read_text())


time.time, time.time_ns = _moved, _moved_ns
