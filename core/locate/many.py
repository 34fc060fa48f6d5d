"""Many photos in batches: decoding and maps in threads, the network between them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from core.errors import PhotoError
from core.locate.reading import Prepared

if TYPE_CHECKING:
    from core.locate.open_campus import OpenCampus
    from core.locate.reading import Reading

Result = TypeVar("Result")

BATCH = 16
_AHEAD = 2  # batches that are decoded before the network takes them


def each_of_many(
    campus: OpenCampus, photos: Iterable[Any], then: Callable[[Reading], Result], batch: int = BATCH,
    threads: int | None = None,
) -> Iterator[Result | PhotoError]:  # fmt: skip
    """`then` of each photo's reading, in the photos' order; a PhotoError in place of one that cannot be read.

    `photos` is drawn from as the answers are taken, a few batches ahead. Decoding and `then` run in `threads` threads
    (None: as many as the localizer has), so on several cores the network's turn is theirs too. Full-size pixels live in
    the decoding threads alone.
    """
    if batch < 1:
        raise ValueError(f"batch {batch}: must be at least 1")
    waiting = iter(photos)
    pool = ThreadPoolExecutor(threads or campus.threads, "locate")
    decoding: deque[list[Future[Prepared]]] = deque()
    finishing: deque[list[Future[Result] | PhotoError]] = deque()
    try:
        while True:
            while len(decoding) < _AHEAD and (taken := list(islice(waiting, batch))):
                decoding.append([pool.submit(_prepared, campus, photo) for photo in taken])
            if decoding:
                prepared = [_outcome(future) for future in decoding.popleft()]
                finishing.append(_answered(campus, prepared, then, pool))
            if len(finishing) > 1 or (finishing and not decoding):
                yield from (_outcome(each) if isinstance(each, Future) else each for each in finishing.popleft())
            elif not decoding:
                return
    finally:
        # Not waited for: an iterator left half taken is closed by whichever thread collects it, one of these as well.
        pool.shutdown(wait=False, cancel_futures=True)


def all_readable(found: Iterable[Result | PhotoError]) -> Iterator[Result]:
    """The results, or the first PhotoError among them raised."""
    for each in found:
        if isinstance(each, PhotoError):
            raise each
        yield each


def _prepared(campus: OpenCampus, photo: Any) -> Prepared:
    """`Localizer.prepare`, without the photo's own pixels, which a batch of large photos would fill the memory with."""
    prepared = campus.prepare(photo)
    if prepared.canvas is None:
        return prepared
    canvas = prepared.canvas()
    return replace(prepared, canvas=lambda: canvas)


def _outcome(future: Future[Any]) -> Any:
    """What a thread made of a photo, or its PhotoError."""
    try:
        return future.result()
    except PhotoError as error:
        return error


def _answered(
    campus: OpenCampus, prepared: list[Prepared | PhotoError], then: Callable[[Reading], Result],
    pool: ThreadPoolExecutor,
) -> list[Future[Result] | PhotoError]:  # fmt: skip
    """Run the network on those photos of a batch that could be read, and start `then` of each."""
    readable = [one for one in prepared if isinstance(one, Prepared)]
    if not readable:
        return [one for one in prepared if isinstance(one, PhotoError)]
    started = time.perf_counter()
    heads = campus.engine.run(np.stack([one.image for one in readable]))
    each_ms = 1e3 * (time.perf_counter() - started) / len(readable)

    def finish(index: int, one: Prepared) -> Result:
        return then(campus.reading(one, heads.one(index), each_ms))

    started_ones = iter([pool.submit(finish, index, one) for index, one in enumerate(readable)])
    return [one if isinstance(one, PhotoError) else next(started_ones) for one in prepared]
