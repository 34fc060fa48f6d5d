"""Processes that share work on a campus's photos."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context

from core.cli.orphans import end_with_parent
from core.errors import DatasetError


@contextmanager
def process_pool(workers: int, remedy: str) -> Iterator[ProcessPoolExecutor]:
    """So many fresh processes, which end with this one; DatasetError with `remedy` where one is lost."""
    # Forking a process that has threads (NumPy's, PyTorch's) can lock up.
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=end_with_parent)
    try:
        yield pool
    except BrokenProcessPool:
        reason = "a worker process ended without a word, probably for lack of memory"
        raise DatasetError(reason, remedy=remedy) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def usable_cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
