"""A camera in the place of OpenCV's, for the soak: it delivers at its own pace, breaks frames, gets lost and returns.

`python -m edge run --camera 0` finds it by PYTHONPATH. Settings come as JSON in $SOAK_CAMERA. After its first frame it
waits for the file `go`, so that loading is over when the others come: some at once, the rest at its pace. How many
frames it has delivered, how often it was opened for that, and the memory of this process at each `memory_every` frames
are written to the file `delivered` after the last one.
"""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path
from typing import Any

import numpy as np

COLOR_BGR2RGB, CAP_V4L2, CAP_GSTREAMER = 4, 200, 1800
_SETTINGS = json.loads(os.environ["SOAK_CAMERA"])
_PICTURE = np.load(_SETTINGS["picture"])  # (H, W, 3) uint8 BGR
_FRAMES, _PACE_S = int(_SETTINGS["frames"]), 1 / float(_SETTINGS["per_s"])
_LOST_EVERY, _BROKEN_EVERY = int(_SETTINGS["lost_every"]), int(_SETTINGS["broken_every"])
_AT_ONCE = 30  # frames at the beginning, faster than any device
_MEMORY_EVERY = int(_SETTINGS["memory_every"])
_memory_mb: list[float] = []
_delivered = 0
_openings = 0
_away = False  # whether the next attempt to open it fails


class error(Exception):  # noqa: N801
    """As OpenCV names it."""


def _resident_mb() -> float:
    """The memory that this process holds now."""
    found = re.search(r"^VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.M)
    return int(found[1]) / 1024 if found else 0.0


def cvtColor(picture: Any, code: int) -> Any:  # noqa: N802
    if picture is None or code != COLOR_BGR2RGB:
        raise error("(-215:Assertion failed) !_src.empty() in function 'cvtColor'")
    return picture[..., ::-1]


class VideoCapture:
    """One opening of the camera, good for `lost_every` frames; the next attempt to open it fails."""

    def __init__(self, *_: Any) -> None:
        global _away, _openings
        self._left = 0 if _away else _LOST_EVERY
        _openings += not _away
        _away = not _away

    def isOpened(self) -> bool:  # noqa: N802
        return self._left > 0 and _delivered < _FRAMES

    def read(self) -> tuple[bool, Any]:
        global _delivered
        if not self.isOpened():
            return False, None
        if _delivered > _AT_ONCE:
            time.sleep(_PACE_S)
        while _delivered == 1 and not Path(_SETTINGS["go"]).exists():
            time.sleep(0.01)
        self._left -= 1
        _delivered += 1
        if _delivered % _MEMORY_EVERY == 0:
            _memory_mb.append(_resident_mb())
        if _delivered == _FRAMES:
            told = {"delivered": _delivered, "openings": _openings, "memory_mb": _memory_mb}
            Path(_SETTINGS["delivered"]).write_text(json.dumps(told))
        if _delivered % _BROKEN_EVERY == 0:  # in turn: nothing at all, and a picture without a pixel
            return True, None if _delivered // _BROKEN_EVERY % 2 else _PICTURE[:0]
        return True, np.roll(_PICTURE, _delivered % 64, axis=1)

    def release(self) -> None:
        self._left = 0
