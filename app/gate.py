"""A bounded queue before the network: a few photos at once, a few waiting, and a clear "busy" beyond."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Condition
from time import monotonic


class BusyError(Exception):
    """No turn could be had; `waiting` others stood in the queue."""

    def __init__(self, waiting: int) -> None:
        super().__init__(f"{waiting} photos are waiting")
        self.waiting = waiting


class Gate:
    """Lets `at_once` callers in, keeps at most `waiting` more in line, and turns others away with BusyError.

    Two at once suit a CPU: one photo decodes while the other is in the network, which uses all cores itself. The line
    is short, since whoever waits over HTTP holds one of the server's 40 threads; a page waits in a thread of its own.
    """

    def __init__(self, at_once: int = 2, waiting: int = 24) -> None:
        self._at_once = self._free = at_once
        self._room = waiting
        self._waiting = 0
        self._changed = Condition()

    def widen(self, at_once: int) -> None:
        """Let so many in at once from now on, if that is more than before."""
        with self._changed:
            more = max(0, at_once - self._at_once)
            self._at_once, self._free = self._at_once + more, self._free + more
            self._changed.notify(more)

    @contextmanager
    def turn(self, timeout_s: float = 20.0, waiting: int | None = None) -> Iterator[None]:
        """Wait for a turn and hold it for the block; `waiting`: others in line, if not as many as the gate keeps.

        Raises BusyError when the line is full or time is up.
        """
        with self._changed:
            if not self._free:
                if self._waiting >= (self._room if waiting is None else waiting):
                    raise BusyError(self._waiting)
                self._waiting += 1
                try:
                    until = monotonic() + timeout_s
                    while not self._free:
                        if not self._changed.wait(until - monotonic()) and not self._free:
                            raise BusyError(self._waiting)
                finally:
                    self._waiting -= 1
            self._free -= 1
        try:
            yield
        finally:
            with self._changed:
                self._free += 1
                self._changed.notify()


@cache
def process_gate() -> Gate:
    """The one queue of this process, for the app's pages and the HTTP interface alike."""
    return Gate()
