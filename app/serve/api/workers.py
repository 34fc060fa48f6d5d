"""Processes that locate photos, each with a Localizer of its own, so that every core answers photos."""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path
from threading import Lock

from core.locate.fix import Fix
from core.locate.localizer import Localizer

_opened: Localizer | None = None  # in a worker: the campus that it serves


class LocateWorkers:
    """A pool that starts with its first photo and is made anew when a process of it dies."""

    def __init__(self, bundle: Path, processes: int) -> None:
        self._bundle, self._processes = bundle, processes
        self._pool: ProcessPoolExecutor | None = None
        self._lock = Lock()

    def locate(self, photos: Sequence[bytes]) -> Fix:
        """The fix of one photo, or of several of one standpoint, without its probability map.

        Raises PhotoError where a photo cannot be read, BrokenProcessPool where a process died of it.
        """
        pool = self._running()
        try:
            return pool.submit(_locate, tuple(photos)).result()
        except BrokenProcessPool:
            self._forget(pool)
            raise

    def close(self) -> None:
        """End the processes; a later photo starts others."""
        with self._lock:
            if self._pool is not None:
                self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None

    def _running(self) -> ProcessPoolExecutor:
        with self._lock:
            if self._pool is None:
                # Spawned, not forked: a fork of a process with threads may hold their locks for ever.
                context = multiprocessing.get_context("spawn")
                self._pool = ProcessPoolExecutor(self._processes, context, _open, (self._bundle,))
            return self._pool

    def _forget(self, broken: ProcessPoolExecutor) -> None:
        with self._lock:
            if self._pool is broken:
                self._pool = None
        broken.shutdown(wait=False)


def _open(path: Path) -> None:
    global _opened
    _opened = Localizer.load(path, threads=1)  # a core for each process


def _locate(photos: tuple[bytes, ...]) -> Fix:
    assert _opened is not None
    fix = _opened.locate(photos[0]) if len(photos) == 1 else _opened.locate_together(photos)
    return replace(fix, probability=None)
