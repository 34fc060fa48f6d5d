"""A process of its own for photos, so that one which kills its process costs a row and nothing else."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from typing import Any

from core.archive.rows import Row
from core.cli.orphans import end_with_parent

Locate = Callable[[Sequence[str], Sequence[Any]], Sequence[Row]]  # of photos' names, and of what `load_photo` takes

_TRIES = 2  # of a photo by itself: what ended its process may have been another's hunger for memory


class Child:
    """A process that locates photos, and is replaced when one of them kills it."""

    def __init__(self, locate: Locate) -> None:
        self._locate, self._process = locate, _started()

    def located(self, names: Sequence[str], sources: Sequence[Any]) -> list[Row]:
        """The row of each photo; one that kills the process by itself too is a row that says so.

        Raises what `locate` raises.
        """
        try:
            return self._asked(names, sources)
        except BrokenProcessPool:
            # Which of them it was, only each by itself tells.
            return [self._alone(name, source) for name, source in zip(names, sources, strict=True)]

    def close(self) -> None:
        """End the process, and wait until it has ended."""
        self._process.shutdown()

    def _alone(self, name: str, source: Any) -> Row:
        for _ in range(_TRIES):
            with suppress(BrokenProcessPool):
                return self._asked([name], [source])[0]
        return Row(name, error=f"the process that located this photo was lost, {1 + _TRIES} times")

    def _asked(self, names: Sequence[str], sources: Sequence[Any]) -> list[Row]:
        try:
            return list(self._process.submit(self._locate, names, sources).result())
        except BrokenProcessPool:
            self._process = _started()
            raise


def _started() -> ProcessPoolExecutor:
    """The process itself starts with its first photos, and ends with its parent at the latest."""
    return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), end_with_parent)
