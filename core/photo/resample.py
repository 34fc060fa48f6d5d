"""Lanczos and bicubic resampling as products of small matrices: less than half of the time that Pillow's own takes."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Band = tuple[slice, slice, NDArray[np.float32]]  # out, in, weights

_BAND = 6  # pixels of a side made by one product: wider ones multiply more zeros, narrower ones are more calls
_ROWS = 96  # at once: what the cache holds, and too little for BLAS to wake threads for, at 192 pixels
_EXACT = 1 << 22  # Pillow's weights are whole multiples of 1 / this


def _lanczos(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0.0)


def _bicubic(x: NDArray[np.float64]) -> NDArray[np.float64]:
    x = np.abs(x)
    near, far = (1.5 * x - 2.5) * x * x + 1, ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


_FILTERS: dict[str, tuple[Callable[[NDArray[np.float64]], NDArray[np.float64]], float]] = {
    "LANCZOS": (_lanczos, 3.0),
    "BICUBIC": (_bicubic, 2.0),
}


def resample(rgb: NDArray[np.uint8], width: int, height: int, kind: str, box: tuple[float, float]) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB -> (height, width, 3), C-contiguous; `box` is the part of the photo that is wanted, its
    width and height from the upper left corner in pixels.

    The weights of Pillow's `resize`, and its rounding between the two directions, in float32: of ten thousand values
    a few are one apart, seldom two. First across, then down, as Pillow did for long: Pillow 13 turns that round for
    some photos that are higher than wide, whose pixels then differ from those on a device with an older one.
    """
    tall, wide = rgb.shape[:2]
    narrow = np.empty((tall, 3 * width), np.float32)
    for top in range(0, tall, _ROWS):
        rows, strip = rgb[top : top + _ROWS], narrow[top : top + _ROWS]
        lines = rows.reshape(len(rows), 3 * wide).astype(np.float32)
        for out, taken, weights in _bands(wide, box[0], width, kind, 3):
            np.matmul(lines[:, taken], weights, out=strip[:, out])
        _round(strip)
    small = np.empty((height, 3 * width), np.float32)
    for out, taken, weights in _bands(tall, box[1], height, kind, 1):
        np.matmul(weights.T, narrow[taken], out=small[out])
    _round(small)
    return small.astype(np.uint8).reshape(height, width, 3)


def _round(values: NDArray[np.float32]) -> None:
    values += 0.5
    np.floor(values, out=values)
    np.clip(values, 0, 255, out=values)


@lru_cache(maxsize=32)
def _bands(side: int, length: float, wanted: int, kind: str, channels: int) -> list[Band]:
    """For each few of `wanted` pixels in a row: where they lie, which of `side` pixels they are read from, and by
    which weights. `length` of the pixels are wanted; each has so many values side by side as there are channels.
    """
    kernel, reach = _FILTERS[kind]
    scale = float(np.float32(length)) / wanted  # as exact as in Pillow
    stretch = max(scale, 1.0)
    centres = (np.arange(wanted) + 0.5) * scale
    first = np.maximum((centres - reach * stretch + 0.5).astype(int), 0)
    end = np.minimum((centres + reach * stretch + 0.5).astype(int), side)
    pixels = first[:, None] + np.arange((end - first).max())
    weights = np.where(pixels < end[:, None], kernel((pixels + 0.5 - centres[:, None]) / stretch), 0.0)
    weights /= weights.sum(axis=1, keepdims=True)
    matrix = np.zeros((wanted, side + pixels.shape[1]), np.float32)
    matrix[np.arange(wanted)[:, None], pixels] = np.rint(weights * _EXACT) / _EXACT

    bands: list[Band] = []
    for top in range(0, wanted, _BAND):
        rows = slice(top, min(top + _BAND, wanted))
        taken = slice(first[rows].min(), end[rows].max())
        each_channel = np.kron(matrix[rows, taken].T, np.eye(channels)).astype(np.float32)
        bands.append((_times(rows, channels), _times(taken, channels), each_channel))
    return bands


def _times(pixels: slice, channels: int) -> slice:
    return slice(channels * pixels.start, channels * pixels.stop)
