"""Photos of every kind and condition: upright RGB, or a PhotoError of one line."""

from __future__ import annotations

import contextlib
import io
import os
import random
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from core.errors import MissingDependency, PhotoError
from core.photo import load as photo_module
from core.photo.capture import Capture
from core.photo.heif_thumbnail import heif_thumbnail, stands_in
from core.photo.heif_work import coded_bytes, decoding_seconds
from core.photo.load import MAX_HEIF_SECONDS, MAX_PIXELS, load_photo
from core.photo.preprocess import network_image
from tests import REPOSITORY
from tests.hostile.corpus import heic_of_one_tile
from tests.pictures import encoded, quartered, stored_as


def oriented(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[274] = orientation
    return exif


def assert_close(rgb: NDArray[np.uint8], wanted: NDArray[np.uint8], by: float = 12) -> None:
    assert rgb.shape == wanted.shape
    assert rgb.dtype == np.uint8
    assert np.abs(rgb.astype(int) - wanted).mean() < by


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "MPO"])
def test_every_format(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "photo.bin"  # the name says nothing; the bytes do
    path.write_bytes(encoded(Image.fromarray(quartered()), kind))
    assert_close(load_photo(path).rgb, quartered())


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
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_orientation_is_applied(kind: str, orientation: int) -> None:
    data = encoded(stored_as(orientation), kind, exif=oriented(orientation))
    assert_close(load_photo(data).rgb, quartered())


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


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_orientation_nonsense_is_upright(orientation: int) -> None:
    data = encoded(Image.fromarray(quartered()), "JPEG", exif=oriented(orientation))
    assert_close(load_photo(data).rgb, quartered())


def test_every_kind_of_source_gives_the_same(tmp_path: Path) -> None:
    data = encoded(stored_as(6), "PNG", exif=oriented(6))
    path = tmp_path / "photo.png"
    path.write_bytes(data)
    read_on = io.BytesIO(data)
    read_on.read(100)
    with path.open("rb") as file, Image.open(path) as image:
        for source in (path, str(path), data, io.BytesIO(data), read_on, file, image):
            np.testing.assert_array_equal(load_photo(source).rgb, quartered())
    array = load_photo(quartered())
    np.testing.assert_array_equal(array.rgb, quartered())
    assert not array.capture.has_position


def test_an_array_need_not_be_contiguous() -> None:
    rgb = load_photo(quartered()[:, ::-1]).rgb
    np.testing.assert_array_equal(rgb, quartered()[:, ::-1])
    assert rgb.flags.c_contiguous


@pytest.mark.parametrize(
    ("array", "got"),
    [
        (np.zeros((0, 0, 3), np.uint8), "(0, 0, 3)"),
        (np.zeros((224, 224)), "(224, 224) float64"),
        (np.zeros((224, 224), np.uint8), "(224, 224) uint8"),
        (np.zeros((3, 224, 224), np.uint8), "(3, 224, 224) uint8"),
        (np.zeros((224, 224, 4), np.uint8), "(224, 224, 4) uint8"),
        (np.zeros((224, 224, 3), np.float32), "(224, 224, 3) float32"),
        (np.zeros((1, 224, 224, 3), np.uint8), "(1, 224, 224, 3) uint8"),
    ],
)
def test_a_wrong_array_says_what_it_is_and_what_is_wanted(array: NDArray[Any], got: str) -> None:
    for call in (load_photo, lambda rgb: network_image(rgb, 224)):
        with pytest.raises(PhotoError) as caught:
            call(array)
        assert got in str(caught.value)
        assert "(H, W, 3) uint8 RGB" in str(caught.value)


@pytest.mark.parametrize("source", [None, 7, [1, 2], {}, object()])
def test_a_source_of_another_type(source: Any) -> None:
    with pytest.raises(PhotoError, match=type(source).__name__):
        load_photo(source)


@pytest.mark.parametrize("size", [(1, 1), (1, 60000), (60000, 1), (7, 3)])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_any_size_from_one_pixel_up(kind: str, size: tuple[int, int]) -> None:
    data = encoded(Image.new("RGB", size, (200, 100, 50)), kind)
    for min_side in (None, 1, 224):
        rgb = load_photo(data, min_side=min_side).rgb
        assert min(rgb.shape[:2]) >= min(*size, min_side or 60000)
        small = network_image(rgb, 32)
        assert small.shape == (32, 32, 3)
        assert np.abs(small.reshape(-1, 3).mean(0) - (200, 100, 50)).max() < 6


def test_modes_become_rgb() -> None:
    grey = np.linspace(0, 255, 64 * 48).reshape(48, 64).astype(np.uint8)
    three = np.repeat(grey[..., None], 3, axis=2)
    assert_close(load_photo(encoded(Image.fromarray(grey), "PNG")).rgb, three, 0.1)
    assert_close(load_photo(encoded(Image.fromarray(grey), "JPEG")).rgb, three, 3)
    palette = Image.fromarray(quartered()).quantize(8)
    assert_close(load_photo(encoded(palette, "PNG")).rgb, quartered(), 1)
    one_bit = Image.fromarray(grey).point(lambda v: 255 * (v > 127), "1")
    np.testing.assert_array_equal(load_photo(encoded(one_bit, "PNG")).rgb, 255 * (three > 127))
    cmyk = Image.fromarray(quartered()).convert("CMYK")
    assert_close(load_photo(encoded(cmyk, "JPEG", icc_profile=b"broken profile" * 20)).rgb, quartered())
    for mode in ("HSV", "YCbCr"):
        assert_close(load_photo(Image.fromarray(quartered()).convert(mode)).rgb, quartered(), 4)


def test_sixteen_bits_keep_the_whole_range() -> None:
    ramp = np.linspace(0, 65535, 256 * 4).reshape(4, 256).astype(np.uint16)
    wanted = np.repeat((ramp >> 8).astype(np.uint8)[..., None], 3, axis=2)
    for kind in ("PNG", "TIFF"):
        np.testing.assert_array_equal(load_photo(encoded(Image.fromarray(ramp), kind)).rgb, wanted)
    np.testing.assert_array_equal(load_photo(Image.fromarray(ramp.astype(np.int32))).rgb, wanted)
    unit = Image.fromarray((ramp / 65535).astype(np.float32))
    assert np.abs(load_photo(unit).rgb.astype(int) - wanted).max() <= 1


def test_alpha_is_laid_on_white() -> None:
    rgba = np.dstack([quartered(), np.full((48, 64), 255, np.uint8)])
    rgba[:24, :32, 3] = 0
    rgba[:24, 32:, 3] = 128
    for kind, options in (("PNG", {}), ("WEBP", {"lossless": True})):
        rgb = load_photo(encoded(Image.fromarray(rgba), kind, **options)).rgb
        assert tuple(rgb[0, 0]) == (255, 255, 255)
        np.testing.assert_allclose(rgb[0, 63], (132, 252, 132), atol=2)
        assert tuple(rgb[47, 63]) == (240, 240, 240)
    grey_alpha = Image.fromarray(rgba).convert("LA")
    assert tuple(load_photo(encoded(grey_alpha, "PNG")).rgb[0, 0]) == (255, 255, 255)
    palette = Image.fromarray(quartered()).quantize(8)
    see_through = palette.getpixel((0, 0))
    rgb = load_photo(encoded(palette, "PNG", transparency=see_through)).rgb
    assert tuple(rgb[0, 0]) == (255, 255, 255)
    np.testing.assert_allclose(rgb[47, 63], (240, 240, 240), atol=4)
    grey = Image.new("L", (4, 4), 9)
    assert tuple(load_photo(encoded(grey, "PNG", transparency=9)).rgb[0, 0]) == (255, 255, 255)


def test_an_animation_gives_its_first_picture() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue", "lime")]
    for kind in ("GIF", "WEBP", "PNG", "TIFF"):
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
        rgb = load_photo(data).rgb
        assert rgb.shape == (8, 8, 3)
        assert rgb[..., 0].mean() > 200
        assert rgb[..., 2].mean() < 40


@pytest.mark.parametrize(("min_side", "shape"), [(None, (800, 1200)), (801, (800, 1200)), (800, (800, 1200)),
                                                 (400, (400, 600)), (224, (400, 600)), (100, (100, 150)),
                                                 (1, (100, 150))])  # fmt: skip
def test_a_large_jpeg_is_decoded_at_reduced_scale(min_side: int | None, shape: tuple[int, int]) -> None:
    large = Image.fromarray(quartered(1200, 800))
    rgb = load_photo(encoded(large, "JPEG", quality=95), min_side=min_side).rgb
    assert rgb.shape[:2] == shape
    assert_close(network_image(rgb, 64), network_image(quartered(1200, 800), 64), 3)


def test_reduced_scale_measures_the_upright_photo() -> None:
    tall = Image.fromarray(quartered(1200, 800)).transpose(Image.Transpose.ROTATE_90)
    data = encoded(tall, "JPEG", quality=95, exif=oriented(6))
    rgb = load_photo(data, min_side=200).rgb
    assert rgb.shape[:2] == (200, 300)
    assert_close(rgb, quartered(300, 200), 8)


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


def refusal(source: Any) -> str:
    """The message of the PhotoError that `source` is refused with: one line that is no traceback."""
    with pytest.raises(PhotoError) as caught:
        load_photo(source)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 600
    assert "Traceback" not in message
    return message


def test_missing_and_unreadable_are_different(tmp_path: Path) -> None:
    missing = refusal(tmp_path / "none.jpg")
    assert "none.jpg" in missing
    assert "no such file" in missing
    assert "folder" in refusal(tmp_path)
    (tmp_path / "damaged.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    damaged = refusal(tmp_path / "damaged.jpg")
    assert "damaged.jpg" in damaged
    assert "no such file" not in damaged
    (tmp_path / "empty.jpg").touch()
    assert "empty" in refusal(tmp_path / "empty.jpg")
    assert "empty" in refusal(b"")
    assert "not a path" in refusal("a\0b.jpg")
    assert "cannot be read" in refusal(tmp_path / ("x" * 300))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    assert "regular file" in refusal(tmp_path / "pipe.jpg")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may read anything")
def test_a_file_without_permission(tmp_path: Path) -> None:
    (tmp_path / "locked.jpg").write_bytes(encoded(Image.new("RGB", (4, 4)), "JPEG"))
    (tmp_path / "locked.jpg").chmod(0)
    assert "permission" in refusal(tmp_path / "locked.jpg").lower()


def test_a_file_object_that_is_no_binary_file(tmp_path: Path) -> None:
    assert "binary mode" in refusal(io.StringIO("text"))
    closed = io.BytesIO(b"x")
    closed.close()
    assert "cannot be read" in refusal(closed)
    named = tmp_path / "named.jpg"
    named.write_bytes(b"no photo at all")
    with named.open("rb") as file:
        assert "named.jpg" in refusal(file)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"<!DOCTYPE html><html>", "web page"),
        (b"\n <html><body>404", "web page"),
        (b"\0\0\0\x18ftypisom\0\0\0\0isom", "video"),
        (b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf", "AVIF"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "known format"),
        (b"PK\x03\x04" + b"\0" * 40, "known format"),
        (b"\0" * 1000, "known format"),
        (b"x", "known format"),
    ],
)
def test_what_is_no_photo_is_named(tmp_path: Path, data: bytes, what: str) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(data)
    message = refusal(path)
    assert what in message
    assert "photo.jpg" in message


def png_of(width: int, height: int) -> bytes:
    """A PNG that claims this size and holds nothing like it."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def webp_of(width: int, height: int) -> bytes:
    """An extended WebP that claims this canvas."""
    body = b"VP8X" + struct.pack("<II", 10, 0) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def bmp_of(width: int, height: int) -> bytes:
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 200, 0, 0, 54) + info + b"\0" * 100


def gif_of(width: int, height: int) -> bytes:
    data = bytearray(encoded(Image.new("P", (4, 4)), "GIF"))
    data[6:10] = struct.pack("<HH", width, height)
    return bytes(data)


def jpeg_of(width: int, height: int) -> bytes:
    data = bytearray(encoded(Image.new("RGB", (16, 16)), "JPEG"))
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(data)


@pytest.mark.parametrize("bomb", [png_of, webp_of, bmp_of, gif_of, jpeg_of])
def test_decompression_bombs_are_refused_before_decoding(bomb: Any) -> None:
    side = 16000 if bomb is webp_of else 50000
    message = refusal(bomb(side, side))
    assert "megapixels" in message
    assert str(side) in message


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


def test_the_limits_hold_for_pillow_images_too() -> None:
    wide = Image.new("1", (MAX_PIXELS // 1000 + 1, 1000))
    assert "megapixels" in refusal(wide)


def test_a_jpeg_above_the_limit_is_reduced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photo_module, "MAX_PIXELS", 48 * 64)
    data = encoded(Image.fromarray(quartered(128, 96)), "JPEG", quality=95)
    assert_close(load_photo(data).rgb, quartered())
    with pytest.raises(PhotoError, match="megapixels"):
        load_photo(encoded(Image.fromarray(quartered(128, 96)), "PNG"))


def test_a_progressive_jpeg_of_endless_scans_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(Image.fromarray(quartered()), "JPEG", progressive=True)
    assert_close(load_photo(data).rgb, quartered())
    monkeypatch.setattr(photo_module, "_MAX_SCANNED_PIXELS", 48 * 64 * 3)
    assert "scans" in refusal(data)


def test_a_tiff_of_absurd_tags_is_refused() -> None:
    entries = b"".join(struct.pack("<HHII", 40000 + i, 7, 1_000_000, 8) for i in range(2000))
    data = b"II*\0" + struct.pack("<IH", 8, 2000) + entries + b"\0" * 1_000_000
    assert "tags" in refusal(data)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_truncated_files_are_errors(kind: str) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)
    data = encoded(Image.fromarray(noise), kind)
    for keep in (0.02, 0.1, 0.3, 0.5, 0.8, 0.9):
        refusal(data[: int(len(data) * keep)])


def test_a_truncated_heic_is_an_error() -> None:
    heif = pytest.importorskip("pillow_heif")
    file = io.BytesIO()
    heif.from_pillow(Image.fromarray(np.random.default_rng(0).integers(0, 255, (96, 128, 3), np.uint8))).save(file)
    data = file.getvalue()
    for keep in (0.02, 0.1, 0.3, 0.6):
        refusal(data[: int(len(data) * keep)])


def test_random_damage_ends_in_a_photo_or_a_photo_error() -> None:
    rng = random.Random(1)
    outcomes = {"photo": 0, "refused": 0}
    for kind in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"):
        options = {} if kind in ("GIF", "BMP") else {"exif": oriented(6)}
        good = encoded(Image.fromarray(quartered()), kind, **options)
        for _ in range(60):
            bad = bytearray(good)
            for _ in range(rng.randint(1, 10)):
                bad[rng.randrange(len(bad))] = rng.randrange(256)
            try:
                shape = load_photo(bytes(bad), min_side=8).rgb.shape
            except PhotoError:
                outcomes["refused"] += 1
            else:
                outcomes["photo"] += 1
                assert shape[2:] == (3,)
    assert min(outcomes.values()) > 20


def test_exif_damage_does_not_cost_the_photo() -> None:
    exif = oriented(6)
    exif.get_ifd(0x8825).update({1: "N", 2: (39.0, 57.0, 5.0), 3: "W", 4: (75.0, 11.0, 30.0)})
    data = bytearray(encoded(stored_as(6), "JPEG", exif=exif))
    start = data.index(b"Exif\0\0") + 6
    data[start + 8 : start + 30] = b"\xff" * 22
    photo = load_photo(bytes(data))
    assert photo.rgb.shape == (64, 48, 3)  # as it is stored: nothing says any more how it was held
    assert photo.capture == Capture()


def test_without_pillow_heif_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(MissingDependency, match=r"requirements\.txt"):
        load_photo(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 100)


def test_importing_loads_no_codec() -> None:
    code = "import sys, core.photo.load; print({'PIL.Image', 'pillow_heif', 'torch'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    damaged = bytearray(encoded(Image.fromarray(quartered()), "TIFF", compression="tiff_lzw"))
    damaged[len(damaged) // 2] ^= 0xFF
    for data in (bytes(damaged), png_of(100, 100), jpeg_of(100, 100), gif_of(3, 3), bmp_of(10, -10)):
        with contextlib.suppress(PhotoError):
            load_photo(data)
    printed = capfd.readouterr()
    assert printed.out == ""
    assert printed.err == ""


def test_real_photos_are_upright(campus_data: Path) -> None:
    for path in sorted((campus_data / "penn" / "photos").iterdir())[::8]:
        with Image.open(path) as image:
            reference = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
        whole = load_photo(path).rgb
        np.testing.assert_array_equal(whole, reference)
        reduced = load_photo(path, min_side=448).rgb
        assert 448 <= min(reduced.shape[:2]) < 2 * 448
        assert_close(network_image(reduced, 224), network_image(reference, 224), 3)
