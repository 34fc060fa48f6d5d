"""Keypoints read off the network's maps."""

from __future__ import annotations

import numpy as np
import pytest

from core.engines.local_engine import LocalMaps
from core.locate.local_features import local_features
from core.photo.canvas import Canvas

HEIGHT, WIDTH = 64, 48


@pytest.fixture
def maps() -> LocalMaps:
    """Descriptors that say in which column of cells they are; three keypoints, the last in the lowest reliability."""
    descriptors = np.zeros((8, 6, 64), np.float32)
    descriptors[:, np.arange(6), np.arange(6)] = 1
    keypoints = np.zeros((HEIGHT, WIDTH), np.float32)
    keypoints[10, 4], keypoints[30, 20], keypoints[60, 44] = 0.5, 0.9, 0.95
    reliability = np.ones((8, 6), np.float32)
    reliability[6:, 4:] = 0.1
    return LocalMaps(descriptors, keypoints, reliability)


def _canvas(rows: slice = slice(0, HEIGHT), columns: slice = slice(0, WIDTH)) -> Canvas:
    return Canvas(np.zeros((HEIGHT, WIDTH, 3), np.uint8), rows, columns)


def test_best_keypoints_come_first_by_score_and_reliability(maps: LocalMaps) -> None:
    found = local_features(maps, _canvas(), 10)
    assert found.shape == (3, 64)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    assert found.argmax(axis=1).tolist() == [2, 0, 5]


def test_no_more_than_asked_for_and_none_in_an_empty_picture(maps: LocalMaps) -> None:
    assert local_features(maps, _canvas(), 2).argmax(axis=1).tolist() == [2, 0]
    empty = LocalMaps(maps.descriptors, np.zeros_like(maps.keypoints), maps.reliability)
    assert local_features(empty, _canvas(), 5).shape == (0, 64)


def test_keypoints_beyond_the_photo_are_none(maps: LocalMaps) -> None:
    found = local_features(maps, _canvas(slice(20, 40), slice(0, WIDTH)), 10)
    assert found.argmax(axis=1).tolist() == [2]
