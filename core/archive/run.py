"""An archive located on one machine: by one process or several, with progress, into a journal."""

from __future__ import annotations

import multiprocessing
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from pathlib import Path

from core.archive.journal import Journal
from core.archive.rows import Row, Tally, row_of
from core.errors import MissingDependency, PhotoError
from core.locate.localizer import Localizer

_AHEAD = 4  # photos given to each process before it asks
_opened: Localizer | None = None  # in a worker: the campus that it serves


def locate_archive(photos: Sequence[str], bundle: Path, journal: Journal, jobs: int = 1) -> Tally:
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
    return Tally(len(left) - failed, failed, len(photos) - len(left))


def _by_batches(photos: Sequence[str], bundle: Path) -> Iterator[Row]:
    return map(row_of, photos, Localizer.load(bundle).locate_many(map(Path, photos)))


def _by_processes(photos: Sequence[str], bundle: Path, jobs: int) -> Iterator[Row]:
    """Rows in the photos' order. A lost process costs a new pool; a photo that loses two becomes a row that says so."""
    Localizer.load(bundle)  # what is wrong with the bundle is said once, and not as a lost process
    done, lost_at = 0, -1
    while done < len(photos):
        try:
            for row in _by_a_pool(photos[done:], bundle, jobs):
                yield row
                done += 1
        except BrokenProcessPool:
            if lost_at == done:
                yield Row(photos[done], error="the process that located this photo was lost, twice")
                done += 1
            lost_at = done


def _by_a_pool(photos: Sequence[str], bundle: Path, jobs: int) -> Iterator[Row]:
    waiting = iter(photos)
    asked: deque[Future[Row]] = deque()
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), _open, (bundle,)) as pool:
        while True:
            asked += [pool.submit(_located, photo) for photo in islice(waiting, jobs * _AHEAD - len(asked))]
            if not asked:
                return
            yield asked.popleft().result()


def _open(path: Path) -> None:
    global _opened
    _opened = Localizer.load(path, threads=1)  # a core for each process


def _located(photo: str) -> Row:
    assert _opened is not None
    try:
        return row_of(photo, _opened.locate(Path(photo)))
    except PhotoError as error:
        return row_of(photo, error)


def with_progress(rows: Iterator[Row], total: int, before: int) -> Iterator[Row]:
    """The rows, with a bar on standard error that tells the time left."""
    try:
        from tqdm import tqdm
    except ImportError as error:
        raise MissingDependency("tqdm", "requirements.txt") from error
    yield from tqdm(rows, total=total, initial=before, unit="photo", file=sys.stderr, dynamic_ncols=True)
