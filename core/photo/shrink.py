"""Pixels made fewer: Pillow's own resize, without Pillow's copy of a large photo."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_GAP = 3.0  # where a side is more than so many times too long, whole blocks are averaged first
_STRIP_BYTES = 1 << 18  # of sums: what the cache holds


def resized(rgb: NDArray[np.uint8], width: int, height: int, kind: str) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB -> (height, width, 3), C-contiguous; `kind` is a filter of Pillow's, such as "LANCZOS".

    To the bit what the `resize(…, reducing_gap=3.0)` of a Pillow before 13 gives, which would first copy the whole
    photo to 4 bytes a pixel: of 12 megapixels that takes longer than all the rest. Across first, then down, whatever
    the Pillow: 13 goes down first where that is less work, and pixels are rounded between the two.
    """
    from PIL import Image

    tall, wide = rgb.shape[:2]
    across, down = (int(side / wanted / _GAP) or 1 for side, wanted in ((wide, width), (tall, height)))
    if across > 1 or down > 1:
        rgb = _averaged(rgb, across, down)
    kinds: Any = getattr(Image, "Resampling", Image)  # the module itself before Pillow 9.1: Ubuntu 22.04, JetPack 6
    by, rows = getattr(kinds, kind), len(rgb)
    narrow = Image.fromarray(rgb).resize((width, rows), by, box=(0, 0, wide / across, rows))
    small = narrow.resize((width, height), by, box=(0, 0, width, tall / down))
    return np.ascontiguousarray(small, dtype=np.uint8)


def _averaged(rgb: NDArray[np.uint8], across: int, down: int) -> NDArray[np.uint8]:
    """Blocks of (down, across) pixels averaged, those at the right and lower edge of what there is of them."""
    tall, wide = rgb.shape[:2]
    out = np.empty((-(-tall // down), -(-wide // across), 3), np.uint8)
    whole_rows, whole_columns = tall // down, wide // across
    if wide % across:
        _by_pillow(rgb[: whole_rows * down, whole_columns * across :], across, down, out[:whole_rows, whole_columns:])
    if tall % down:
        _by_pillow(rgb[whole_rows * down :], across, down, out[whole_rows:])
    rows = max(1, _STRIP_BYTES // (6 * wide))
    for top in range(0, whole_rows, rows):
        strip = out[top : min(top + rows, whole_rows), :whole_columns]
        _whole_blocks(rgb[top * down : (top + len(strip)) * down], across, down, strip)
    return out


def _whole_blocks(rgb: NDArray[np.uint8], across: int, down: int, out: NDArray[np.uint8]) -> None:
    """Sums of rows, then of neighbours at every place: NumPy adds long runs fast. Each `across`-th is a block's."""
    area, (rows, columns) = across * down, out.shape[:2]
    exact: type[np.unsignedinteger[Any]] = np.uint16 if 255 * area < 1 << 16 else np.uint32
    sums = rgb.reshape(rows, down, -1).sum(axis=1, dtype=exact)
    reach = 3 * (across * (columns - 1) + 1)
    blocks = sums[:, :reach].copy()
    for right in range(1, across):
        blocks += sums[:, 3 * right : 3 * right + reach]
    blocks = blocks.reshape(rows, -1, 3)[:, ::across].astype(np.uint32)
    # Pillow's rounding, a division by multiplying, to the bit.
    blocks += area // 2
    blocks *= (1 << 24) // area
    blocks >>= 24
    out[...] = blocks


def _by_pillow(rgb: NDArray[np.uint8], across: int, down: int, out: NDArray[np.uint8]) -> None:
    """The same of an edge, whose blocks are not whole."""
    from PIL import Image

    out[...] = np.asarray(Image.fromarray(np.ascontiguousarray(rgb)).reduce((across, down)))
