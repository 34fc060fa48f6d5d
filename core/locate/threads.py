"""NumPy's matrix products on one thread."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from threading import Lock
from typing import Any

from core.errors import MissingDependency

_lock = Lock()
_within = 0  # blocks that run now, on all threads
_limit: Any = None  # what the first of them set


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Within it NumPy's BLAS keeps to the calling thread, whatever was set before; after it, as before.

    The number of threads is the whole process's, so of blocks that overlap on several threads the first sets it and
    the last sets it back. A fix's products take microseconds. OpenBLAS gives them to all cores, where its threads wait
    by spinning: beside other work that made a fix many times slower.
    """
    global _within, _limit
    controller = _controller()
    with _lock:
        if not _within:
            _limit = controller.limit(limits=1, user_api="blas")
        _within += 1
    try:
        yield
    finally:
        with _lock:
            _within -= 1
            if not _within:
                _limit.restore_original_limits()


def _begin_anew() -> None:
    """A fork's child has none of the threads that were within, nor the one that may have held the lock."""
    global _lock, _within
    _lock, _within = Lock(), 0


os.register_at_fork(after_in_child=_begin_anew)


@lru_cache(maxsize=1)
def _controller() -> Any:
    """Finding the libraries takes a millisecond, setting their threads microseconds."""
    import numpy as np  # noqa: F401 - its BLAS has to be loaded before it can be found

    try:
        from threadpoolctl import ThreadpoolController
    except ImportError as error:
        raise MissingDependency("threadpoolctl", "requirements.txt") from error
    return ThreadpoolController()
