"""Photos of one standpoint through a bundle."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.campus.bundle import Bundle
from core.campus.fusion_parameters import Fusion, FusionParams, RadiusFactors
from core.campus.gallery import Gallery
from core.campus.grid import Grid
from core.campus.parameters import PosteriorParams
from core.campus.zones import Zones
from core.engines.heads import Heads
from core.errors import PhotoError
from core.locate.fix import Fix
from core.locate.localizer import Localizer
from core.locate.posterior import Posterior
from core.locate.prior import Prior
from core.locate.probability_map import ProbabilityMap
from core.locate.several import fused_of, maps_of
from core.photo.load import load_photo
from tests.bundles import TWINS_M, Kind, off_m, photo

GRID = Grid(-60.0, -40.0, 2.0, 40, 60)
PRIOR = Prior.even(GRID)
MAKING_UP = FusionParams(refused_until=2.5)

Places = list[tuple[float, float]]
places = st.lists(st.tuples(st.floats(-50, 50), st.floats(-30, 30)), min_size=1, max_size=4)


def fused_mass(
    at: Places, known: list[bool], params: FusionParams = MAKING_UP, shares: list[float] | None = None
) -> np.ndarray:
    """The map of photos each of which says a place, over an even background."""
    maps = []
    for east_m, north_m in at:
        mass = np.exp(-((GRID.east_m - east_m) ** 2 + (GRID.north_m[:, None] - north_m) ** 2) / (2 * 8.0**2))
        maps.append(ProbabilityMap(GRID, (0.95 * mass / mass.sum() + 0.05 / mass.size).astype(np.float32)))
    each = np.ones(len(at)) if shares is None else np.array(shares)
    return fused_of(lambda _: maps, PRIOR, each, np.array(known), params)[1].mass


def radius68_m(mass: np.ndarray) -> float:
    found = ProbabilityMap(GRID, mass)
    return found.radii_m(found.median_m(), (0.68,))[0]


def answer(fix: Fix) -> tuple[object, ...]:
    plain = fix.as_dict()
    plain.pop("timings_ms")
    return tuple(sorted((name, str(value)) for name, value in plain.items()))


@pytest.mark.parametrize("kind", ["good", "wide", "split", "elsewhere"])
def test_one_photo_together_equals_locate(localizer: Localizer, kind: Kind) -> None:
    one = photo(kind, east_m=20, view=1)
    alone = localizer.locate(one)
    assert alone.photos == 1
    assert answer(localizer.locate_together([one])) == answer(alone)
    assert answer(localizer.locate_together([one, one, one])) == answer(alone)


def test_a_decoded_photo_is_taken_too(localizer: Localizer) -> None:
    assert answer(localizer.locate(load_photo(photo(east_m=20), min_side=64))) == answer(
        localizer.locate(photo(east_m=20))
    )


def test_more_photos_shrink_the_circle_in_any_order(localizer: Localizer) -> None:
    photos = [photo(east_m=20 + 3 * view, north_m=-10, view=view) for view in (1, 2, 3)]
    fix, other = localizer.locate_together(photos), localizer.locate_together(photos[::-1])
    assert fix.photos == 3
    assert fix.radius68_m < 0.8 * localizer.locate(photos[0]).radius68_m
    assert off_m(fix, 26, -10) < 8
    assert (fix.lat, fix.lon) == pytest.approx((other.lat, other.lon), abs=1e-8)
    assert set(fix.timings_ms) == {"decode", "preprocess", "network", "posterior"}


def test_near_copies_count_once(localizer: Localizer) -> None:
    photos = [photo(east_m=20, view=1), photo(east_m=23, view=2)]
    two, three = localizer.locate_together(photos), localizer.locate_together([*photos, photos[0]])
    assert (two.photos, three.photos) == (2, 2)
    assert three.radius68_m == pytest.approx(two.radius68_m, rel=1e-3)


def test_look_alikes_are_told_apart_by_another_view(localizer: Localizer) -> None:
    alike = photo("split", view=1)
    assert len(localizer.locate(alike).candidates) > 1
    here = photo(east_m=TWINS_M[0][0], north_m=TWINS_M[0][1], view=2)
    assert off_m(localizer.locate_together([alike, here]), *TWINS_M[0]) < 10


def test_photos_of_elsewhere_are_named_and_not_obeyed(localizer: Localizer) -> None:
    photos = [photo(east_m=20, view=1), photo(east_m=22, view=2), photo("elsewhere", east_m=-70, north_m=70, view=3)]
    fix = localizer.locate_together(photos)
    without = localizer.locate_together(photos[:2])
    assert fix.outliers == (2,)
    assert fix.on_campus
    assert (fix.lat, fix.lon) == pytest.approx((without.lat, without.lon), abs=1e-7)
    assert not localizer.locate_together([photos[2], photo("elsewhere", view=4)]).on_campus


@settings(max_examples=40, deadline=None)
@given(places, places, st.randoms(use_true_random=False))
def test_refused_photos_in_any_order_and_twice_say_the_same(own: Places, refused: Places, chance: Random) -> None:
    at, known = [*own, *refused], [True] * len(own) + [False] * len(refused)
    mass, mixed = fused_mass(at, known), list(range(len(at)))
    chance.shuffle(mixed)
    shuffled = fused_mass([at[i] for i in mixed], [known[i] for i in mixed])
    halves = [1.0] * (len(at) - 1) + [0.5, 0.5]
    twice = fused_mass([*at, at[-1]], [*known, False], shares=halves)
    for same in (shuffled, twice):
        np.testing.assert_allclose(same, mass, rtol=2e-3, atol=1e-8)
    assert mass.sum(dtype=np.float64) == pytest.approx(1.0, abs=1e-5)


@settings(max_examples=25, deadline=None)
@given(places, st.tuples(st.floats(-50, 50), st.floats(-30, 30)))
def test_a_refused_photo_says_nothing_where_enough_others_count_or_none_may(
    own: Places, refused: tuple[float, float]
) -> None:
    known, never = [True] * len(own), FusionParams(refused_until=0.0)
    assert np.array_equal(fused_mass([*own, refused], [*known, False], never), fused_mass(own, known, never))
    if len(own) >= 3:
        assert np.array_equal(fused_mass([*own, refused], [*known, False]), fused_mass(own, known))


def test_a_refused_photo_is_obeyed_as_far_as_the_others_confirm_it() -> None:
    own = [(-20.0, 0.0), (-18.0, 2.0)]
    without = fused_mass(own, [True] * 2)
    beside = fused_mass([*own, (-19.0, 1.0)], [True, True, False])
    assert beside.max() > 1.02 * without.max()
    assert np.array_equal(fused_mass([*own, (40.0, 20.0)], [True, True, False]), without)
    # Beside one photo alone it counts for more, and where all are refused as if none were.
    one = fused_mass([own[0], (-19.0, 1.0)], [True, False])
    assert radius68_m(one) < 0.9 * radius68_m(fused_mass(own[:1], [True]))
    assert np.array_equal(fused_mass(own, [False] * 2), without)


def test_a_burst_is_refused_where_most_of_it_is_elsewhere(localizer: Localizer) -> None:
    """One photo that looks like the campus does not let two strangers in, and copies of it count as one."""
    own, strangers = photo(east_m=20, view=1), [photo("elsewhere", view=view) for view in (2, 3)]
    assert localizer.locate_together([own, strangers[0]]).on_campus
    refused = localizer.locate_together([own, *strangers])
    assert refused.on_campus is False
    assert refused.radius68_m is None
    assert localizer.locate_together([own, own, own, *strangers]).on_campus is False


def test_a_refused_photo_that_counts_is_named_all_the_same(localizer: Localizer) -> None:
    fusion = Fusion(together=FusionParams(refused_until=2.5))
    manifest = localizer.bundle.manifest.model_copy(update={"fusion": fusion})
    obeying = Localizer(Bundle(localizer.bundle.path, manifest), localizer.engine)
    photos = [photo(east_m=20, view=1), photo("elsewhere", east_m=22, view=2)]
    fix, without = obeying.locate_together(photos), localizer.locate_together(photos)
    assert fix.outliers == without.outliers == (1,)
    assert fix.on_campus
    assert (fix.lat, fix.lon) != (without.lat, without.lon)
    assert (fix.photos, without.photos) == (2, 1)


def test_what_photos_have_in_common_is_taken_off_each() -> None:
    """Three views of one standpoint in one evening's light, and a gallery photo of another place in that light."""
    views, light = np.eye(4, dtype=np.float32)[:3], np.eye(4, dtype=np.float32)[3]
    gallery = Gallery(np.vstack([views, light]), np.array([(-40, 0), (-40, 0), (-40, 0), (40, 0)], np.float32))
    grid = Grid.around(gallery.local_m, margin_m=30.0, cell_m=4.0)
    posterior = Posterior(grid, Zones(()), gallery, PosteriorParams(0.01, 0.0, 0.97, 0.02, neighbours=4), 100.0)
    seen = (views + 1.2 * light) / np.float32(np.hypot(1, 1.2))
    read = [(Heads(np.zeros((1, 2), np.float32), embedding=one[None]), None) for one in seen]
    ones = np.ones(3)
    alike, apart = ([one.median_m() for one in maps_of(posterior, read, ones, ones, weight)] for weight in (0.0, 0.5))
    assert all(np.linalg.norm(at - (40, 0)) < 10 for at in alike)
    assert all(np.linalg.norm(at - (-40, 0)) < 10 for at in apart)
    # A copy has nothing in common with its copies that says more than it does, nor a photo of elsewhere with others.
    (alone,) = maps_of(posterior, read[:1], ones[:1], ones[:1], 0.5)
    copy, _ = maps_of(posterior, [read[0], read[0]], np.full(2, 0.5), ones[:2], 0.5)
    beside, _ = maps_of(posterior, read[:2], ones[:2], np.array([1.0, 0.0]), 0.5)
    assert (alone.mass == copy.mass).all()
    assert (alone.mass == beside.mass).all()
    pair, two = (
        maps_of(posterior, [read[i] for i in rows], np.array(shares), np.ones(len(rows)), 0.5)
        for rows, shares in (((0, 1), (1.0, 1.0)), ((0, 1, 0), (0.5, 1.0, 0.5)))
    )
    assert two[0].mass == pytest.approx(pair[0].mass, abs=1e-6)
    # What the others have in common is theirs, however far a photo itself is trusted.
    trusted = maps_of(posterior, read, ones, ones, 0.5)[2].mass
    for trust in (0.0, 0.4):
        assert maps_of(posterior, read, ones, np.array([1.0, 1.0, trust]), 0.5)[2].mass == pytest.approx(
            trusted, abs=1e-6
        )


def test_no_photo_and_an_unreadable_one_are_photo_errors(localizer: Localizer) -> None:
    with pytest.raises(PhotoError, match="at least one"):
        localizer.locate_together([])
    with pytest.raises(PhotoError):
        localizer.locate_together([photo(), b"no photo"])


def test_radii_are_those_of_the_number_of_photos(localizer: Localizer) -> None:
    doubled = RadiusFactors(fixes=50, radius_at_m=(10.0,), radius68_factors=(2.0,), radius95_factors=(2.0,))
    one = RadiusFactors(fixes=50, radius_at_m=(10.0,), radius68_factors=(1.0,), radius95_factors=(1.0,))

    def radius68_m(**radii: RadiusFactors) -> float:
        fusion = Fusion.model_validate({"radii": {"2": one, **radii}})
        manifest = localizer.bundle.manifest.model_copy(update={"fusion": fusion})
        again = Localizer(Bundle(localizer.bundle.path, manifest), localizer.engine)
        return again.locate_together([photo(east_m=20, view=1), photo(east_m=22, view=2)]).map_radii_m[0]

    assert radius68_m(**{"2": doubled}) == pytest.approx(2 * radius68_m())
    assert radius68_m(**{"3": doubled}) == radius68_m()


@pytest.mark.parametrize(
    "wrong",
    [
        {"floor": 0.0},
        {"floor": 2.0},
        {"further_weight": -1.0},
        {"prior_width_m": 0.0},
        {"common_weight": 2.0},
        {"refused_until": -1.0},
    ],
)
def test_a_bundle_with_impossible_parameters_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="cannot be"):
        Fusion(together=FusionParams(**wrong))


def test_a_campus_without_a_gallery_has_a_prior(localizer: Localizer) -> None:
    manifest = localizer.bundle.manifest
    files = {name: digest for name, digest in manifest.files.items() if name != "gallery.npz"}
    bare = Localizer(Bundle(localizer.bundle.path, manifest.model_copy(update={"files": files})), localizer.engine)
    assert bare.prior.standing.sum(dtype=np.float64) == pytest.approx(1.0, abs=1e-4)
    assert bare.locate_together([photo(east_m=20, view=1), photo(east_m=22, view=2)]).photos == 2
