"""A photo on a canvas of fixed size with its aspect kept, for networks that look at details."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from core.photo.load import checked_array
from core.photo.shrink import resized

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Canvas:
    """image (H, W, 3) uint8 RGB, and the rows and columns of it that the photo covers; beyond is its mean colour."""

    image: NDArray[np.uint8]
    rows: slice
    columns: slice


def fitted(rgb: NDArray[np.uint8], height: int, width: int) -> Canvas:
    """(h, w, 3) uint8 RGB -> the photo as large as a (height, width) canvas allows, in its middle.

    Raises PhotoError for any other array.
    """
    rgb = checked_array(rgb)
    scale = min(height / rgb.shape[0], width / rgb.shape[1])
    tall, wide = (max(1, min(room, round(side * scale))) for side, room in zip(rgb.shape, (height, width)))  # noqa: B905
    small = resized(rgb, wide, tall, "BICUBIC")
    top, left = (height - tall) // 2, (width - wide) // 2
    rows, columns = slice(top, top + tall), slice(left, left + wide)
    if (tall, wide) == (height, width):
        return Canvas(small, rows, columns)
    # The mean colour adds nothing to the contrast that the network normalises.
    image = np.broadcast_to(small.mean(axis=(0, 1)).round().astype(np.uint8), (height, width, 3)).copy()
    image[rows, columns] = small
    return Canvas(image, rows, columns)
