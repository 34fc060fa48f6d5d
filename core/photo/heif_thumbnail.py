"""The thumbnail that a HEIC carries, where it will do for the photo."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MOST = 8  # cameras write one to three
_MOST_PIXELS = 4_000_000  # a larger one may take as long as the photo


def heif_thumbnail(image: Any, min_side: int) -> NDArray[np.uint8] | None:
    """The smallest thumbnail of a HeifImage that is large enough, (h, w, 3) RGB, upright; None without one."""
    count = min(len(image.info.get("thumbnails", ())), _MOST)
    thumbnails = [image.get_thumbnail(index) for index in range(count)]
    for small in sorted(thumbnails, key=lambda one: min(one.size)):
        if small.mode != "RGB" or small.size[0] * small.size[1] > _MOST_PIXELS:
            continue
        if not stands_in(small.size, image.size, min_side):
            continue
        try:
            rgb = np.array(small.to_pillow(), np.uint8, order="C")
        except Exception:  # libheif's errors are of many kinds; a damaged thumbnail is none, and the photo may be whole
            continue
        if rgb.shape == (small.size[1], small.size[0], 3):  # some phones' are stored larger than they say, padded
            return rgb
    return None


def stands_in(small: tuple[int, int], whole: tuple[int, int], min_side: int) -> bool:
    """Whether a thumbnail is large enough, and of the whole photo's shape: some cameras crop theirs, or add bars."""
    across, down = small[0] * whole[1], small[1] * whole[0]
    return min(small) >= min_side and abs(across - down) <= 0.01 * max(across, down)
