"""Where `run` puts fixes: JSON lines, GeoJSON, NMEA 0183, MQTT, MAVLink, a ROS 2 bag."""

from __future__ import annotations

import errno
import json
import os
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import BinaryIO, Protocol, TextIO

from core.errors import EngineError
from core.locate.fix import Fix
from edge.device.mavlink_sink import open_mavlink
from edge.device.mcap_sink import McapSink
from edge.device.mqtt_sink import open_mqtt
from edge.device.nmea import GPS_FIX
from edge.device.nmea_sinks import open_nmea
from edge.device.sources import Frame

ON_STANDARD_OUTPUT = ("json", "nmea")
ADDRESSES = (
    "json, json:FILE, geojson:FILE, nmea, nmea:tcp:[HOST:]PORT, nmea:/dev/DEVICE[:BAUD], mqtt:HOST[:PORT]/TOPIC, "
    "mavlink:udp:HOST:PORT, mcap:FOLDER"
)


class Sink(Protocol):
    """Something that takes fixes, on a thread of its own (`SinkThread`), so that it may wait for a disk or a peer."""

    def put(self, frame: Frame, fix: Fix) -> None:
        """Take one fix, which comes without its picture and map. Whatever this raises ends this sink alone."""
        ...

    def close(self) -> None:
        """Write what is held back and let go; called once."""
        ...


def utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


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


class GeoJson:
    """A FeatureCollection with a point for each fix.

    A run may last for weeks and end with the power, so each fix goes to the file at once and the file is whole after
    it. Nothing is kept in memory. A track of an earlier run is replaced by the first fix of this one.
    """

    _HEAD, _TAIL = b'{"type": "FeatureCollection", "features": [', b"\n]}\n"

    def __init__(self, path: Path) -> None:
        """Raises EngineError where the file is there and holds something else than a track."""
        self._path = path
        self._file: BinaryIO | None = None
        if path.exists() and not (path.is_file() and self._holds_track()):
            raise EngineError(f"{path}: holds something that is no track of GeoJSON: choose another file")

    def _holds_track(self) -> bool:
        with self._path.open("rb") as file:
            return file.read(len(self._HEAD)) in (self._HEAD, b"")

    def put(self, frame: Frame, fix: Fix) -> None:
        first = self._file is None
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("wb", buffering=0)
            self._file.write(self._HEAD + self._TAIL)
        feature = {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [round(fix.lon, 7), round(fix.lat, 7)]},
            "properties": {
                "photo": frame.name,
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
        self._file.seek(-len(self._TAIL), os.SEEK_END)
        text = json.dumps(feature, ensure_ascii=False).encode()
        self._file.write((b"\n" if first else b",\n") + text + self._TAIL)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def open_sink(address: str, nmea_quality: int = GPS_FIX) -> Sink:
    """An address as `ADDRESSES` lists them -> a Sink; `nmea_quality` is what NMEA's GGA says of a fix.

    A port is opened on this machine alone unless a HOST such as 0.0.0.0 is given. Raises EngineError.
    """
    kind, _, rest = address.partition(":")
    sink: Sink | None = None
    if address == "json":
        sink = JsonLines(_standard_output())
    elif kind == "json" and rest:
        sink = JsonLines(_opened_to_append(Path(rest)))
    elif kind == "geojson" and rest:
        sink = GeoJson(Path(rest))
    elif address == "nmea" or (kind == "nmea" and rest):
        sink = open_nmea(rest, _standard_output, nmea_quality)
    elif kind == "mqtt":
        sink = open_mqtt(rest)
    elif kind == "mavlink":
        sink = open_mavlink(rest)
    elif kind == "mcap" and rest:
        sink = McapSink(Path(rest))
    if sink is None:
        raise EngineError(f"--to {address}: not one of {ADDRESSES}")
    return sink


def _standard_output() -> TextIO:
    """A handle of its own on standard output: a sink stuck in a write there must not hold what others print."""
    return open(os.dup(sys.stdout.fileno()), "w", encoding=sys.stdout.encoding, newline="")


def _opened_to_append(path: Path) -> TextIO:
    """Raises EngineError where `path` is a pipe that nobody reads: opening it would wait for ever."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK, 0o666)
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise EngineError(f"json:{path}: no program reads this pipe: start the reader first") from error
        raise
    os.set_blocking(handle, True)
    return open(handle, "a", encoding="utf-8")
