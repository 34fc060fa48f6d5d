from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from core.photo.shrink import resized


@pytest.mark.parametrize("kind", ["LANCZOS", "BICUBIC"])
@pytest.mark.parametrize(
    ("tall", "wide"),
    [
        (480, 640),
        (1200, 1600),
        (1201, 1597),
        (3024, 4032),
        (3023, 4031),
        (4032, 400),
        (97, 5000),
        (50, 40),
        (1, 1),
        (1, 9000),
    ],
)
def test_pixels_are_those_of_pillow_s_own_way(tall: int, wide: int, kind: str) -> None:
    rgb = np.random.default_rng(tall * wide).integers(0, 256, (tall, wide, 3), np.uint8)
    for width, height in ((192, 192), (384, 288), (8, 8)):  # sums of 16 bits, none, and of 32
        small = resized(rgb, width, height, kind)
        theirs = Image.fromarray(rgb).resize((width, height), Image.Resampling[kind], reducing_gap=3.0)
        assert small.flags.c_contiguous
        assert np.array_equal(small, np.asarray(theirs))
