"""How `run` reads its frames: each by itself, or as the photos of one walk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from core.errors import PhotoError
from core.locate.fix import Fix
from core.locate.localizer import Localizer
from core.photo.capture import Capture
from edge.device.sources import Frame

CLOCK_STEP_S = 1.0  # by which a clock that is put right may be set back, without an end of the walk
Locate = Callable[[Frame], tuple[Frame, Fix]]  # the frame again, dated by its own EXIF


def dated(frame: Frame, capture: Capture) -> Frame:
    """A file is of when its EXIF says, where it says so; a camera's frame is of when it came in.

    A camera's clock without its zone is taken as UTC.
    """
    if capture.taken is None or not isinstance(frame.photo, (str, Path)):
        return frame
    return replace(frame, taken_s=capture.taken.timestamp(), undated=False)


def single(localizer: Localizer) -> Locate:
    """Each frame by itself."""

    def locate(frame: Frame) -> tuple[Frame, Fix]:
        reading = localizer.read(frame.photo)
        return dated(frame, reading.capture), localizer.fix_of(reading)

    return locate


class Follow:
    """Frames as the photos of one walk, which restarts where the clock is set back."""

    def __init__(self, localizer: Localizer) -> None:
        self._localizer = localizer
        self._walk = localizer.walk(keep=0)  # a run may last for weeks

    def __call__(self, frame: Frame) -> tuple[Frame, Fix]:
        """Raises PhotoError for a frame that cannot be read or has no time; the walk goes on."""
        reading = self._localizer.read(frame.photo)
        frame = dated(frame, self._walk.clock.read(reading.capture))
        if frame.undated:
            raise PhotoError("has no time", path=frame.name, remedy="leave --walk out, or give photos with EXIF times")
        return frame, self._walk.add_or_restart(reading, frame.taken_s, CLOCK_STEP_S)
