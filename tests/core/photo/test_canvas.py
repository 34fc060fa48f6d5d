"""A photo on a canvas of fixed size."""

from __future__ import annotations

import numpy as np
import pytest

from core.errors import PhotoError
from core.photo.canvas import fitted


@pytest.mark.parametrize(
    ("shape", "rows", "columns"),
    [
        ((128, 96), slice(0, 64), slice(0, 48)),
        ((48, 64), slice(14, 50), slice(0, 48)),  # on its side
        ((640, 64), slice(0, 64), slice(21, 27)),
        ((1, 1), slice(8, 56), slice(0, 48)),
    ],
)
def test_the_photo_is_as_large_as_fits_in_the_middle(shape: tuple[int, int], rows: slice, columns: slice) -> None:
    canvas = fitted(np.full((*shape, 3), 200, np.uint8), 64, 48)
    assert canvas.image.shape == (64, 48, 3)
    assert canvas.image.dtype == np.uint8
    assert (canvas.rows, canvas.columns) == (rows, columns)


def test_beyond_the_photo_is_its_mean_colour() -> None:
    rgb = np.zeros((32, 64, 3), np.uint8)
    rgb[:, :32] = (200, 100, 50)
    canvas = fitted(rgb, 64, 64)
    assert canvas.image[:16].reshape(-1, 3).max(axis=0).tolist() == [100, 50, 25]
    assert canvas.image[20, 5].tolist() == [200, 100, 50]


def test_a_photo_that_fits_is_not_touched() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (64, 48, 3), dtype=np.uint8)
    np.testing.assert_array_equal(fitted(rgb, 64, 48).image, rgb)


def test_what_is_no_photo_is_refused() -> None:
    with pytest.raises(PhotoError, match="RGB array"):
        fitted(np.zeros((4, 4), np.uint8), 64, 48)
