from __future__ import annotations

import numpy as np
import pytest

from core.campus.gallery import LARGE, Gallery, largest, nearest_neighbours


def unit(rows: np.ndarray) -> np.ndarray:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def gallery_of(embedding: np.ndarray) -> Gallery:
    return Gallery(embedding, np.zeros((len(embedding), 2), np.float32))


def test_the_nearest_come_best_first_and_no_more_than_there_are() -> None:
    gallery = gallery_of(np.array([[1, 0], [0, 1], [0.6, 0.8]], np.float32))
    top, similarity = nearest_neighbours(np.array([[0.0, 1.0]], np.float32), gallery, 10)
    assert top.tolist() == [[1, 2, 0]]
    assert similarity[0] == pytest.approx([1.0, 0.8, 0.0])


@pytest.mark.parametrize("spread", [0.05, 0.5, 5.0])
def test_a_large_gallery_gives_what_comparing_with_every_photo_gives(spread: float) -> None:
    """Close copies of some places, blurred ones, and embeddings without any main axes at all."""
    random = np.random.default_rng(0)
    places = random.normal(size=(300, 64))
    embedding = unit(places[random.integers(0, 300, LARGE + 77)] + spread * random.normal(size=(LARGE + 77, 64)))
    asked = unit(places[:5] + spread * random.normal(size=(5, 64)))
    top, similarity = nearest_neighbours(asked, gallery_of(embedding), 24)
    for row, found, values in zip(asked, top, similarity, strict=True):
        every = embedding @ row
        assert values == pytest.approx(np.sort(every)[::-1][:24], abs=1e-6)
        assert every[found] == pytest.approx(values, abs=1e-6)
        assert len(set(found.tolist())) == 24


@pytest.mark.parametrize("count", [1, 24])
@pytest.mark.parametrize("length", [24, 3_000, 30_001])
def test_largest_values_are_found_wherever_they_stand(length: int, count: int) -> None:
    random = np.random.default_rng(length)
    values = random.normal(size=length).astype(np.float32)
    values[-1] = 9.0
    assert sorted(values[largest(values, count)]) == pytest.approx(sorted(values)[-count:])
    same = np.ones(length, np.float32)
    assert len(set(largest(same, count).tolist())) == count
