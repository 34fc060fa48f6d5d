from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageFile
from PIL.JpegImagePlugin import JpegImageFile

from core.photo.load import load_photo
from core.photo.reads import BoundedReads, ReadsWithoutExif


@pytest.fixture
def data() -> bytes:
    """A JPEG of more than 64 kB with EXIF."""
    exif, out = Image.Exif(), io.BytesIO()
    exif[0x0110] = "a phone"
    pixels = np.random.default_rng(0).integers(0, 256, (400, 400, 3), np.uint8)
    Image.fromarray(pixels).save(out, "JPEG", exif=exif)
    return out.getvalue()


def test_pillow_never_sees_the_exif_of_a_jpeg(data: bytes) -> None:
    assert "exif" in JpegImageFile(BoundedReads(data)).info
    assert "exif" not in JpegImageFile(ReadsWithoutExif(data)).info
    assert load_photo(data).capture.device == "a phone"


def test_a_jpeg_is_decoded_in_one_piece(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    pieces: list[int] = []
    whole = ImageFile.ImageFile.load

    def load(image: ImageFile.ImageFile) -> object:
        pieces.append(image.decodermaxblock)
        return whole(image)

    monkeypatch.setattr(ImageFile.ImageFile, "load", load)
    assert load_photo(data).rgb.shape == (400, 400, 3)
    assert pieces[0] >= len(data) > ImageFile.MAXBLOCK
