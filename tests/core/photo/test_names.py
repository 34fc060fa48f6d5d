"""Which files of a folder are photos, by their names."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.photo.load import load_photo
from core.photo.names import PHOTO_SUFFIXES, is_photo


@pytest.mark.parametrize("suffix", PHOTO_SUFFIXES)
def test_every_name_of_a_photo_is_one_that_can_be_read(suffix: str) -> None:
    import pillow_heif

    pillow_heif.register_heif_opener()
    file = io.BytesIO()
    form = Image.registered_extensions().get(suffix, "HEIF")
    Image.fromarray(np.full((32, 48, 3), 90, np.uint8)).save(file, "JPEG" if form == "MPO" else form)
    assert load_photo(file.getvalue()).rgb.shape == (32, 48, 3)


@pytest.mark.parametrize(
    ("name", "photo"),
    [
        ("a.jpg", True),
        ("b/IMG_1.HEIC", True),
        ("a.jpg.part", False),
        (".a.jpg", False),
        ("jpg", False),
        ("a.mp4", False),
    ],
)
def test_a_photo_by_its_name(name: str, photo: bool) -> None:
    assert is_photo(Path(name)) == photo
