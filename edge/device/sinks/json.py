"""Fixes as JSON lines, on standard output or added to a file."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import TextIO

from core.errors import EngineError
from core.locate.fix import Fix
from edge.device.sink import SinkOptions, standard_output, utc
from edge.device.sources import Frame

ADDRESSES = "json, json:FILE"


class JsonLines:
    """One JSON object a line: the fix, the photo's name and the time."""

    def __init__(self, stream: TextIO) -> None:
        """The stream is closed with the sink."""
        self._stream = stream

    def put(self, frame: Frame, fix: Fix) -> None:
        print(json.dumps({"photo": frame.name, "time_utc": utc(frame.taken_s), **fix.as_dict()}), file=self._stream)
        self._stream.flush()

    def close(self) -> None:
        self._stream.close()


def open_sink(rest: str, _options: SinkOptions) -> JsonLines:
    """ "" is standard output. Raises EngineError."""
    return JsonLines(_opened_to_append(Path(rest)) if rest else standard_output())


def _opened_to_append(path: Path) -> TextIO:
    """Raises EngineError where `path` is a pipe that nobody reads: opening it would wait for ever."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK, 0o666)
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise EngineError(f"json:{path}: no program reads this pipe", remedy="start the reader first") from error
        raise
    os.set_blocking(handle, True)
    if path.is_file() and _is_torn(path):
        os.write(handle, b"\n")
    return open(handle, "a", encoding="utf-8")


def _is_torn(path: Path) -> bool:
    """Whether the last line has no end: the power went while it was written."""
    with path.open("rb") as file:
        return bool(file.seek(0, os.SEEK_END)) and file.seek(-1, os.SEEK_END) >= 0 and file.read(1) != b"\n"
