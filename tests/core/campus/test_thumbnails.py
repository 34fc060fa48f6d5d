"""Small pictures of the gallery's photos, as a bundle keeps them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.campus.bundle import Bundle, save_bundle
from core.campus.file_names import THUMBNAILS
from core.campus.thumbnails import MAX_THUMBNAIL_BYTES, Thumbnails, checked_thumbnails
from core.errors import BundleError
from tests.bundles import make_bundle
from tests.thumbnailed import with_thumbnails

FILES = [b"one", b"second", b"3"]


def test_each_photo_has_its_own_and_more_join_behind() -> None:
    grown = Thumbnails.of(FILES).and_of([b"fourth"])
    assert [grown.at(row) for row in range(len(grown))] == [*FILES, b"fourth"]


@pytest.mark.parametrize(
    ("jpeg", "end"),
    [
        (np.zeros(9, np.uint8), np.array([3, 9])),  # of two photos only
        (np.zeros(9, np.uint8), np.array([3, 6, 8])),  # bytes of no photo
        (np.zeros(9, np.uint8), np.array([3, 3, 9])),  # a picture of nothing
        (np.zeros(9, np.uint8), np.array([6, 3, 9])),
        (np.zeros(9, np.uint8), np.array([-3, 3, 9])),
        (np.zeros(MAX_THUMBNAIL_BYTES + 3, np.uint8), np.array([1, 2, MAX_THUMBNAIL_BYTES + 3])),
        (np.zeros(9, np.int8), np.array([3, 6, 9])),
        (np.zeros((9, 1), np.uint8), np.array([3, 6, 9])),
        (np.zeros(9, np.uint8), np.array([3.0, 6.0, 9.0])),
        (np.zeros(9, np.uint8), np.array([[3, 6, 9]])),
    ],
)
def test_arrays_that_do_not_fit_the_gallery_are_refused(jpeg: np.ndarray, end: np.ndarray) -> None:
    with pytest.raises(ValueError, match="holds"):
        checked_thumbnails({"jpeg": jpeg, "end": end}, 3)


def test_a_bundle_carries_them_or_not_and_a_damaged_file_is_one_line(tmp_path: Path) -> None:
    plain = make_bundle(tmp_path / "plain")
    assert Bundle.load(plain).thumbnails is None
    bundle = with_thumbnails(plain, tmp_path / "full")
    assert bundle.gallery is not None
    assert bundle.thumbnails is not None
    assert len(bundle.thumbnails) == len(bundle.gallery)
    files = {name: bundle.read(name) for name in bundle.manifest.files}
    of_others = save_bundle(tmp_path / "others", bundle.manifest, files | {THUMBNAILS: Thumbnails.of(FILES).file()})
    no_arrays = save_bundle(tmp_path / "none", bundle.manifest, files | {THUMBNAILS: b"no arrays"})
    for damaged in (of_others, no_arrays):
        with pytest.raises(BundleError, match=rf"{THUMBNAILS} cannot be used"):
            _ = damaged.thumbnails
    (bundle.path / THUMBNAILS).write_bytes(b"changed")
    with pytest.raises(BundleError, match=f"{THUMBNAILS} is damaged"):
        Bundle.load(bundle.path)
