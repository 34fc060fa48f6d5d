"""Photos of one standpoint through a bundle."""

from __future__ import annotations

import numpy as np
import pytest

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
from core.locate.several import maps_of
from core.photo.load import load_photo
from tests.bundles import TWINS_M, Kind, off_m, photo


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


def test_what_photos_have_in_common_is_taken_off_each() -> None:
    """Three views of one standpoint in one evening's light, and a gallery photo of another place in that light."""
    views, light = np.eye(4, dtype=np.float32)[:3], np.eye(4, dtype=np.float32)[3]
    gallery = Gallery(np.vstack([views, light]), np.array([(-40, 0), (-40, 0), (-40, 0), (40, 0)], np.float32))
    grid = Grid.around(gallery.local_m, margin_m=30.0, cell_m=4.0)
    posterior = Posterior(grid, Zones(()), gallery, PosteriorParams(0.01, 0.0, 0.97, 0.02, neighbours=4), 100.0)
    seen = (views + 1.2 * light) / np.float32(np.hypot(1, 1.2))
    read = [(Heads(np.zeros((1, 2), np.float32), embedding=one[None]), None) for one in seen]
    alike, apart = ([one.median_m() for one in maps_of(posterior, read, np.ones(3), weight)] for weight in (0.0, 0.5))
    assert all(np.linalg.norm(at - (40, 0)) < 10 for at in alike)
    assert all(np.linalg.norm(at - (-40, 0)) < 10 for at in apart)
    # A copy has nothing in common with its copies that says more than it does, nor a photo of elsewhere with others.
    (alone,) = maps_of(posterior, read[:1], np.ones(1), 0.5)
    copy, _ = maps_of(posterior, [read[0], read[0]], np.full(2, 0.5), 0.5)
    beside, _ = maps_of(posterior, read[:2], np.array([1.0, 0.0]), 0.5)
    assert (alone.mass == copy.mass).all()
    assert (alone.mass == beside.mass).all()
    pair, two = (
        maps_of(posterior, [read[i] for i in rows], np.array(counted), 0.5)
        for rows, counted in (((0, 1), (1.0, 1.0)), ((0, 1, 0), (0.5, 1.0, 0.5)))
    )
    assert two[0].mass == pytest.approx(pair[0].mass, abs=1e-6)


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
        return again.locate_together([photo(east_m=20, view=1), photo(east_m=22, view=2)]).radius68_m

    assert radius68_m(**{"2": doubled}) == pytest.approx(2 * radius68_m())
    assert radius68_m(**{"3": doubled}) == radius68_m()


@pytest.mark.parametrize(
    "wrong", [{"floor": 0.0}, {"floor": 2.0}, {"further_weight": -1.0}, {"prior_width_m": 0.0}, {"common_weight": 2.0}]
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
