"""Pictures that tests of photos look at."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps


def quartered(width: int = 64, height: int = 48) -> NDArray[np.uint8]:
    """(height, width, 3): red, green, blue and white quarters, so that no turn or flip leaves it as it is."""
    rgb = np.zeros((height, width, 3), np.uint8)
    rgb[: height // 2, : width // 2] = (250, 10, 10)
    rgb[: height // 2, width // 2 :] = (10, 250, 10)
    rgb[height // 2 :, : width // 2] = (10, 10, 250)
    rgb[height // 2 :, width // 2 :] = (240, 240, 240)
    return rgb


def encoded(image: Image.Image | NDArray[Any], kind: str, **options: Any) -> bytes:
    """The bytes of a photo file of Pillow's `kind`, or HEIF."""
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    file = io.BytesIO()
    if kind == "HEIF":
        import pillow_heif

        pillow_heif.from_pillow(image).save(file, quality=60, **options)
    else:
        image.save(file, kind, **options)
    return file.getvalue()


def stored_as(orientation: int, width: int = 64, height: int = 48) -> Image.Image:
    """How a camera held that way stores `quartered()`."""
    image = Image.fromarray(quartered(width, height))
    if orientation in range(2, 9):
        image.getexif()[274] = {6: 8, 8: 6}.get(orientation, orientation)
        return ImageOps.exif_transpose(image)
    return image
