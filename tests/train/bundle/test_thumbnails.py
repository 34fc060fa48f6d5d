"""Small pictures of training photos show no face and no number plate."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.campus.thumbnails import MAX_THUMBNAIL_BYTES, THUMBNAIL_PX
from core.photo.load import load_photo
from tests.blurring import FACE, PLATE, car, is_flat, needs_detectors, portrait
from train.bundle import thumbnails
from train.bundle.thumbnails import small_pictures


@needs_detectors
def test_a_face_and_a_plate_are_painted_over(tmp_path: Path) -> None:
    files = tmp_path / "face.png", tmp_path / "plate.png"
    for file, picture in zip(files, (portrait(), car()), strict=True):
        picture.save(file)
    small = small_pictures(files)
    for data, box, longest in zip(small, (FACE, PLATE), (600, 400), strict=True):
        rgb = load_photo(data).rgb
        assert max(rgb.shape) == THUMBNAIL_PX
        assert len(data) <= MAX_THUMBNAIL_BYTES
        left, top, right, bottom = (np.array(box) * THUMBNAIL_PX / longest).round().astype(int).tolist()
        assert is_flat(rgb, (left + 1, top + 1, right - 1, bottom - 1))


@needs_detectors
def test_many_are_made_by_processes_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = tmp_path / "face.png", tmp_path / "plate.png"
    for file, picture in zip(files, (portrait(), car()), strict=True):
        picture.save(file)
    one_by_one = small_pictures(files)
    monkeypatch.setattr(thumbnails, "usable_cores", lambda: 2)
    monkeypatch.setattr(thumbnails, "_LEAST_SHARE", 1)
    monkeypatch.delattr(thumbnails, "process_blur")  # of this process
    assert small_pictures(files) == one_by_one
