"""An archive located on one machine: by one process or several, with progress, into a journal."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from core.archive.child import Child
from core.archive.journal import Journal
from core.archive.rows import ArchiveTally, Row, row_of
from core.errors import MissingDependency, PhotoError, reason_of
from core.locate.localizer import Localizer
from core.locate.many import BATCH

_AHEAD = 2  # tasks given to each process before it asks
_TURNS = 4  # tasks of each process at least, so that all have work


def locate_archive(photos: Sequence[str], bundle: Path, journal: Journal, jobs: int = 1) -> ArchiveTally:
    """Locate the photos that the open journal does not hold yet, and finish it.

    A photo that cannot be located becomes a row with its reason.
    """
    left = [photo for photo in photos if not journal.has(photo)]
    failed = 0
    rows = _by_batches(left, bundle) if jobs == 1 else _by_processes(left, bundle, jobs)
    for row in with_progress(rows, len(photos), len(photos) - len(left)):
        journal.add(row)
        failed += row.error is not None
    journal.finish()
    return ArchiveTally(len(left) - failed, failed, len(photos) - len(left))


def located(
    localizer: Localizer, names: Sequence[str], sources: Sequence[Any], threads: int | None = None
) -> Iterator[Row]:
    """The row of each photo, by its name and what `load_photo` takes.

    What one photo makes fail is its row's reason, whatever it is: a network's value that is no number, no memory left.
    Raises what fails for all photos around it alike, and MissingDependency.
    """
    done = 0
    while done < len(names):
        try:
            for name, fix in zip(names[done:], localizer.locate_many(sources[done:], BATCH, threads), strict=True):
                done += 1
                yield row_of(name, fix)
        except MissingDependency:
            raise
        except Exception:
            # Which photo of a batch it was, only each by itself tells.
            batch = slice(done, done + BATCH)
            rows = _one_by_one(localizer, names[batch], sources[batch])
            done += len(rows)
            yield from rows


def _one_by_one(localizer: Localizer, names: Sequence[str], sources: Sequence[Any]) -> list[Row]:
    rows, failures = [], list[Exception]()
    for name, source in zip(names, sources, strict=True):
        try:
            rows.append(row_of(name, localizer.locate(source)))
        except PhotoError as error:
            rows.append(row_of(name, error))
        except Exception as error:
            failures.append(error)
            rows.append(Row(name, error=f"{name}: cannot be located ({reason_of(error)})"))
    if len(failures) == len(rows) > 1:  # no photo's fault
        raise failures[0]
    return rows


def _by_batches(photos: Sequence[str], bundle: Path) -> Iterator[Row]:
    return located(Localizer.load(bundle), photos, list(map(Path, photos)))


def _by_processes(photos: Sequence[str], bundle: Path, jobs: int) -> Iterator[Row]:
    """Rows in the photos' order. With their network's turn taken together they cost a tenth less."""
    size = max(1, min(BATCH, len(photos) // (_TURNS * jobs)))
    waiting = (photos[at : at + size] for at in range(0, len(photos), size))
    asked: deque[Future[list[Row]]] = deque()
    children = [Child(partial(located_alone, str(bundle), 1)) for _ in range(jobs)]
    free = SimpleQueue[Child]()

    def by_a_child(names: Sequence[str]) -> list[Row]:
        child = free.get()
        try:
            return child.located(names, list(map(Path, names)))
        finally:
            free.put(child)

    with ExitStack() as stack, ThreadPoolExecutor(jobs) as threads:
        for child in children:
            stack.callback(child.close)
            free.put(child)
        while True:
            asked += [threads.submit(by_a_child, task) for task in islice(waiting, jobs * _AHEAD - len(asked))]
            if not asked:
                return
            yield from asked.popleft().result()


def located_alone(bundle: str, threads: int, names: Sequence[str], sources: Sequence[Any]) -> list[Row]:
    """In a process that has a core of its own: the row of each photo, read in so many threads."""
    return list(located(_opened(Path(bundle)), names, sources, threads))


@lru_cache(1)
def _opened(bundle: Path) -> Localizer:
    return Localizer.load(bundle, threads=1)


def with_progress(rows: Iterator[Row], total: int, before: int) -> Iterator[Row]:
    """The rows, with a bar on standard error that tells the time left."""
    try:
        from tqdm import tqdm
    except ImportError as error:
        raise MissingDependency("tqdm", "requirements.txt") from error
    yield from tqdm(rows, total=total, initial=before, unit="photo", file=sys.stderr, dynamic_ncols=True)
