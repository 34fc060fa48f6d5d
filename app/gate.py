"""A bounded queue before the network: a few photos at once, a few waiting, and a clear "busy" beyond."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Event, Lock


class BusyError(Exception):
    """No turn could be had; `waiting` others stood in the queue."""

    def __init__(self, waiting: int) -> None:
        super().__init__(f"{waiting} photos are waiting")
        self.waiting = waiting


class Gate:
    """Lets `at_once` callers in, keeps at most `waiting` more in line, and turns others away with BusyError.

    Whoever came first is let in first. Two at once suit a CPU: one photo decodes while the other is in the network,
    which uses all cores itself. The line is short, since whoever waits over HTTP holds one of the server's 40 threads;
    a page waits in a thread of its own.
    """

    def __init__(self, at_once: int = 2, waiting: int = 24) -> None:
        self._at_once = self._free = at_once  # nobody is in line while a turn is free
        self._room = waiting
        self._line: deque[Event] = deque()  # each is set as its turn has come
        self._lock = Lock()

    def widen(self, at_once: int) -> None:
        """Let so many in at once from now on, if that is more than before."""
        with self._lock:
            for _ in range(at_once - self._at_once):
                self._at_once += 1
                self._pass_on()

    @contextmanager
    def turn(self, timeout_s: float = 20.0, waiting: int | None = None) -> Iterator[None]:
        """Wait for a turn and hold it for the block; `waiting`: others in line, if not as many as the gate keeps.

        Raises BusyError when the line is full or time is up.
        """
        self._come_in(timeout_s, self._room if waiting is None else waiting)
        try:
            yield
        finally:
            with self._lock:
                self._pass_on()

    def _come_in(self, timeout_s: float, room: int) -> None:
        with self._lock:
            if self._free:
                self._free -= 1
                return
            if len(self._line) >= room:
                raise BusyError(len(self._line))
            self._line.append(mine := Event())
        if mine.wait(timeout_s):
            return
        with self._lock:
            if not mine.is_set():  # else it came as time was up
                self._line.remove(mine)
                raise BusyError(len(self._line))

    def _pass_on(self) -> None:
        """Give a turn to the first in line, or leave it free. The lock is held."""
        if self._line:
            self._line.popleft().set()
        else:
            self._free += 1


@cache
def process_gate() -> Gate:
    """The one queue of this process, for the app's pages and the HTTP interface alike."""
    return Gate()
