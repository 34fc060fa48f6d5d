"""Where `run` puts fixes: JSON lines, GeoJSON, NMEA 0183 on standard output, a TCP port or a serial line."""

from __future__ import annotations

import json
import logging
import os
import socket
import sys
from datetime import datetime, timezone
from importlib import import_module
from pathlib import Path
from threading import Lock, Thread
from typing import BinaryIO, Protocol, TextIO

from core.errors import CampusError, EngineError, MissingDependency
from core.locate.fix import Fix
from edge.device.nmea import sentences
from edge.device.sources import Frame

log = logging.getLogger(__name__)


class Sink(Protocol):
    """Something that takes fixes."""

    def put(self, frame: Frame, fix: Fix) -> None:
        """Take one fix."""
        ...

    def close(self) -> None:
        """Write what is held back and let go; called once."""
        ...


def utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class JsonLines:
    """One JSON object a line: the fix, the photo's name and the time."""

    def __init__(self, stream: TextIO, close: bool = False) -> None:
        """`close`: whether the stream is this sink's own, to be closed with it."""
        self._stream, self._own = stream, close

    def put(self, frame: Frame, fix: Fix) -> None:
        print(json.dumps({"photo": frame.name, "time_utc": utc(frame.taken_s), **fix.as_dict()}), file=self._stream)
        self._stream.flush()

    def close(self) -> None:
        self._stream.flush()
        if self._own:
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
            },
        }
        self._file.seek(-len(self._TAIL), os.SEEK_END)
        text = json.dumps(feature, ensure_ascii=False).encode()
        self._file.write((b"\n" if first else b",\n") + text + self._TAIL)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


class NmeaStream:
    """NMEA on standard output."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def put(self, frame: Frame, fix: Fix) -> None:
        self._stream.write("".join(sentences(fix, frame.taken_s)))
        self._stream.flush()

    def close(self) -> None:
        self._stream.flush()


class NmeaTcp:
    """NMEA to every program that is connected to a TCP port, as network GPS receivers do it."""

    def __init__(self, host: str, port: int) -> None:
        """Raises EngineError when the port cannot be had."""
        try:
            self._server = socket.create_server((host, port))
        except OSError as error:
            raise EngineError(f"tcp:{host}:{port}: {error.strerror}: choose another port") from error
        self.port = int(self._server.getsockname()[1])
        self._clients: list[socket.socket] = []
        self._lock = Lock()
        Thread(target=self._accept, daemon=True, name="nmea").start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return  # closed
            client.settimeout(1.0)  # a client that does not read is let go rather than waited for
            with self._lock:
                self._clients.append(client)

    def put(self, frame: Frame, fix: Fix) -> None:
        data = "".join(sentences(fix, frame.taken_s)).encode("ascii")
        with self._lock:
            for client in list(self._clients):
                try:
                    client.sendall(data)
                except OSError:
                    self._clients.remove(client)
                    client.close()

    def close(self) -> None:
        self._server.close()
        with self._lock:
            for client in self._clients:
                client.close()
            self._clients.clear()


class NmeaSerial:
    """NMEA on a serial line, 8N1, for devices that expect a receiver there."""

    def __init__(self, device: str, baud: int) -> None:
        """Raises EngineError when the line cannot be opened."""
        try:
            import termios
            import tty
        except ImportError as error:
            raise EngineError(f"{device}: serial lines work on Linux and macOS only: use a TCP port") from error
        speed = getattr(termios, f"B{baud}", None)
        if speed is None:
            raise EngineError(f"{device}:{baud}: no such speed: 4800, 9600, 38400 and 115200 are usual")
        try:
            self._line = os.open(device, os.O_WRONLY | os.O_NOCTTY)
            tty.setraw(self._line)
            settings = termios.tcgetattr(self._line)
            settings[4] = settings[5] = speed
            termios.tcsetattr(self._line, termios.TCSANOW, settings)
        except (OSError, termios.error) as error:
            reason = error.strerror if isinstance(error, OSError) else "not a serial line"
            raise EngineError(f"{device}: {reason}: give a serial device such as /dev/ttyTHS1") from error

    def put(self, frame: Frame, fix: Fix) -> None:
        os.write(self._line, "".join(sentences(fix, frame.taken_s)).encode("ascii"))

    def close(self) -> None:
        os.close(self._line)


def open_sink(address: str, stdout: TextIO | None = None) -> Sink:
    """`json`, `json:FILE`, `geojson:FILE`, `nmea`, `nmea:tcp:[HOST:]PORT` or `nmea:DEVICE[:BAUD]` -> a Sink.

    A port is opened on this machine alone unless a HOST such as 0.0.0.0 is given. Raises EngineError.
    """
    kind, _, rest = address.partition(":")
    stream = stdout or sys.stdout
    if kind == "nmea":
        _need_pynmea2()
    if address == "json":
        return JsonLines(stream)
    if kind == "json" and rest:
        return JsonLines(Path(rest).open("a", encoding="utf-8"), close=True)
    if kind == "geojson" and rest:
        return GeoJson(Path(rest))
    if address == "nmea":
        return NmeaStream(stream)
    if kind == "nmea" and rest.startswith("tcp:"):
        host, _, port = rest.removeprefix("tcp:").rpartition(":")
        if port.isdigit() and int(port) < 65536:
            return NmeaTcp(host or "127.0.0.1", int(port))
    elif kind == "nmea" and rest.startswith("/"):
        device, _, baud = rest.partition(":")
        if not baud or baud.isdigit():
            return NmeaSerial(device, int(baud or 9600))
    raise EngineError(
        f"--to {address}: not one of json, json:FILE, geojson:FILE, nmea, nmea:tcp:PORT, nmea:/dev/DEVICE:BAUD"
    )


def _need_pynmea2() -> None:
    """Said before the first photo, not after."""
    try:
        import_module("pynmea2")
    except ImportError as error:
        raise MissingDependency("pynmea2", "requirements-jetson.txt") from error


def close_all(sinks: list[Sink]) -> None:
    """Close every sink, each whatever happens to the others; the first problem is raised in the end."""
    problems: list[CampusError | OSError] = []
    for sink in sinks:
        try:
            sink.close()
        except (CampusError, OSError) as error:
            problems.append(error)
    if problems:
        raise problems[0]
