"""A campus whose places look alike as a whole: what a second look at details makes of a photo."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.campus.bundle import Bundle, save_bundle
from core.campus.file_names import LOCAL_GALLERY, LOCAL_MODEL
from core.campus.fusion_parameters import Fusion, RadiusFactors, RadiusKind
from core.engines.choose import open_engine
from core.errors import BundleError, EngineError
from core.locate.fix import Fix
from core.locate.localizer import Localizer
from core.locate.second_look import share_below
from tests.bundles import make_bundle
from tests.second_looks import PLACES_M, bundle_with_second_look, facade, needs_xfeat

pytestmark = needs_xfeat


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return bundle_with_second_look(tmp_path_factory.mktemp("second_look"))


@pytest.fixture(scope="module")
def localizer(bundle: Bundle) -> Localizer:
    return Localizer(bundle, open_engine(bundle, threads=1))


def _error_m(localizer: Localizer, place: int, photo: np.ndarray) -> float:
    fix = localizer.locate(photo)
    at_m = localizer.bundle.manifest.frame.to_local(fix.lat, fix.lon)
    return float(np.hypot(*(at_m - PLACES_M[place])))


@pytest.mark.parametrize("place", range(len(PLACES_M)))
def test_details_tell_places_apart_that_look_alike(localizer: Localizer, place: int) -> None:
    photo = facade(place, shift=7, noise=12)
    first = Localizer(localizer.bundle, localizer.engine, second_look=False)
    assert _error_m(localizer, place, photo) < 5
    assert _error_m(first, place, photo) > 15
    assert "second_look" in localizer.locate(photo).timings_ms
    assert "second_look" not in first.locate(photo).timings_ms


def test_every_way_to_a_fix_sees_the_same_place(localizer: Localizer) -> None:
    photo = facade(4, shift=5, noise=8)
    fix = localizer.locate(photo)
    assert localizer.position(photo) == (fix.lat, fix.lon)
    assert localizer.locate_together([photo]).lat == fix.lat
    walk = localizer.walk()
    at_m = localizer.bundle.manifest.frame.to_local(*_latlon(walk.add(photo, 0.0)))
    assert np.hypot(*(at_m - PLACES_M[4])) < 10


def test_copies_of_one_photo_are_read_as_sharply_as_it(bundle: Bundle, localizer: Localizer) -> None:
    look = bundle.manifest.second_look
    assert look is not None
    sharp = look.model_copy(update={"posterior": replace(look.posterior, sharpness=2.0)})
    again = Localizer(
        Bundle(bundle.path, bundle.manifest.model_copy(update={"second_look": sharp})), localizer.engine, threads=1
    )
    photo = facade(4, shift=5, noise=60)
    fix, copies = again.locate(photo), again.locate_together([photo, photo])
    assert _latlon(fix) == _latlon(copies) == again.position(photo)
    assert _latlon(fix) != _latlon(localizer.locate(photo))
    assert (fix.radius68_m, fix.radius95_m) == (copies.radius68_m, copies.radius95_m)


def test_photos_that_are_not_looked_at_twice_have_radii_of_their_own(bundle: Bundle, localizer: Localizer) -> None:
    def factors(factor68: float) -> dict[RadiusKind, RadiusFactors]:
        one = RadiusFactors(fixes=30, radius_at_m=(1.0,), radius68_factors=(factor68,), radius95_factors=(9.0,))
        return {"2": one, "walk": one, "smoothed": one}

    twice, once = Fusion(radii=factors(2.0)), Fusion(radii=factors(2.0), first_look_radii=factors(3.0))
    photos = [facade(place, shift=5, noise=12) for place in (3, 4)]

    def factors_of(fusion: Fusion, second_look: bool) -> list[float]:
        manifest = bundle.manifest.model_copy(update={"fusion": fusion})
        campus = Localizer(Bundle(bundle.path, manifest), localizer.engine, second_look=second_look, threads=1)
        walk = campus.walk()
        fixes = [campus.locate_together(photos), *(walk.add(photo, float(at)) for at, photo in enumerate(photos))]
        return [fix.map_radii_m[0] / raw_m(fix) for fix in [*fixes, *walk.smoothed()]]

    def raw_m(fix: Fix) -> float:
        assert fix.probability is not None
        at_m = bundle.manifest.frame.to_local(fix.lat, fix.lon)
        return fix.probability.radii_m(at_m, (0.68,))[0]

    assert factors_of(once, True) == pytest.approx([2.0] * 5, rel=0.01)
    assert factors_of(once, False) == pytest.approx([3.0] * 5, rel=0.01)
    assert factors_of(twice, False) == pytest.approx([2.0] * 5, rel=0.01)  # as older bundles have it


def _latlon(fix: object) -> tuple[float, float]:
    return fix.lat, fix.lon  # type: ignore[attr-defined]


def test_a_photo_without_doubt_is_not_looked_at_twice(bundle: Bundle, localizer: Localizer) -> None:
    reading = localizer.read(facade(2))
    assert reading.evidence is not None
    sure = bundle.manifest.second_look.model_copy(  # type: ignore[union-attr]
        update={"beyond_radius68_m": 1e4, "posterior": bundle.manifest.posterior}
    )
    manifest = bundle.manifest.model_copy(
        update={"second_look": sure, "posterior": replace(bundle.manifest.posterior, retrieval_width_m=200.0)}
    )
    assert Localizer(Bundle(bundle.path, manifest), localizer.engine).read(facade(2)).evidence is None


def test_a_strange_photo_matches_nothing_and_scores_higher(localizer: Localizer) -> None:
    known, strange = (localizer.read(facade(place, shift=4, noise=8)) for place in (3, 77))
    assert known.evidence is not None
    assert strange.evidence is not None
    assert known.evidence.log_ratio.max() > 2 * strange.evidence.log_ratio.max()


def test_the_weaker_the_match_the_stranger_the_photo(localizer: Localizer) -> None:
    reading = localizer.read(facade(3, shift=4, noise=8))
    assert reading.evidence is not None

    def score(own: float, matches: float) -> float:
        heads = replace(reading.heads, ood_score=np.array([[own]], np.float32))
        return localizer.ood_score(heads, reading.evidence.scaled(matches))  # type: ignore[union-attr]

    assert score(0.3, 0.5) > score(0.3, 1.0) > 0.0
    assert score(0.5, 1.0) > score(0.3, 1.0)


def test_a_match_does_not_make_one_of_the_campus_of_a_photo_beyond_all_of_them(localizer: Localizer) -> None:
    reading = localizer.read(facade(3, shift=4, noise=8))
    assert reading.evidence is not None
    refused = 1 - localizer.bundle.manifest.calibration.off_campus_share
    # Both are beyond all of the campus's own photos by the network alone: how far decides.
    nearly, by_far = (replace(reading.heads, ood_score=np.array([[own]], np.float32)) for own in (1.0, 9.0))
    assert localizer.ood_score(nearly) == localizer.ood_score(by_far) == 1.0
    assert localizer.ood_score(nearly, reading.evidence) < refused < localizer.ood_score(by_far, reading.evidence)


def test_shares_of_a_distribution_go_from_none_to_all() -> None:
    nearly_all_alike = np.array([0.0] * 98 + [0.1, 0.2, 0.3])
    assert [share_below(nearly_all_alike, value) for value in (0.0, 0.1)] == [0.0, pytest.approx(0.98)]
    quantiles = np.linspace(2.0, 3.0, 101)
    assert [share_below(quantiles, value) for value in (1.0, 2.25, 4.0)] == [0.0, pytest.approx(0.25), 1.0]


def test_a_bundle_without_a_second_look_has_none(tmp_path: Path) -> None:
    plain = Localizer.load(make_bundle(tmp_path / "plain"))
    assert plain.second_reader is None
    assert plain.bundle.local_gallery is None
    assert plain.least_side == plain.bundle.manifest.image_size


def test_features_of_another_gallery_are_refused(bundle: Bundle, tmp_path: Path) -> None:
    other = bundle.manifest.second_look.model_copy(update={"keypoints": 61})  # type: ignore[union-attr]
    manifest = bundle.manifest.model_copy(update={"second_look": other})
    files = {name: bundle.read(name) for name in bundle.manifest.files}
    wrong = save_bundle(tmp_path / "wrong", manifest, files)
    with pytest.raises(BundleError, match=LOCAL_GALLERY):
        Localizer.load(wrong.path)
    del files[LOCAL_GALLERY]
    with pytest.raises(BundleError, match=LOCAL_GALLERY):
        Localizer.load(save_bundle(tmp_path / "none", bundle.manifest, files).path)


def test_a_network_of_another_kind_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    files = {name: bundle.read(name) for name in bundle.manifest.files}
    files[LOCAL_MODEL] = files["model.onnx"]
    with pytest.raises(EngineError, match="local features"):
        Localizer.load(save_bundle(tmp_path / "wrong", bundle.manifest, files).path)
