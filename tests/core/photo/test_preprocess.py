"""The network's input from a photo."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from core.photo.preprocess import network_image
from tests.core.photo.loading import assert_close
from tests.pictures import quartered


@pytest.mark.parametrize("size", [16, 224])
def test_network_image(size: int) -> None:
    rgb = quartered(500, 300)
    before = rgb.copy()
    small = network_image(rgb, size)
    assert small.shape == (size, size, 3)
    assert small.dtype == np.uint8
    assert small.flags.c_contiguous
    exact = Image.fromarray(rgb).resize((size, size), Image.Resampling.LANCZOS)
    assert_close(small, np.asarray(exact), 1.5)
    np.testing.assert_array_equal(rgb, before)
    np.testing.assert_array_equal(network_image(small, size), small)
