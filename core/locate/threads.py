"""NumPy's matrix products on one thread."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from threading import Lock
from typing import Any

from core.errors import MissingDependency

_making = Lock()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Within it NumPy's BLAS keeps to the calling thread, whatever was set before; after it, as before.

    A fix's products take microseconds. OpenBLAS gives them to all cores, where its threads wait by spinning: beside
    other work that made a fix many times slower. The setting is the process's: of several threads within at a time the
    first one sets it and the last one takes it back. Raises MissingDependency.
    """
    with _making:  # once, also where the first two come together
        held = _held()
    held.enter()
    try:
        yield
    finally:
        held.leave()


class _OneThread:
    """How many hold BLAS to one thread, and what takes it back after the last of them."""

    def __init__(self, controller: Any) -> None:
        self._controller, self._lock = controller, Lock()
        self._holders, self._limit = 0, None

    def enter(self) -> None:
        with self._lock:
            if not self._holders:
                self._limit = self._controller.limit(limits=1, user_api="blas")
            self._holders += 1

    def leave(self) -> None:
        with self._lock:
            self._holders -= 1
            if not self._holders and self._limit is not None:
                self._limit.restore_original_limits()


@lru_cache(maxsize=1)
def _held() -> _OneThread:
    """Finding the libraries takes a millisecond, setting their threads microseconds."""
    import numpy as np  # noqa: F401 - its BLAS has to be loaded before it can be found

    try:
        from threadpoolctl import ThreadpoolController
    except ImportError as error:
        raise MissingDependency("threadpoolctl", "requirements.txt") from error
    return _OneThread(ThreadpoolController())
