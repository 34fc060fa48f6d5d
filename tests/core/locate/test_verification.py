"""Match strengths of local features."""

from __future__ import annotations

import numpy as np
import pytest

from core.locate.verification import match_strength


def _unit(shape: tuple[int, ...], seed: int) -> np.ndarray:
    found = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    return found / np.linalg.norm(found, axis=-1, keepdims=True)


@pytest.fixture
def gallery() -> np.ndarray:
    return _unit((12, 50, 64), 1)


def test_the_photo_that_shares_details_matches_best(gallery: np.ndarray) -> None:
    query = _unit((60, 64), 2)
    query[:20] = gallery[7, 10:30]
    strength = match_strength(query, gallery)
    assert strength.shape == (12,)
    assert strength.argmax() == 7
    assert strength[7] > 3 * np.delete(strength, 7).max()


def test_more_shared_details_match_more_strongly(gallery: np.ndarray) -> None:
    def of(shared: int) -> float:
        query = _unit((60, 64), 2)
        query[:shared] = gallery[3, :shared]
        return float(match_strength(query, gallery)[3])

    assert of(5) < of(10) < of(40)


def test_details_that_every_photo_has_say_nothing(gallery: np.ndarray) -> None:
    gallery[:, :20] = gallery[0, :20]
    query = _unit((60, 64), 2)
    query[:20] = gallery[0, :20]
    common = match_strength(query, gallery)
    query[20:30] = gallery[4, 30:40]
    assert match_strength(query, gallery).argmax() == 4
    assert common.max() < match_strength(query, gallery)[4] / 2


def test_without_keypoints_nothing_matches(gallery: np.ndarray) -> None:
    assert match_strength(np.zeros((0, 64), np.float32), gallery).tolist() == [0.0] * 12
    assert match_strength(_unit((5, 64), 3), np.zeros((4, 50, 64), np.float32)).tolist() == [0.0] * 4
    assert match_strength(_unit((5, 64), 3), gallery[:0]).shape == (0,)
