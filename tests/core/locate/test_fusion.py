"""Photos of one standpoint: what must hold whatever the photos show."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.campus.fusion_parameters import FusionParams
from core.campus.grid import Grid
from core.locate.fusion import copy_shares, thumbnail, together
from core.locate.prior import Prior
from core.locate.probability_map import ProbabilityMap

GRID = Grid(-60.0, -40.0, 2.0, 40, 60)
PRIOR = Prior.even(GRID)
PARAMS = FusionParams()


def bump(east_m: float, north_m: float, width_m: float = 8.0, background: float = 0.05) -> np.ndarray:
    """A photo's map: one place, over an even background."""
    squared = (GRID.east_m - east_m) ** 2 + (GRID.north_m[:, None] - north_m) ** 2
    mass = np.exp(-squared / (2 * width_m**2))
    return ((1 - background) * mass / mass.sum() + background / mass.size).astype(np.float32)


def radius68_m(mass: np.ndarray) -> float:
    found = ProbabilityMap(GRID, mass)
    return found.radii_m(found.median_m(), (0.68,))[0]


def picture(seed: int) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (16, 16, 3))
    return np.kron(coarse, np.ones((4, 4, 1), int)).astype(np.uint8)


places = st.lists(st.tuples(st.floats(-50, 50), st.floats(-30, 30)), min_size=1, max_size=6)


@settings(max_examples=40, deadline=None)
@given(places, st.randoms(use_true_random=False))
def test_order_does_not_matter_and_the_mass_is_one(at: list[tuple[float, float]], chance: Random) -> None:
    maps = [bump(*place) for place in at]
    mixed = list(range(len(maps)))
    chance.shuffle(mixed)
    fused, again = together(maps, PRIOR, PARAMS), together([maps[i] for i in mixed], PRIOR, PARAMS)
    np.testing.assert_allclose(fused.mass, again.mass, rtol=1e-3, atol=1e-9)
    np.testing.assert_allclose(fused.agreement[mixed], again.agreement, atol=1e-4)
    assert fused.mass.sum(dtype=np.float64) == pytest.approx(1.0, abs=1e-5)


def test_one_photo_keeps_its_own_map_to_the_last_bit() -> None:
    mass = bump(10, 5)
    assert np.array_equal(together([mass], PRIOR, PARAMS).mass, mass)
    shares = copy_shares([thumbnail(picture(1))] * 3)
    assert np.array_equal(together([mass] * 3, PRIOR, PARAMS, shares).mass, mass)


@settings(max_examples=25, deadline=None)
@given(places, st.data())
def test_a_copy_adds_nothing(at: list[tuple[float, float]], data: st.DataObject) -> None:
    maps, thumbs = [bump(*place) for place in at], [thumbnail(picture(seed)) for seed in range(len(at))]
    copied = data.draw(st.integers(0, len(at) - 1))
    without = together(maps, PRIOR, PARAMS, copy_shares(thumbs))
    doubled = together([*maps, maps[copied]], PRIOR, PARAMS, copy_shares([*thumbs, thumbs[copied]]))
    np.testing.assert_allclose(without.mass, doubled.mass, rtol=1e-3, atol=1e-9)


def test_copies_do_change_something_where_nothing_tells_them() -> None:
    maps = [bump(10, 5), bump(14, 5)]
    assert not np.allclose(
        together(maps, PRIOR, PARAMS).mass, together([*maps, maps[0]], PRIOR, PARAMS).mass, rtol=0.05
    )


@settings(max_examples=25, deadline=None)
@given(places, st.tuples(st.floats(-50, 50), st.floats(-30, 30)))
def test_certainty_zero_changes_nothing(at: list[tuple[float, float]], stranger: tuple[float, float]) -> None:
    maps = [bump(*place) for place in at]
    without = together(maps, PRIOR, PARAMS)
    for more, certainty in (
        (bump(*stranger), 0.0),
        (PRIOR.reference, 1.0),
    ):  # refused; or a map that says what the prior says
        fused = together([*maps, more], PRIOR, PARAMS, certainty=[1.0] * len(maps) + [certainty])
        np.testing.assert_allclose(without.mass, fused.mass, rtol=1e-3, atol=1e-9)


def test_where_every_photo_is_refused_they_still_make_a_map() -> None:
    fused = together([bump(0, 0), bump(5, 0)], PRIOR, PARAMS, certainty=[0.0, 0.0])
    assert fused.mass.sum() == pytest.approx(1.0, abs=1e-5)
    assert radius68_m(fused.mass) < radius68_m(bump(0, 0))


def test_photos_that_agree_shrink_the_circle() -> None:
    radii = [radius68_m(together([bump(4.0 * i, 0) for i in range(n)], PRIOR, PARAMS).mass) for n in (1, 2, 3, 5)]
    assert radii == sorted(radii, reverse=True)
    assert radii[-1] < 0.75 * radii[0]


def test_look_alikes_are_told_apart_by_a_second_photo() -> None:
    first = (bump(-30, 0) + bump(30, 0)) / 2
    second = (bump(-30, 0) + bump(0, 25)) / 2
    fused = ProbabilityMap(GRID, together([first, second], PRIOR, PARAMS).mass)
    assert np.linalg.norm(fused.median_m() - (-30, 0)) < 4


def test_one_wrong_photo_is_named_and_not_obeyed() -> None:
    right, wrong = [bump(-20 + 2.0 * i, 0) for i in range(3)], bump(40, 20)
    fused = together([*right, wrong], PRIOR, PARAMS)
    assert fused.outliers == (3,)
    assert np.linalg.norm(ProbabilityMap(GRID, fused.mass).median_m() - (-18, 0)) < 3


def test_a_refused_photo_is_named() -> None:
    assert together([bump(0, 0), bump(0, 0), bump(2, 0)], PRIOR, PARAMS, certainty=[1, 0, 1]).outliers == (1,)


def test_no_photo_is_an_error() -> None:
    with pytest.raises(ValueError, match="no photo"):
        together([], PRIOR, PARAMS)


def test_near_copies_share_one_vote() -> None:
    image = picture(3)
    brighter = np.clip(image * 1.1 + 4, 0, 255).astype(np.uint8)
    shares = copy_shares([thumbnail(image), thumbnail(brighter), thumbnail(picture(4))])
    assert shares.tolist() == [0.5, 0.5, 1.0]


def test_a_picture_of_one_colour_is_a_copy_of_nothing() -> None:
    plain = [thumbnail(np.full((50, 70, 3), level, np.uint8)) for level in (0, 200)]
    assert not np.any(plain)
    assert copy_shares([plain[0], thumbnail(picture(1))]).tolist() == [1.0, 1.0]
