"""Fixes as a GeoJSON track, which is whole after each of them."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import BinaryIO

from core.errors import OccupiedError
from core.locate.fix import Fix
from core.photo.names import as_text
from edge.device.sink import SinkOptions, utc
from edge.device.sources import Frame

ADDRESSES = "geojson:FILE"
_MOST_TORN_BYTES = 1 << 20  # of a fix that the power cut short: none is a thousandth of it


class GeoJson:
    """A FeatureCollection with a point for each fix; a refused photo is none.

    A run may last for weeks and end with the power, so each fix goes to the file at once and the file is whole after
    it. Nothing is kept in memory. A track of an earlier run is gone on with: a service that starts anew loses none.
    """

    _HEAD, _TAIL = b'{"type": "FeatureCollection", "features": [', b"\n]}\n"

    def __init__(self, path: Path) -> None:
        """Raises OccupiedError where the file is there and holds something else than a track."""
        self._path = path
        self._file: BinaryIO | None = None
        if path.exists() and not (path.is_file() and self._holds_track()):
            raise OccupiedError(path, "track of GeoJSON", replaceable=False)

    def _holds_track(self) -> bool:
        with self._path.open("rb") as file:
            return file.read(len(self._HEAD) + 1) in (self._HEAD + b"\n", self._HEAD, b"")

    def put(self, frame: Frame, fix: Fix) -> None:
        if fix.refused:
            return
        if self._file is None:
            self._file = self._opened()
        feature = {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [round(fix.lon, 7), round(fix.lat, 7)]},
            "properties": {
                "photo": as_text(frame.name),
                "time_utc": utc(frame.taken_s),
                "radius68_m": fix.radius68_m,
                "radius95_m": fix.radius95_m,
                "zone": fix.zone.name,
                "on_campus": fix.on_campus,
                "photos": fix.photos,
                "course_deg": fix.course_deg,
                "speed_m_s": fix.speed_m_s,
            },
        }
        first = self._file.seek(-len(self._TAIL), os.SEEK_END) == len(self._HEAD)
        self._write_last(self._file, (b"\n" if first else b",\n") + json.dumps(feature, ensure_ascii=False).encode())

    def _opened(self) -> BinaryIO:
        """The file, whole, to be gone on with; what the power cut short at its end is cut off."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.touch()
        file = self._path.open("r+b", buffering=0)
        try:
            size = file.seek(0, os.SEEK_END)
            if size == 0:
                self._write_last(file, self._HEAD)
            elif not self._ends_with_tail(file, size):
                file.seek(max(0, size - _MOST_TORN_BYTES))
                behind = file.tell()
                file.truncate(max(len(self._HEAD), behind + max(0, file.read().rfind(b",\n"))))
                file.seek(0, os.SEEK_END)
                self._write_last(file, b"")
        except BaseException:
            file.close()
            raise
        return file

    def _ends_with_tail(self, file: BinaryIO, size: int) -> bool:
        file.seek(max(0, size - len(self._TAIL)))
        return file.read() == self._TAIL

    def _write_last(self, file: BinaryIO, text: bytes) -> None:
        """Write text and the tail from here to the end. Raises OSError; the file is then as whole as it was."""
        at = file.tell()
        if file.write(text + self._TAIL) == len(text) + len(self._TAIL):
            return
        file.truncate(at)  # a disk that became full took a part of it
        file.seek(at)
        file.write(self._TAIL)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def open_sink(rest: str, _options: SinkOptions) -> GeoJson | None:
    """Raises OccupiedError where the file holds something else."""
    return GeoJson(Path(rest)) if rest else None
