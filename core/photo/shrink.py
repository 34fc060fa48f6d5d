"""Pixels made fewer: Pillow's own resize, without Pillow's copy of a large photo."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_GAP = 3.0  # where a side is more than so many times too long, whole blocks are averaged first
_STRIP_PIXELS = 1 << 18  # 1 MB in Pillow's 4 bytes a pixel: what the cache holds


def resized(rgb: NDArray[np.uint8], width: int, height: int, kind: str) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB -> (height, width, 3), C-contiguous; `kind` is a filter of Pillow's, such as "LANCZOS".

    To the bit what Pillow's `resize(…, reducing_gap=3.0)` gives, which would first copy the whole photo to 4 bytes a
    pixel: of 12 megapixels that takes longer than all the rest.
    """
    from PIL import Image

    tall, wide = rgb.shape[:2]
    across, down = (int(side / wanted / _GAP) or 1 for side, wanted in ((wide, width), (tall, height)))
    if across > 1 or down > 1:
        rgb = _averaged(rgb, across, down)
    kinds: Any = getattr(Image, "Resampling", Image)  # the module itself before Pillow 9.1: Ubuntu 22.04, JetPack 6
    box = (0, 0, wide / across, tall / down)
    small = Image.fromarray(rgb).resize((width, height), getattr(kinds, kind), box=box)
    return np.ascontiguousarray(small, dtype=np.uint8)


def _averaged(rgb: NDArray[np.uint8], across: int, down: int) -> NDArray[np.uint8]:
    """Blocks of (down, across) pixels averaged, those at the right and lower edge of what there is of them."""
    from PIL import Image

    tall, wide = rgb.shape[:2]
    out = np.empty((-(-tall // down), -(-wide // across), 3), np.uint8)
    rows = down * max(1, _STRIP_PIXELS // (down * wide))
    for top in range(0, tall, rows):
        strip = Image.fromarray(rgb[top : top + rows]).reduce((across, down))
        out[top // down : top // down + strip.height] = np.asarray(strip)
    return out
