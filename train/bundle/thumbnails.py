"""Small pictures of a gallery's photos, faces and number plates painted over."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from core.campus.thumbnails import THUMBNAIL_PX
from core.photo.blur.blur import Blur, process_blur
from core.photo.blur.models import THREADS
from core.photo.load import load_photo
from train.dataset.workers import process_pool, usable_cores

LOOKED_PX = 2 * THUMBNAIL_PX  # a face that can be told in the thumbnail is large enough here to be found
_QUALITY = 70
_LEAST_SHARE = 24  # photos of a process: with fewer, starting it costs more than it saves


def small_pictures(photos: Sequence[Path]) -> tuple[bytes, ...]:
    """A JPEG of at most THUMBNAIL_PX of each photo, made on all cores.

    Raises PhotoError, DatasetError where a process is lost, MissingDependency and EngineError as `process_blur` does.
    """
    workers = min(usable_cores(), len(photos) // _LEAST_SHARE)
    with ExitStack() as stack:
        made: Iterator[bytes] = map(_small, photos)
        if workers > 1:  # each on one core: two that share two wait for one another
            pool = stack.enter_context(process_pool(workers, "free some memory, then run the same command again"))
            made = pool.map(partial(_small, threads=1), photos, chunksize=4)
        return tuple(tqdm(made, "thumbnails", len(photos), unit="photo", disable=None))


def _small(path: Path, threads: int = THREADS) -> bytes:
    return small_picture(load_photo(path, min_side=LOOKED_PX).rgb, process_blur(threads))


def small_picture(rgb: NDArray[np.uint8], blur: Blur) -> bytes:
    """A JPEG of at most THUMBNAIL_PX of (H, W, 3) uint8 RGB, faces and number plates painted over."""
    image = Image.fromarray(rgb)
    image.thumbnail((LOOKED_PX, LOOKED_PX), reducing_gap=2.0)
    painted = Image.fromarray(blur.painted(np.asarray(image)))
    painted.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    out = io.BytesIO()
    painted.save(out, "JPEG", quality=_QUALITY, optimize=True)
    return out.getvalue()
