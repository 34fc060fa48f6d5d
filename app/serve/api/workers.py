"""Processes that locate photos, each with a Localizer of its own, so that every core answers photos."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from threading import Lock

from core.cli.orphans import end_with_parent
from core.locate.fix import Fix
from core.locate.localizer import Localizer


class LocateWorkers:
    """A pool that starts with its first photo and is made anew when a process of it dies."""

    def __init__(self, bundle: Path, processes: int) -> None:
        self._bundle, self._processes = bundle, processes
        self._pool: ProcessPoolExecutor | None = None
        self._lends = True  # until a process may not open what this one lends it
        self._lock = Lock()

    def locate(self, photos: Sequence[bytes]) -> Fix:
        """The fix of one photo, or of several of one standpoint, without its probability map.

        Raises PhotoError where a photo cannot be read, CampusError where the campus cannot be opened, and
        BrokenProcessPool where a process died of it.
        """
        pool = self._running()
        try:
            return self._asked(pool, tuple(photos))
        except BrokenProcessPool:
            self._forget(pool)
            raise

    def _asked(self, pool: ProcessPoolExecutor, photos: tuple[bytes, ...]) -> Fix:
        if self._lends:
            try:
                with _lent(photos) as lent:
                    return pool.submit(_locate, self._bundle, lent).result()
            except _NotLentError:
                self._lends = False
        return pool.submit(_locate, self._bundle, photos).result()

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
                self._pool = ProcessPoolExecutor(self._processes, context, end_with_parent)
            return self._pool

    def _forget(self, broken: ProcessPoolExecutor) -> None:
        with self._lock:
            if self._pool is broken:
                self._pool = None
        broken.shutdown(wait=False)


@lru_cache(maxsize=1)
def _opened(bundle: Path) -> Localizer:
    """In a worker: the campus that it serves. One that cannot be opened is tried again with the next photo."""
    return Localizer.load(bundle, threads=1)  # a core for each process


class _NotLentError(Exception):
    """A process may not open the memory of the one that lends it, as under another user or in a hardened service."""


@dataclass(frozen=True)
class _Lent:
    """Photos of so many bytes each, one after the other in a file of memory alone."""

    path: str
    sizes: tuple[int, ...]

    def read(self) -> tuple[bytes, ...]:
        try:
            with open(self.path, "rb") as memory:
                return tuple(memory.read(size) for size in self.sizes)
        except OSError as error:
            raise _NotLentError(str(error)) from None


@contextmanager
def _lent(photos: tuple[bytes, ...]) -> Iterator[_Lent | tuple[bytes, ...]]:
    """What a worker is sent: where the photos lie in this process's memory, or where that cannot be, the photos.

    A pool's pipe holds 64 kB: a phone's photo goes through it in ten turns or more of both processes.
    """
    try:
        descriptor = os.memfd_create("photos")
    except (AttributeError, OSError):  # not on Linux, or out of handles
        yield photos
        return
    with open(descriptor, "wb") as memory:
        memory.writelines(photos)
        memory.flush()
        yield _Lent(f"/proc/{os.getpid()}/fd/{descriptor}", tuple(map(len, photos)))


def _locate(bundle: Path, lent: _Lent | tuple[bytes, ...]) -> Fix:
    photos, localizer = lent.read() if isinstance(lent, _Lent) else lent, _opened(bundle)
    fix = localizer.locate(photos[0]) if len(photos) == 1 else localizer.locate_together(photos)
    return replace(fix, probability=None)
