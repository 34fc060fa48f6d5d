"""How `run` reads its frames: each by itself, or as the photos of one walk."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from core.errors import TimeReversed
from core.locate.fix import Fix
from core.locate.localizer import Localizer
from edge.device.sources import Frame

log = logging.getLogger(__name__)

Locate = Callable[[Frame], Fix]


def single(localizer: Localizer) -> Locate:
    """Each frame by itself."""
    return lambda frame: localizer.locate(frame.photo)


class Follow:
    """Frames as the photos of one walk, which starts anew where the clock is set back.

    A camera's frame is of when it came in; a file is of when its EXIF says, where it says so.
    """

    def __init__(self, localizer: Localizer) -> None:
        self._localizer = localizer
        self._walk = localizer.walk(keep=0)  # a run may last for weeks

    def __call__(self, frame: Frame) -> Fix:
        """Raises PhotoError for a frame that cannot be read; the walk goes on."""
        reading = self._localizer.read(frame.photo)
        capture = reading.capture
        own = (capture.time_utc or capture.local_time) if isinstance(frame.photo, (str, Path)) else None
        try:
            return self._walk.add_reading(reading, frame.taken_s if own is None else None)
        except TimeReversed as error:
            log.warning("%s: a new walk begins: %s", frame.name, error)
            self._walk = self._localizer.walk(keep=0)
            return self._walk.add_reading(reading, frame.taken_s if own is None else None)
