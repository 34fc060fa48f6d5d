"""Photos of every kind: upright RGB, whatever their format, mode or size."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from core.errors import PhotoError
from core.photo import load as photo_module
from core.photo.capture import Capture
from core.photo.load import load_photo
from core.photo.preprocess import network_image
from tests import REPOSITORY
from tests.core.photo.loading import assert_close, oriented
from tests.pictures import encoded, quartered, stored_as


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "MPO"])
def test_every_format(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "photo.bin"  # the name says nothing; the bytes do
    path.write_bytes(encoded(Image.fromarray(quartered()), kind))
    assert_close(load_photo(path).rgb, quartered())


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_orientation_is_applied(kind: str, orientation: int) -> None:
    data = encoded(stored_as(orientation), kind, exif=oriented(orientation))
    assert_close(load_photo(data).rgb, quartered())


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


def test_a_jpeg_above_the_limit_is_reduced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photo_module, "MAX_PIXELS", 48 * 64)
    data = encoded(Image.fromarray(quartered(128, 96)), "JPEG", quality=95)
    assert_close(load_photo(data).rgb, quartered())
    with pytest.raises(PhotoError, match="megapixels"):
        load_photo(encoded(Image.fromarray(quartered(128, 96)), "PNG"))


def test_exif_damage_does_not_cost_the_photo() -> None:
    exif = oriented(6)
    exif.get_ifd(0x8825).update({1: "N", 2: (39.0, 57.0, 5.0), 3: "W", 4: (75.0, 11.0, 30.0)})
    data = bytearray(encoded(stored_as(6), "JPEG", exif=exif))
    start = data.index(b"Exif\0\0") + 6
    data[start + 8 : start + 30] = b"\xff" * 22
    photo = load_photo(bytes(data))
    assert photo.rgb.shape == (64, 48, 3)  # as it is stored: nothing says any more how it was held
    assert photo.capture == Capture()


def test_importing_loads_no_codec() -> None:
    code = "import sys, core.photo.load; print({'PIL.Image', 'pillow_heif', 'torch'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


def test_real_photos_are_upright(campus_data: Path) -> None:
    for path in sorted((campus_data / "penn" / "photos").iterdir())[::8]:
        with Image.open(path) as image:
            reference = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
        whole = load_photo(path).rgb
        np.testing.assert_array_equal(whole, reference)
        reduced = load_photo(path, min_side=448).rgb
        assert 448 <= min(reduced.shape[:2]) < 2 * 448
        assert_close(network_image(reduced, 224), network_image(reference, 224), 3)
