"""How long a HEIC's pixels will take its decoder, told before they are decoded."""

from __future__ import annotations

import io
import math
from typing import BinaryIO

# Measured on one busy core, libde265 1.1: a pixel takes so long whatever is coded of it, and so much more by the root
# of its bits. Photos of every quality and noise keep to it within a third, from 0.1 to 19 bits a pixel.
_SECONDS_A_PIXEL, _SECONDS_A_ROOT_BIT = 18e-9, 33e-9
_MOST_BITS = 15  # a pixel of noise takes no more: of fewer pixels than this tells, the file hides some
_SAMPLES = {444: 2.0, 422: 4 / 3}  # in shares of a pixel's with halved colour, 4:2:0


def decoding_seconds(data: bytes, pixels: int, chroma: int | None) -> float:
    """Of a HEIF file whose picture has so many pixels, on one busy core.

    chroma: 420, 422 or 444 as libheif says it, None where it does not.
    """
    bits = 8 * coded_bytes(data)
    work = max(pixels * _SAMPLES.get(chroma or 0, 1.0), bits / _MOST_BITS)
    return _SECONDS_A_PIXEL * work + _SECONDS_A_ROOT_BIT * math.sqrt(bits * work)


def coded_bytes(data: bytes) -> int:
    """How many bytes a HEIF file gives its decoder: what a grid names several times is decoded as often.

    From its boxes `iloc` (ISO/IEC 14496-12, section 8.11.3) and `iref`. Where those cannot be read, all of the file.
    """
    try:
        start, end = _box(data, b"meta", 0, len(data))
        meta = data[start:end]
        sizes = _item_bytes(io.BytesIO(_content(meta, b"iloc")), len(data))
    except ValueError:
        return len(data)
    try:
        tiles = _tiles(io.BytesIO(_content(meta, b"iref")))
    except ValueError:  # none: the picture is in one piece
        tiles = []
    return max(sum(sizes.values()), sum(sizes.get(tile, 0) for tile in tiles))


def _content(meta: bytes, kind: bytes) -> bytes:
    """Of a box within the `meta` box, behind whose first 4 bytes its boxes stand."""
    start, end = _box(meta, kind, 4, len(meta))
    return meta[start:end]


def _box(data: bytes, kind: bytes, at: int, end: int) -> tuple[int, int]:
    """Where the content of the first such box begins and ends. Raises ValueError where there is none."""
    while at + 8 <= end:
        size, head = int.from_bytes(data[at : at + 4], "big"), 8
        if size == 1:
            size, head = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        size = size or end - at  # 0: to the end
        if data[at + 4 : at + 8] == kind:
            return at + head, min(at + size, end)
        at += max(size, head)
    raise ValueError(f"no box {kind!r}")


def _number(file: BinaryIO, size: int) -> int:
    read = file.read(size)
    if len(read) < size:
        raise ValueError("cut short")
    return int.from_bytes(read, "big")


def _item_bytes(iloc: BinaryIO, whole: int) -> dict[int, int]:
    """Item -> the sum of its extents' lengths; an extent without one is the `whole` file."""
    version, _, sizes, more = (_number(iloc, size) for size in (1, 3, 1, 1))
    offset, length, base, index = sizes >> 4, sizes & 15, more >> 4, more & 15 if version else 0
    wide, found = 4 if version == 2 else 2, dict[int, int]()
    for _ in range(_number(iloc, wide)):
        item = _number(iloc, wide)
        _number(iloc, (2 if version else 0) + 2 + base)  # how it is stored, in which file, from where
        for _ in range(_number(iloc, 2)):
            _number(iloc, index + offset)
            found[item] = found.get(item, 0) + (_number(iloc, length) or whole)
    return found


def _tiles(iref: BinaryIO) -> list[int]:
    """The items that grids are made of, each as often as it is named."""
    wide, found = 4 if _number(iref, 4) >> 24 else 2, list[int]()
    while head := iref.read(8):
        _number(iref, wide)  # the grid
        items = [_number(iref, wide) for _ in range(_number(iref, 2))]
        found += items if head[4:] == b"dimg" else []
    return found
