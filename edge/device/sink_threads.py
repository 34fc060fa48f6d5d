"""A thread and a queue for each sink, so that a slow or dead one holds neither the others nor the locating."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from queue import Empty, Full, Queue
from threading import Thread

from core.errors import CampusError, EngineError, reason_of
from core.locate.fix import Fix
from edge.device.sink import Sink
from edge.device.sinks import on_standard_output
from edge.device.sources import Frame

log = logging.getLogger(__name__)

MAX_BEHIND = 4096  # fixes that wait for a sink; without their maps they are a few kB each
WAIT_S = 0.1
STANDSTILL_S = 5.0  # a sink that takes nothing for so long at the end of a run is left, unless it names another time


class SinkThread:
    """One sink on a thread of its own; a sink that fails, or falls too far behind, is named and dropped.

    `put` never waits. `failure` is None while the sink is in use, and afterwards why it was dropped.
    """

    def __init__(self, name: str, sink: Sink, max_behind: int = MAX_BEHIND) -> None:
        """`name` is how the command line calls the sink."""
        self.name = name
        self.failure: Exception | None = None
        self._sink, self._taken = sink, 0
        self._newest_only = getattr(sink, "newest_only", False)
        self._standstill_s = getattr(sink, "standstill_s", STANDSTILL_S)
        self._queue: Queue[tuple[Frame, Fix] | None] = Queue(1 if self._newest_only else max_behind)
        self._thread = Thread(target=self._work, daemon=True, name=f"sink {name}")
        self._thread.start()

    def put(self, frame: Frame, fix: Fix) -> None:
        """Hand over one fix; a dropped sink gets no more."""
        if self.failure is not None:
            return
        # No sink writes the picture or the probability map, and they would fill the memory.
        item = (replace(frame, photo=None), replace(fix, probability=None))
        try:
            self._queue.put_nowait(item)
        except Full:
            if self._newest_only:
                with suppress(Empty):  # taken this moment
                    self._queue.get_nowait()
                self._queue.put_nowait(item)  # nobody else puts
            else:
                self._drop(EngineError(f"it is {self._queue.maxsize} fixes behind"))

    def close(self, patient: bool = False) -> None:
        """Wait until the sink has taken everything; unless `patient`, not for one that stands still.

        Its time is the sum of our waits and not a clock's: where the whole device stood still, the sink did too.
        """
        taken, waits, told = self._taken, 0, False
        while self._thread.is_alive():
            if told:
                self._thread.join(WAIT_S)
                waits += 1
            else:
                told = self._tell_end()
                waits += not told
            if taken != self._taken:
                taken, waits = self._taken, 0
            elif not patient and waits * WAIT_S > self._standstill_s:
                self._drop(EngineError(f"it took nothing for {self._standstill_s:g} s"))
                return

    def _tell_end(self) -> bool:
        try:
            self._queue.put(None, timeout=WAIT_S)
        except Full:
            return False
        return True

    def _work(self) -> None:
        # A sink's library may raise anything, and none of it may end the run.
        try:
            while self.failure is None and (item := self._queue.get()) is not None:
                self._sink.put(*item)
                self._taken += 1
        except Exception as error:
            self._drop(error)
        try:
            self._sink.close()
        except Exception as error:
            self._drop(error)

    def _drop(self, error: Exception) -> None:
        if self.failure is not None:
            return
        self.failure = error
        if not self.read_enough:
            log.warning("--to %s is dropped: %s", self.name, _reason(error))

    @property
    def read_enough(self) -> bool:
        """Whether it failed since standard output's reader went away, as `… | head` does, which is nobody's fault."""
        return isinstance(self.failure, BrokenPipeError) and on_standard_output(self.name)


def close_all(sinks: Sequence[SinkThread], patient: bool) -> None:
    """Close every sink, whatever happens to the others; standard output last.

    `patient`: the reader of standard output may take its time, as a person with a pager does. Raises what the sinks
    failed of where none of them is left.
    """
    for sink in sorted(sinks, key=lambda sink: on_standard_output(sink.name)):
        sink.close(patient and on_standard_output(sink.name))
    failures = [sink.failure for sink in sinks if sink.failure is not None]
    if failures and len(failures) == len(sinks):
        broken = next((sink.failure for sink in sinks if sink.read_enough), None)
        raise broken or EngineError(f"no sink is left: {_reason(failures[0])}") from failures[0]


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) if isinstance(error, CampusError) else reason_of(error)
