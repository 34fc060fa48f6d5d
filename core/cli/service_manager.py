"""What systemd is told of a service, that it is ready, alive, stopping; and how it stops one."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress

LEAST_APART_S = 1.0  # between two signs of life, however often a loop gives them


def stops_as_by_ctrl_c() -> None:
    """Let SIGTERM, by which a service is stopped, end this program as Ctrl-C does: what is open is closed first."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


class ServiceManager:
    """The service manager that started this program, told by sd_notify's datagrams; without one, nothing is sent.

    `address`: the path of a Unix datagram socket, or `@NAME` for an abstract one (Linux). A message that cannot be sent
    at once is dropped: a service must not wait for, nor fall with, the one that watches it. Source: sd_notify(3).
    """

    def __init__(self, address: str = "", clock: Callable[[], float] = time.monotonic) -> None:
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._clock = clock
        self._next_s = float("-inf")

    @classmethod
    def from_environment(cls) -> ServiceManager:
        """The one of $NOTIFY_SOCKET."""
        return cls(os.environ.get("NOTIFY_SOCKET", ""))

    def ready(self) -> None:
        self._send(b"READY=1")

    def alive(self) -> None:
        """Feed the watchdog, at most once in `LEAST_APART_S`; for loops to call at each turn."""
        now_s = self._clock()
        if now_s >= self._next_s:
            self._next_s = now_s + LEAST_APART_S
            self._send(b"WATCHDOG=1")

    def stopping(self) -> None:
        self._send(b"STOPPING=1")

    def _send(self, message: bytes) -> None:
        if not self._address:
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as wire:
            wire.setblocking(False)
            wire.sendto(message, self._address)
