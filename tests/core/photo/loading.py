"""What the tests of loading share: photos held another way, pictures that are near, and refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from core.errors import PhotoError
from core.photo.load import load_photo


def oriented(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[274] = orientation
    return exif


def assert_close(rgb: NDArray[np.uint8], wanted: NDArray[np.uint8], by: float = 12) -> None:
    assert rgb.shape == wanted.shape
    assert rgb.dtype == np.uint8
    assert np.abs(rgb.astype(int) - wanted).mean() < by


def refusal(source: Any) -> str:
    """The message of the PhotoError that `source` is refused with: one line that is no traceback."""
    with pytest.raises(PhotoError) as caught:
        load_photo(source)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 600
    assert "Traceback" not in message
    return message
