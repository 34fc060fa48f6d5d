"""Walks that callers carry on over HTTP: Bayes filters under names of the callers', forgotten when left alone."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from app.gate import Gate
from core.locate.fix import Fix
from core.locate.localizer import Localizer
from core.locate.walk import Walk

MOST_WALKS = 64  # a walk's map of a 500 m campus at 2 m is 0.25 MB
LEFT_ALONE_S = 600.0
_IN_LINE = 3  # photos of one walk that wait for the one before them: each holds a thread


class TooManyWalks(Exception):
    """Every walk that may be kept is in use."""


@dataclass
class _Kept:
    localizer: Localizer
    walk: Walk
    used_s: float
    line: Gate = field(default_factory=lambda: Gate(at_once=1, waiting=_IN_LINE))


class Walks:
    """The walks of one server. Safe to share between threads; the photos of one walk are added one after the other."""

    def __init__(self, bundle: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._bundle, self._clock = bundle, clock
        self._localizer: Localizer | None = None
        self._walks: OrderedDict[str, _Kept] = OrderedDict()
        self._lock = Lock()

    def add(
        self,
        name: str,
        photo: bytes,
        time_s: float | None,
        turn: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> Fix:
        """Add a photo to the walk of that name, begun with its first one.

        `turn` is what a photo waits for that is the next of its walk: those behind it take no turn from others.
        A photo of no known time is of now; where this machine's clock was set back meanwhile, the walk restarts.
        Raises TooManyWalks, BusyError, PhotoError, and TimeReversed for a photo older than the walk's last.
        """
        kept = self._of(name)
        with kept.line.turn(), turn():
            reading = kept.localizer.read(photo)
            if time_s is None and reading.capture.taken is None:
                return kept.walk.add_or_restart(reading)
            return kept.walk.add_reading(reading, time_s)

    def end(self, name: str) -> bool:
        """Forget a walk; whether there was one."""
        with self._lock:
            return self._walks.pop(name, None) is not None

    def _of(self, name: str) -> _Kept:
        with self._lock:
            now = self._clock()
            while self._walks and now - next(iter(self._walks.values())).used_s > LEFT_ALONE_S:
                self._walks.popitem(last=False)
            if name not in self._walks:
                if len(self._walks) >= MOST_WALKS:
                    raise TooManyWalks
                if self._localizer is None:
                    self._localizer = Localizer.load(self._bundle)
                self._walks[name] = _Kept(self._localizer, self._localizer.walk(keep=0), now)
            self._walks[name].used_s = now
            self._walks.move_to_end(name)
            return self._walks[name]
