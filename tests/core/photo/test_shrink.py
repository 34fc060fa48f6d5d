from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from core.photo.shrink import resized
from edge.export.verify import DRIFT
from edge.manifest import striped_photo


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
        (1066, 600),
        (97, 5000),
        (50, 40),
        (1, 1),
        (1, 9000),
    ],
)
def test_pixels_are_those_of_pillow_s_filters_across_then_down(tall: int, wide: int, kind: str) -> None:
    rgb = np.random.default_rng(tall * wide).integers(0, 256, (tall, wide, 3), np.uint8)
    by = Image.Resampling[kind]
    for width, height in ((192, 192), (384, 288), (8, 8)):  # sums of 16 bits, none, and of 32
        small = resized(rgb, width, height, kind)
        fewer = (int(wide / width / 3.0) or 1, int(tall / height / 3.0) or 1)
        blocks = Image.fromarray(rgb).reduce(fewer)
        narrow = blocks.resize((width, blocks.height), by, box=(0, 0, wide / fewer[0], blocks.height))
        theirs = narrow.resize((width, height), by, box=(0, 0, width, tall / fewer[1]))
        assert small.flags.c_contiguous
        assert np.array_equal(small, np.asarray(theirs))


@pytest.mark.parametrize(("tall", "wide"), [(480, 640), (640, 480), (256, 192), (3024, 4032), (4032, 3024)])
def test_of_phones_photos_any_pillow_s_one_resize_gives_the_same(tall: int, wide: int) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (tall, wide, 3), np.uint8)
    for side in (192, 288):
        theirs = Image.fromarray(rgb).resize((side, side), Image.Resampling.LANCZOS, reducing_gap=3.0)
        assert np.array_equal(resized(rgb, side, side, "LANCZOS"), np.asarray(theirs))


def test_a_tall_photo_too_goes_across_first() -> None:
    """Pillow 13 goes down first here, older ones across: a photo is the same on a device as in training."""
    photo = striped_photo()
    assert len(photo) > photo.shape[1]
    by = Image.Resampling.LANCZOS
    across, down = ((192, len(photo)), (photo.shape[1], 192))
    first_across, first_down = (
        np.asarray(Image.fromarray(photo).resize(first, by).resize((192, 192), by)).astype(int)
        for first in (across, down)
    )
    assert np.array_equal(resized(photo, 192, 192, "LANCZOS"), first_across)
    assert np.abs(first_down - first_across).max() > DRIFT  # so `edge verify` sees the other order
