"""Photos that cannot be used: a PhotoError of one line that says why."""

from __future__ import annotations

import contextlib
import io
import os
import random
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from core.errors import PhotoError
from core.photo import load as photo_module
from core.photo.load import MAX_PIXELS, load_photo
from core.photo.preprocess import network_image
from tests.core.photo.loading import assert_close, oriented, refusal
from tests.pictures import encoded, quartered


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


def test_the_limits_hold_for_pillow_images_too() -> None:
    wide = Image.new("1", (MAX_PIXELS // 1000 + 1, 1000))
    assert "megapixels" in refusal(wide)


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


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    damaged = bytearray(encoded(Image.fromarray(quartered()), "TIFF", compression="tiff_lzw"))
    damaged[len(damaged) // 2] ^= 0xFF
    for data in (bytes(damaged), png_of(100, 100), jpeg_of(100, 100), gif_of(3, 3), bmp_of(10, -10)):
        with contextlib.suppress(PhotoError):
            load_photo(data)
    printed = capfd.readouterr()
    assert printed.out == ""
    assert printed.err == ""
