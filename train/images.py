"""Decoded photos, cached once as a memory-mapped array, and augmented in batches on the training device."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from core.files import written_aside
from core.photo import load_network_image


def decode_images(paths: list[Path], size: int) -> NDArray[np.uint8]:
    """(N, size, size, 3) uint8: the photos as the network sees them."""
    images = np.empty((len(paths), size, size, 3), np.uint8)
    for index, image in enumerate(_decoded(paths, size)):
        images[index] = image
    return images


def cached_images(paths: list[Path], size: int, cache: Path) -> NDArray[np.uint8]:
    """The same, read-only and memory-mapped: decoded once into `cache`/images-SIZE-KEY.npy.

    The cache is found again by the photos' paths, sizes and times, so a changed photo is decoded anew.
    """
    stats = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in paths]
    key = hashlib.sha256(repr((size, stats)).encode()).hexdigest()[:16]
    file = cache / f"images-{size}-{key}.npy"
    if not file.exists():
        header = {"descr": "|u1", "fortran_order": False, "shape": (len(paths), size, size, 3)}
        # Written, not mapped: on a full disk a mapped file ends the process with a bus error, without a word.
        with written_aside(file) as aside, aside.open("wb") as stream:
            np.lib.format.write_array_header_1_0(stream, header)
            for image in _decoded(paths, size):
                stream.write(np.ascontiguousarray(image).data)
    images: NDArray[np.uint8] = np.load(file, mmap_mode="r")
    return images


def _decoded(paths: list[Path], size: int) -> Iterator[NDArray[np.uint8]]:
    """Each photo as (size, size, 3) uint8, in order. Threads suffice: Pillow decodes outside Python's lock."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from tqdm(pool.map(load_network_image, paths, repeat(size)), "decoding", len(paths), disable=None)


def augment(images: Tensor, night: Tensor, generator: torch.Generator) -> Tensor:
    """(B, S, S, 3) uint8 and (B,) bool -> (B, 3, S, S) float32 in 0..255, each photo changed in its own way.

    Small turns, shifts and scalings, brightness, contrast, saturation and tint, and erased boxes. Day photos
    are darkened mildly now and then, night photos never further. No flips: a mirrored place is another place.
    """
    x = images.permute(0, 3, 1, 2).float()
    count, _, size, _ = x.shape
    device = x.device

    def uniform(low: float, high: float) -> Tensor:
        return torch.empty(count, device=device).uniform_(low, high, generator=generator).view(-1, 1, 1, 1)

    turn, zoom = uniform(-0.09, 0.09).flatten(), uniform(0.88, 1.06).flatten()
    theta = torch.zeros(count, 2, 3, device=device)
    theta[:, 0, 0] = theta[:, 1, 1] = torch.cos(turn) * zoom
    theta[:, 0, 1], theta[:, 1, 0] = -torch.sin(turn) * zoom, torch.sin(turn) * zoom
    theta[:, 0, 2], theta[:, 1, 2] = uniform(-0.08, 0.08).flatten(), uniform(-0.08, 0.08).flatten()
    where = torch.nn.functional.affine_grid(theta, list(x.shape), align_corners=False)
    x = torch.nn.functional.grid_sample(x, where, padding_mode="reflection", align_corners=False)

    day = (~night).view(-1, 1, 1, 1)
    darken = torch.where((uniform(0, 1) < 0.25) & day, uniform(0.4, 0.7), torch.ones(1, device=device))
    x = x * uniform(0.75, 1.25) * darken
    mean = x.mean(dim=(1, 2, 3), keepdim=True)
    x = (x - mean) * uniform(0.75, 1.25) + mean
    grey = x.mean(dim=1, keepdim=True)
    x = (x - grey) * uniform(0.6, 1.35) + grey
    tint = torch.empty(count, 3, 1, 1, device=device).uniform_(0.9, 1.1, generator=generator)
    x = x * tint

    # Up to one box is erased in a third of the photos, as a passer-by or a parked car would.
    side_y, side_x = uniform(0.1, 0.4) * size, uniform(0.1, 0.4) * size
    top, left = uniform(0, 1) * (size - side_y), uniform(0, 1) * (size - side_x)
    rows = torch.arange(size, device=device).view(1, 1, -1, 1)
    columns = torch.arange(size, device=device).view(1, 1, 1, -1)
    box = (rows >= top) & (rows < top + side_y) & (columns >= left) & (columns < left + side_x)
    x = torch.where(box & (uniform(0, 1) < 0.33), mean, x)
    return x.clamp(0, 255)
