"""Decoded photos, cached once as a memory-mapped array."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import repeat
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from core.io.files import written_atomically
from core.photo.preprocess import load_network_image


def decode_images(paths: list[Path], size: int) -> NDArray[np.uint8]:
    """(N, size, size, 3) uint8: the photos as the network sees them."""
    images = np.empty((len(paths), size, size, 3), np.uint8)
    for index, image in enumerate(_decoded(paths, size)):
        images[index] = image
    return images


def cached_images(paths: list[Path], size: int, cache: Path) -> NDArray[np.uint8]:
    """The same, read-only and memory-mapped: decoded once into `cache`/images-SIZE-KEY.npy.

    The cache is found again by the photos' paths from there, sizes and times, so a changed photo is decoded anew. Then
    what was decoded at this size before is deleted.
    """
    stats = [(os.path.relpath(path, cache), path.stat().st_size, path.stat().st_mtime_ns) for path in paths]
    key = hashlib.sha256(repr((size, stats)).encode()).hexdigest()[:16]
    file = cache / f"images-{size}-{key}.npy"
    if not file.exists():
        header = {"descr": "|u1", "fortran_order": False, "shape": (len(paths), size, size, 3)}
        # Written, not mapped: on a full disk a mapped file ends the process with a bus error, without a word.
        with written_atomically(file) as temporary, temporary.open("wb") as stream:
            np.lib.format.write_array_header_1_0(stream, header)
            for image in _decoded(paths, size):
                stream.write(np.ascontiguousarray(image).data)
        for stale in cache.glob(f"images-{size}-*.npy"):
            if stale != file:
                with suppress(OSError):  # Windows keeps what another process reads
                    stale.unlink()
    images: NDArray[np.uint8] = np.load(file, mmap_mode="r")
    return images


def _decoded(paths: list[Path], size: int) -> Iterator[NDArray[np.uint8]]:
    """Each photo as (size, size, 3) uint8, in order. Threads suffice: Pillow decodes outside Python's lock."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from tqdm(pool.map(load_network_image, paths, repeat(size)), "decoding", len(paths), disable=None)
