"""Sinks of NMEA 0183: standard output, a TCP port, a serial line."""

from __future__ import annotations

import errno
import logging
import os
import socket
import time
from contextlib import suppress
from importlib import import_module
from threading import Lock, Thread
from typing import TextIO

from core.errors import EngineError, MissingDependency
from core.locate.fix import Fix
from edge.device.nmea_sentences import GPS_FIX, sentences
from edge.device.sink import SinkOptions, standard_output
from edge.device.sources import Frame

log = logging.getLogger(__name__)

ADDRESSES = "nmea, nmea:tcp:[HOST:]PORT, nmea:/dev/DEVICE[:BAUD]"
MAX_CLIENTS = 256
MAX_UNSENT_BYTES = 64 * 1024  # beyond what the system holds for a client: some 400 fixes
PAUSE_S, LOG_EVERY_S = 0.5, 60.0  # after a failed accept


class NmeaStream:
    """NMEA on standard output."""

    def __init__(self, stream: TextIO, quality: int) -> None:
        self._stream, self._quality = stream, quality

    def put(self, frame: Frame, fix: Fix) -> None:
        self._stream.write("".join(sentences(fix, frame.taken_s, self._quality)))
        self._stream.flush()

    def close(self) -> None:
        self._stream.close()


class _Client:
    """A connected program and what it has not taken yet; nothing here waits for it."""

    def __init__(self, connection: socket.socket, name: str) -> None:
        connection.setblocking(False)
        self.name, self._connection, self._unsent = name, connection, b""

    @property
    def unsent_bytes(self) -> int:
        return len(self._unsent)

    @property
    def gone(self) -> bool:
        """Whether the other end has closed."""
        try:
            return not self._connection.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def send(self, data: bytes) -> None:
        """Raises OSError where the client is gone or has not read for too long."""
        self._unsent += data
        with suppress(BlockingIOError):
            self._unsent = self._unsent[self._connection.send(self._unsent) :]
        if len(self._unsent) > MAX_UNSENT_BYTES:
            raise OSError("does not read")

    def close(self) -> None:
        self._connection.close()


class NmeaTcp:
    """NMEA to every program that is connected to a TCP port, as network GPS receivers do it.

    A client that does not read is let go, and takes no time of the others until then. Where MAX_CLIENTS are connected,
    a newcomer takes the place of the one that has read the least, else of the oldest.
    """

    def __init__(self, host: str, port: int, quality: int = GPS_FIX) -> None:
        """`quality` is GGA's. Raises EngineError when the port cannot be had."""
        self._quality = quality
        try:
            self._server = socket.create_server((host, port))
        except OSError as error:
            of_port = error.errno in (errno.EADDRINUSE, errno.EACCES)
            remedy = "choose another port" if of_port else "give an address of this machine, or 0.0.0.0"
            raise EngineError(error.strerror or str(error), path=f"nmea:tcp:{host}:{port}", remedy=remedy) from error
        self.port = int(self._server.getsockname()[1])
        self._clients: list[_Client] = []
        self._said_s = -LOG_EVERY_S
        self._lock = Lock()
        self._closed = False
        Thread(target=self._accept, daemon=True, name="nmea").start()

    @property
    def clients(self) -> int:
        """How many programs are connected."""
        with self._lock:
            return len(self._clients)

    def _accept(self) -> None:
        """Take in clients until the sink is closed, whatever goes wrong: out of handles today, room tomorrow."""
        while not self._closed:
            try:
                connection, (host, port, *_) = self._server.accept()
                self._take_in(_Client(connection, f"{host}:{port}"))
            except OSError as error:
                if self._closed:
                    return
                self._say(f"no client can connect now ({error.strerror or error})")
                time.sleep(PAUSE_S)

    def _take_in(self, client: _Client) -> None:
        with self._lock:
            for gone in [held for held in self._clients if held.gone]:
                self._let_go(gone)
            if len(self._clients) >= MAX_CLIENTS:
                behind = max(self._clients, key=lambda held: held.unsent_bytes)  # the oldest of several alike
                self._let_go(behind)
                self._say(f"{MAX_CLIENTS} clients are connected: {behind.name} is let go for another")
            if not self._closed:
                self._clients.append(client)
                return
        client.close()

    def _let_go(self, client: _Client) -> None:
        self._clients.remove(client)
        client.close()

    def _say(self, text: str) -> None:
        """A line a minute: strangers decide how often there is one."""
        if time.monotonic() - self._said_s >= LOG_EVERY_S:
            self._said_s = time.monotonic()
            log.warning("nmea:tcp:%d: %s", self.port, text)

    def put(self, frame: Frame, fix: Fix) -> None:
        data = "".join(sentences(fix, frame.taken_s, self._quality)).encode("ascii")
        with self._lock:
            for client in list(self._clients):
                try:
                    client.send(data)
                except OSError as error:
                    log.info("nmea:tcp:%d: %s is let go (%s)", self.port, client.name, error.strerror or error)
                    self._let_go(client)

    def close(self) -> None:
        self._closed = True
        with suppress(OSError):  # only Linux knows this of a listening socket
            self._server.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits for clients, as close does not
        self._server.close()
        with self._lock:
            for client in self._clients:
                client.close()
            self._clients.clear()


class NmeaSerial:
    """NMEA on a serial line, 8N1, for devices that expect a receiver there.

    9,600 baud carry three fixes a second. Where more come, only the newest leaves: a receiver's position is of now.
    """

    newest_only = True

    def __init__(self, device: str, baud: int, quality: int = GPS_FIX) -> None:
        """`quality` is GGA's. Raises EngineError when the line cannot be opened."""
        self._quality = quality
        try:
            import termios
            import tty
        except ImportError as error:
            raise EngineError(
                "serial lines work on Linux and macOS only", path=f"nmea:{device}", remedy="use a TCP port"
            ) from error
        self._drain = termios.tcdrain
        speed = getattr(termios, f"B{baud}", None) if baud else None  # B0 hangs up
        if speed is None:
            raise EngineError(
                "no such speed", path=f"nmea:{device}:{baud}", remedy="4800, 9600, 38400 and 115200 are usual"
            )
        try:
            # Without O_NONBLOCK the opening itself may wait for a carrier, or a pipe for its reader.
            self._line = os.open(device, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
            tty.setraw(self._line)
            settings = termios.tcgetattr(self._line)
            settings[4] = settings[5] = speed
            termios.tcsetattr(self._line, termios.TCSANOW, settings)
            os.set_blocking(self._line, True)
        except (OSError, termios.error) as error:
            reason = error.strerror or str(error) if isinstance(error, OSError) else "not a serial line"
            raise EngineError(
                reason, path=f"nmea:{device}", remedy="give a serial device such as /dev/ttyTHS1"
            ) from error

    def put(self, frame: Frame, fix: Fix) -> None:
        data = "".join(sentences(fix, frame.taken_s, self._quality)).encode("ascii")
        while data:
            data = data[os.write(self._line, data) :]
        self._drain(self._line)  # the kernel's own queue holds seconds of it

    def close(self) -> None:
        os.close(self._line)


def open_sink(rest: str, options: SinkOptions) -> NmeaStream | NmeaTcp | NmeaSerial | None:
    """`tcp:[HOST:]PORT`, `/dev/DEVICE[:BAUD]`, or "" for standard output -> the sink.

    Raises EngineError, and MissingDependency without pynmea2: before the first photo, not after.
    """
    try:
        import_module("pynmea2")
    except ImportError as error:
        raise MissingDependency("pynmea2", "requirements-jetson.txt") from error
    quality = options.nmea_quality
    if not rest:
        return NmeaStream(standard_output(), quality)
    if rest.startswith("tcp:"):
        host, _, port = rest.removeprefix("tcp:").rpartition(":")
        if port.isdigit() and int(port) < 65536:
            return NmeaTcp(host or "127.0.0.1", int(port), quality)
    elif rest.startswith("/"):
        device, _, baud = rest.partition(":")
        if not baud or baud.isdigit():
            return NmeaSerial(device, int(baud or 9600), quality)
    return None
