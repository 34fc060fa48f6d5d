"""Many photos at once give what each gives alone, in order, a few at a time."""

from __future__ import annotations

import gc
import io
import itertools
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from core.errors import PhotoError
from core.locate.fix import Fix
from core.locate.localizer import Localizer
from core.locate.many import all_readable, each_of_many
from core.locate.reading import Reading
from core.photo import load
from tests.bundles import photo
from tests.second_looks import bundle_with_second_look, facade, needs_xfeat


@pytest.fixture(scope="module")
def localizer(pristine: Path) -> Localizer:
    return Localizer.load(pristine, threads=2)


PLACES_M = [(-52, 68), (50, -34), (0, 0), (-20, 33), (71, 12), (-80, -60), (18, 90)]


def _same(one: Fix, other: Fix) -> bool:
    """Whether two fixes are equal to the last bit, but for the time they took."""
    assert one.probability is not None
    assert other.probability is not None
    assert np.array_equal(one.probability.mass, other.probability.mass)
    return replace(one, probability=None, timings_ms={}) == replace(other, probability=None, timings_ms={})


@pytest.mark.parametrize("batch", [1, 3, 7, 16])
def test_many_photos_are_located_as_one_by_one(localizer: Localizer, batch: int) -> None:
    photos: list[Any] = [photo(east_m=east, north_m=north) for east, north in PLACES_M]
    photos[2] = np.asarray(Image.open(io.BytesIO(photos[2])))  # any mixture of what `locate` takes
    found = list(localizer.locate_many(photos, batch))
    assert len(found) == len(photos)
    for one, fix in zip(photos, found, strict=True):
        assert isinstance(fix, Fix)
        assert _same(localizer.locate(one), fix)
        assert set(fix.timings_ms) == {"decode", "preprocess", "network", "posterior"}


@pytest.mark.slow
@needs_xfeat
def test_a_second_look_sees_the_same_among_many(tmp_path: Path) -> None:
    localizer = Localizer.load(bundle_with_second_look(tmp_path).path, threads=2)
    photos = [facade(place, shift=5, noise=8) for place in (4, 2, 0)]
    for one, fix in zip(photos, localizer.locate_many(photos), strict=True):
        assert isinstance(fix, Fix)
        assert "second_look" in fix.timings_ms
        assert _same(localizer.locate(one), fix)


def test_a_photo_that_cannot_be_read_stands_in_its_place(localizer: Localizer, tmp_path: Path) -> None:
    good = photo(east_m=20, north_m=20)
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(good[:300])
    found = list(localizer.locate_many([good, broken, good, b"", good], 2))
    assert [isinstance(each, PhotoError) for each in found] == [False, True, False, True, False]
    assert str(broken) in str(found[1])
    with pytest.raises(PhotoError, match=r"broken\.jpg"):
        list(all_readable(found))


def test_a_batch_of_none_that_can_be_read_does_not_reach_the_network(localizer: Localizer) -> None:
    assert all(isinstance(each, PhotoError) for each in localizer.locate_many([b"", b"x", b""], 2))
    assert list(localizer.locate_many([])) == []


def test_photos_are_drawn_only_as_answers_are_taken(localizer: Localizer) -> None:
    one, drawn = photo(east_m=20, north_m=20), itertools.count()

    def endless() -> Iterator[bytes]:
        while True:
            next(drawn)
            yield one

    answers = localizer.locate_many(endless(), 4)
    for _ in range(9):
        assert isinstance(next(answers), Fix)
    assert next(drawn) <= 9 + 4 * 4
    answers.close()  # type: ignore[attr-defined]


def test_full_size_pixels_do_not_outlive_their_decoding(localizer: Localizer, monkeypatch: pytest.MonkeyPatch) -> None:
    alive: list[weakref.ref[Any]] = []
    most = 0
    really = load.load_photo

    def watched(*args: Any, **options: Any) -> load.Photo:
        nonlocal most
        loaded = really(*args, **options)
        alive.append(weakref.ref(loaded.rgb))
        most = max(most, sum(each() is not None for each in alive))
        return loaded

    monkeypatch.setattr("core.locate.open_campus.load_photo", watched)
    photos = [photo(east_m=20, north_m=20, size=(640, 480))] * 24
    assert len(list(localizer.locate_many(photos, 8))) == len(photos)
    gc.collect()
    assert len(alive) == len(photos)
    assert most <= 2 * localizer.threads


def test_what_fails_beyond_a_photo_is_not_taken_for_its_fault(localizer: Localizer) -> None:
    def then(_: Reading) -> None:
        raise RuntimeError("no photo's fault")

    with pytest.raises(RuntimeError, match="no photo's fault"):
        list(each_of_many(localizer, [photo(east_m=20, north_m=20)], then))
    with pytest.raises(ValueError, match="at least 1"):
        list(localizer.locate_many([], 0))
