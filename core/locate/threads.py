"""NumPy's matrix products on one thread."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import lru_cache
from typing import Any

from core.errors import MissingDependency


def one_blas_thread() -> AbstractContextManager[Any]:
    """Within it NumPy's BLAS keeps to the calling thread, whatever was set before; after it, as before.

    A fix's products take microseconds. OpenBLAS gives them to all cores, where its threads wait by spinning: beside
    other work that made a fix many times slower.
    """
    return _controller().limit(limits=1, user_api="blas")  # type: ignore[no-any-return]


@lru_cache(maxsize=1)
def _controller() -> Any:
    """Finding the libraries takes a millisecond, setting their threads microseconds."""
    import numpy as np  # noqa: F401 - its BLAS has to be loaded before it can be found

    try:
        from threadpoolctl import ThreadpoolController
    except ImportError as error:
        raise MissingDependency("threadpoolctl", "requirements.txt") from error
    return ThreadpoolController()
