"""Whole small photos in each of the ways a file can be laid out."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.pictures import encoded


def noise(width: int = 80, height: int = 60, channels: int = 3) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 255, (height, width, channels), np.uint8)


def exif(orientation: int = 1) -> bytes:
    block = Image.Exif()
    block[274] = orientation
    block[271], block[272], block[306] = "Phone Co", "Phone 1", "2024:05:06 07:08:09"
    block.get_ifd(0x8825).update({1: "N", 2: (39.0, 57.0, 5.0), 3: "W", 4: (75.0, 11.0, 30.0)})
    return block.tobytes()


@lru_cache
def whole(kind: str) -> bytes:
    """A small noisy photo with EXIF where the format has it, in each of the ways a file can be laid out."""
    rgb = noise()
    rgba = Image.fromarray(noise(channels=4))
    frames: dict[str, Any] = {"save_all": True, "append_images": [Image.fromarray(rgb[::-1]), Image.fromarray(rgb)]}
    builders: dict[str, Callable[[], bytes]] = {
        "jpeg": lambda: encoded(rgb, "JPEG", exif=exif(), icc_profile=b"profile" * 40, comment=b"hello"),
        "jpeg-progressive": lambda: encoded(rgb, "JPEG", exif=exif(), progressive=True),
        "jpeg-cmyk": lambda: encoded(Image.fromarray(rgb).convert("CMYK"), "JPEG", icc_profile=b"broken" * 30),
        "mpo": lambda: encoded(rgb, "MPO", exif=exif(), save_all=True, append_images=[Image.fromarray(rgb)]),
        "png": lambda: encoded(rgb, "PNG", exif=exif(), icc_profile=b"profile" * 40, dpi=(72, 72)),
        "png-palette": lambda: encoded(Image.fromarray(rgb).quantize(64), "PNG", transparency=3, optimize=True),
        "png-animated": lambda: encoded(rgb, "PNG", **frames),
        "webp": lambda: encoded(rgb, "WEBP", exif=exif(), icc_profile=b"profile" * 40),
        "webp-lossless": lambda: encoded(rgb, "WEBP", lossless=True),
        "webp-alpha": lambda: encoded(rgba, "WEBP", exif=exif()),
        "webp-animated": lambda: encoded(rgb, "WEBP", **frames),
        "gif": lambda: encoded(rgb, "GIF", comment=b"hello"),
        "gif-animated": lambda: encoded(rgb, "GIF", **frames),
        "bmp": lambda: encoded(rgb, "BMP"),
        "tiff": lambda: encoded(rgb, "TIFF", exif=exif()),
        "tiff-frames": lambda: encoded(rgb, "TIFF", **frames),
        "heic": lambda: encoded(rgb, "HEIF", exif=exif()),
        "heic-two": lambda: heif_of_two(rgb),
    }
    return builders[kind]()


KINDS = (
    "jpeg", "jpeg-progressive", "jpeg-cmyk", "mpo", "png", "png-palette", "png-animated", "webp", "webp-lossless",
    "webp-alpha", "webp-animated", "gif", "gif-animated", "bmp", "tiff", "tiff-frames", "heic", "heic-two",
)  # fmt: skip


def heif_of_two(rgb: NDArray[np.uint8]) -> bytes:
    import pillow_heif

    both = pillow_heif.from_pillow(Image.fromarray(rgb))
    both.add_from_pillow(Image.fromarray(rgb[::-1]))
    file = io.BytesIO()
    both.save(file)
    return file.getvalue()
