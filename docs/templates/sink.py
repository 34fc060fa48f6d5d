"""A sink to begin with: copy it to edge/device/sinks/NAME.py, and `run --to NAME:…` finds it.

This one writes a line of CSV for each fix. Import what only this sink needs within `open_sink`, by `import_module`,
and raise MissingDependency where it is absent: no other sink must want for it. A device runs Python 3.10.
"""

from __future__ import annotations

import csv
from pathlib import Path

from core.locate.fix import Fix
from edge.device.sink import SinkOptions, utc
from edge.device.sources import Frame

ADDRESSES = "NAME:FILE"  # how people write this sink's addresses, for `run --help`


class CsvSink:
    """Lives on a thread of its own; whatever it raises drops this sink alone, and `run` says so."""

    def __init__(self, file: Path) -> None:
        self._stream = file.open("a", encoding="utf-8", newline="")

    def put(self, frame: Frame, fix: Fix) -> None:
        """Take one fix; a refused photo (`fix.refused`) has a position too, which is not to be believed."""
        if not fix.refused:
            csv.writer(self._stream).writerow((utc(frame.taken_s), frame.name, fix.lat, fix.lon, fix.radius68_m))
            self._stream.flush()

    def close(self) -> None:
        self._stream.close()


def open_sink(rest: str, _options: SinkOptions) -> CsvSink | None:
    """What follows `NAME:` -> the sink; None where that is no address of this sink."""
    return CsvSink(Path(rest)) if rest else None
