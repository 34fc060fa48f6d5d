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
def test_pixels_are_those_of_pillow_across_and_then_down_but_for_rounding(tall: int, wide: int, kind: str) -> None:
    rgb = np.random.default_rng(tall * wide).integers(0, 256, (tall, wide, 3), np.uint8)
    way = Image.Resampling[kind]
    for width, height in ((192, 192), (384, 288), (8, 8)):  # sums of 16 bits, none, and of 32
        small = resized(rgb, width, height, kind)
        across, down = max(1, int(wide / width / 3)), max(1, int(tall / height / 3))
        blocks = Image.fromarray(rgb).reduce((across, down))
        narrow = blocks.resize((width, blocks.height), way, box=(0, 0, wide / across, blocks.height))
        theirs = narrow.resize((width, height), way, box=(0, 0, width, tall / down))
        assert small.flags.c_contiguous
        apart = np.abs(small.astype(int) - np.asarray(theirs))
        assert apart.max() <= 1
        assert np.count_nonzero(apart) <= 2 + small.size // 10_000
