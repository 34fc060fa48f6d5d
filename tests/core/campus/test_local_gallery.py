"""Local features as a bundle keeps them."""

from __future__ import annotations

import numpy as np
import pytest

from core.campus.local_gallery import LocalGallery, checked_local_gallery


def _unit(count: int, seed: int) -> np.ndarray:
    found = np.random.default_rng(seed).normal(size=(count, 64)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def test_a_byte_a_number_keeps_similarities() -> None:
    photos = [_unit(40, 1), _unit(40, 2)]
    read = LocalGallery.of(photos, 40).at(np.array([1, 0]))
    assert read.shape == (2, 40, 64)
    assert np.abs(read[0] @ photos[0].T - photos[1] @ photos[0].T).max() < 0.01


def test_few_keypoints_end_in_zeros_and_many_are_cut() -> None:
    gallery = LocalGallery.of([_unit(3, 1), _unit(50, 2), _unit(0, 3)], 16)
    assert gallery.descriptor.shape == (3, 16, 64)
    assert gallery.descriptor.nbytes == 3 * 16 * 64
    assert [int(np.any(photo, axis=1).sum()) for photo in gallery.descriptor] == [3, 16, 0]


@pytest.mark.parametrize(
    "descriptor",
    [np.zeros((2, 16, 64), np.int16), np.zeros((2, 15, 64), np.int8), np.zeros((3, 16, 64), np.int8), np.zeros(4)],
)
def test_arrays_that_do_not_fit_the_campus_are_refused(descriptor: np.ndarray) -> None:
    with pytest.raises(ValueError, match="not \\(2, 16, D\\) int8"):
        checked_local_gallery({"descriptor": descriptor}, 2, 16)
