"""HEIC: turned once, its thumbnail where that is enough, and how long decoding may take."""

from __future__ import annotations

import io
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.errors import MissingDecoder
from core.photo import load as photo_module
from core.photo.heif_thumbnail import heif_thumbnail, stands_in
from core.photo.heif_work import coded_bytes, decoding_seconds
from core.photo.load import MAX_HEIF_SECONDS, load_photo
from tests.core.photo.loading import assert_close, oriented, refusal
from tests.hostile.photos.layouts import heic_of_one_tile
from tests.pictures import quartered, stored_as


def test_heic(tmp_path: Path) -> None:
    heif = pytest.importorskip("pillow_heif")
    path = tmp_path / "photo.heic"
    heif.from_pillow(Image.fromarray(quartered())).save(path, quality=90)
    before = set(Image.registered_extensions())
    rgb = load_photo(path).rgb
    assert_close(rgb, quartered())
    assert not rgb.flags.owndata  # libheif's own pixels: 48 megapixels are not held twice
    assert set(Image.registered_extensions()) == before


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA"])
def test_every_kind_of_heic_is_rgb(mode: str) -> None:
    heif = pytest.importorskip("pillow_heif")
    picture = Image.fromarray(quartered()).convert(mode)
    heif.from_pillow(picture).save(file := io.BytesIO(), quality=90)
    assert_close(load_photo(file.getvalue()).rgb, np.asarray(picture.convert("RGB")))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_heic_is_not_turned_twice(orientation: int) -> None:
    heif = pytest.importorskip("pillow_heif")
    image = stored_as(orientation)
    image.info["exif"] = oriented(orientation).tobytes()
    file = io.BytesIO()
    heif.from_pillow(image).save(file, quality=90)
    # Whatever the writer did with the orientation, the reader that owns the format is the judge.
    reference = np.asarray(heif.open_heif(file.getvalue()).to_pillow().convert("RGB"))
    assert_close(load_photo(file.getvalue()).rgb, reference)


def heic_with_thumbnail(orientation: int = 1) -> bytes:
    """A HEIC of 640 x 480 as phones make them: in tiles, with a thumbnail of 320 x 240."""
    heif = pytest.importorskip("pillow_heif")
    image = Image.fromarray(quartered(480, 640))
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.info["exif"] = exif.tobytes()
    file = heif.from_pillow(image)
    file[0].info["thumbnails"] = [320]
    out = io.BytesIO()
    file.save(out, quality=90, tile_size=256)
    return out.getvalue()


@pytest.mark.parametrize("orientation", [1, 6])
def test_the_thumbnail_of_a_heic_is_enough_where_it_is_large_enough(orientation: int) -> None:
    data = heic_with_thumbnail(orientation)
    whole = load_photo(data).rgb
    small = load_photo(data, min_side=240).rgb
    assert sorted(whole.shape[:2]) == [480, 640]
    assert small.shape[:2] == (whole.shape[0] // 2, whole.shape[1] // 2)
    apart = np.abs(whole[::2, ::2].astype(int) - small)
    assert np.median(apart) <= 2  # turned the same way: its quarters have colours far apart
    assert load_photo(data, min_side=241).rgb.shape == whole.shape


def test_a_damaged_or_padded_thumbnail_is_none() -> None:
    class Thumbnail:
        mode, size = "RGB", (320, 240)

        def __init__(self, rows: int) -> None:
            self.rows = rows

        def to_pillow(self) -> Image.Image:
            if not self.rows:
                raise ValueError("damaged")
            return Image.new("RGB", (320, self.rows))

    class Heif:
        size, info = (640, 480), {"thumbnails": [320]}

        def __init__(self, rows: int) -> None:
            self.rows = rows

        def get_thumbnail(self, _: int) -> Thumbnail:
            return Thumbnail(self.rows)

    assert heif_thumbnail(Heif(240), 200) is not None
    assert heif_thumbnail(Heif(0), 200) is None
    assert heif_thumbnail(Heif(320), 200) is None


@pytest.mark.parametrize(
    ("small", "whole", "will_do"),
    [((320, 240), (4032, 3024), True), ((240, 320), (3024, 4032), True), ((320, 212), (9504, 6336), True),
     ((160, 120), (4032, 3024), False), ((320, 240), (9504, 6336), False), ((240, 320), (4032, 3024), False)],
)  # fmt: skip
def test_a_cropped_thumbnail_does_not_stand_in(small: tuple[int, int], whole: tuple[int, int], will_do: bool) -> None:
    assert stands_in(small, whole, 192) is will_do


def test_a_heic_bomb_is_refused() -> None:
    heif = pytest.importorskip("pillow_heif")
    file = io.BytesIO()
    heif.from_pillow(Image.new("RGB", (64, 48))).save(file)
    data = bytearray(file.getvalue())
    at = data.index(b"ispe") + 8
    data[at : at + 8] = struct.pack(">II", 30000, 30000)
    assert "30000 x 30000" in refusal(bytes(data))


def test_a_heic_that_takes_its_decoder_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = heic_of_one_tile(3)  # what is coded once is decoded nine times
    assert coded_bytes(data) > 4 * len(data)
    assert load_photo(data).rgb.shape == (1536, 1536, 3)
    monkeypatch.setattr(photo_module, "MAX_HEIF_SECONDS", decoding_seconds(data, 1536**2, 420) - 1e-3)
    assert "decoding would take about" in refusal(data)
    assert "make the photo smaller" in refusal(data)


def test_how_long_a_heic_takes_is_told_by_its_bits_and_colours() -> None:
    megabyte, pixels = b"no boxes" * 125_000, 48_000_000
    phone, best_phone, noise = (decoding_seconds(megabyte * size, pixels, 420) for size in (5, 10, 71))
    assert 1 < phone < best_phone < MAX_HEIF_SECONDS < noise
    assert decoding_seconds(megabyte * 10, 12_000_000, 420) < 2 < decoding_seconds(megabyte * 20, 24_000_000, 420) < 3
    assert decoding_seconds(megabyte, 24_000_000, 444) > 1.3 * decoding_seconds(megabyte, 24_000_000, None)
    assert decoding_seconds(megabyte * 71, 1000, 420) > MAX_HEIF_SECONDS  # more than so few pixels can hold


def test_a_truncated_heic_is_an_error() -> None:
    heif = pytest.importorskip("pillow_heif")
    file = io.BytesIO()
    heif.from_pillow(Image.fromarray(np.random.default_rng(0).integers(0, 255, (96, 128, 3), np.uint8))).save(file)
    data = file.getvalue()
    for keep in (0.02, 0.1, 0.3, 0.6):
        refusal(data[: int(len(data) * keep)])


def test_without_pillow_heif_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(MissingDecoder, match=r"pillow-heif is not installed .*requirements\.txt"):
        load_photo(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 100)
