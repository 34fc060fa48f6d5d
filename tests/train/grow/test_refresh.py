"""More photos for a campus: gallery and radii, no training, and a chain of what was added."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.campus.bundle import Bundle, save_bundle
from core.campus.fusion_parameters import RadiusFactors
from core.campus.gallery import Gallery
from core.campus.seen import photo_digest, seen_photos
from core.cli.run import run_cli
from core.errors import BundleError, DatasetError
from core.locate.localizer import Localizer
from core.photo.load import load_photo
from tests.blurring import needs_detectors
from tests.bundles import photo
from tests.second_looks import PLACES_M, bundle_with_second_look, facade, needs_xfeat
from tests.thumbnailed import with_thumbnails
from tests.train.grow.walks import FRAME, scattered, write_walks
from train.__main__ import main
from train.bundle.calibration_photos import HELD_OUT, CalibrationPhotos
from train.dataset.dataset import Dataset
from train.evaluate.evaluation import evaluate
from train.grow.arrivals import read_arrivals
from train.grow.refresh import refreshed

SIZE = 64
NOWHERE = np.zeros((12, 2))  # the colour of photos that look like no place in particular
NEW_PLACE = np.tile([[0.0, 80.0]], (12, 1))


def run(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["train", "refresh", *map(str, words)])
    return run_cli(main)


def write(bundle: Bundle, dataset: Path, out: Path) -> Bundle:
    result = refreshed(bundle, read_arrivals(dataset, bundle.manifest.image_size))
    return save_bundle(out, result.manifest, result.files)


def test_a_place_that_the_campus_did_not_know_is_found_after_a_refresh(pristine: Path, tmp_path: Path) -> None:
    """Photos that look alike are told to stand in a new place: only the gallery can know it."""
    old = Bundle.load(pristine)
    new = write_walks(tmp_path / "new", {"a": (NOWHERE, NEW_PLACE), "b": (NOWHERE + 1, NEW_PLACE)}, kind="split")
    fresh = write(old, new, tmp_path / "fresh")
    assert old.gallery is not None
    assert fresh.gallery is not None
    assert len(fresh.gallery) == len(old.gallery) + 24
    seen = photo("split", east_m=2, north_m=2)

    def error_m(bundle: Bundle) -> float:
        fix = Localizer.load(bundle.path).locate(seen)
        return float(np.linalg.norm(FRAME.to_local(fix.lat, fix.lon) - NEW_PLACE[0]))

    assert error_m(fresh) < 0.3 * error_m(old)


def test_a_walk_is_never_judged_by_its_own_photos(pristine: Path, tmp_path: Path) -> None:
    bundle = Bundle.load(pristine)
    alone = write_walks(tmp_path / "alone", {"a": (NOWHERE, NEW_PLACE)}, kind="split")
    one = refreshed(bundle, read_arrivals(alone, SIZE))
    assert one.after.mean_m == pytest.approx(one.before.mean_m)
    both = write_walks(tmp_path / "both", {"a": (NOWHERE, NEW_PLACE), "b": (NOWHERE + 1, NEW_PLACE)}, kind="split")
    two = refreshed(bundle, read_arrivals(both, SIZE))
    assert two.after.mean_m < 0.3 * two.before.mean_m


def test_radii_hold_on_a_walk_that_comes_later(pristine: Path, tmp_path: Path) -> None:
    """The test bundle promises far too much for photos 25 m off; three walks of such photos mend it for a fourth."""
    bundle = Bundle.load(pristine)
    days = {name: scattered(80, seed, off_m=25.0) for seed, name in enumerate(("mon", "tue", "wed"))}
    result = refreshed(bundle, read_arrivals(write_walks(tmp_path / "days", days), SIZE))
    assert result.before.coverage68 < 0.3
    fresh = save_bundle(tmp_path / "fresh", result.manifest, result.files)
    later = Dataset.load(write_walks(tmp_path / "later", {"thu": scattered(300, 9, off_m=25.0)}))
    held = evaluate(Localizer.load(fresh.path), later).metrics
    assert held.coverage68 == pytest.approx(0.68, abs=0.08)
    assert held.coverage95 == pytest.approx(0.95, abs=0.04)


def test_a_walk_s_radii_are_told_as_fitted_without_it(pristine: Path, tmp_path: Path) -> None:
    """Walks of equal photos tell of one another; of one alone, or one unlike the others, its own fit tells nothing."""
    bundle = Bundle.load(pristine)
    walks = {name: scattered(80, seed, off_m=25.0) for seed, name in enumerate(("mon", "tue", "wed"))}
    alone = refreshed(bundle, read_arrivals(write_walks(tmp_path / "one", {"mon": walks["mon"]}), SIZE))
    assert alone.after.coverage68 == alone.before.coverage68 < 0.3
    alike = refreshed(bundle, read_arrivals(write_walks(tmp_path / "alike", walks), SIZE))
    assert alike.after.coverage68 == pytest.approx(0.68, abs=0.08)
    unlike = refreshed(
        bundle, read_arrivals(write_walks(tmp_path / "unlike", {"a": scattered(80, 4, 1.0), "b": walks["mon"]}), SIZE)
    )
    assert unlike.after.coverage95 < 0.7  # of the radii of all walks 95 %
    assert "test" in bundle.manifest.metrics  # which is of the campus as it was
    assert unlike.manifest.metrics == {"refresh": unlike.after}


@pytest.mark.parametrize(("off_m", "gain"), [(25.0, 1.0), (0.5, 0.5)])
def test_walks_that_outrun_the_radii_take_back_what_was_hoped_of_more_sessions(
    pristine: Path, tmp_path: Path, off_m: float, gain: float
) -> None:
    """Radii of several photos were made smaller by the same hope, and follow it."""
    plain = Bundle.load(pristine)
    bold = plain.manifest.calibration.model_copy(update={"session_gain": 0.5})
    several = RadiusFactors(fixes=30, radius_at_m=(10.0,), radius68_factors=(0.5,), radius95_factors=(2.0,))
    fusion = plain.manifest.fusion.model_copy(
        update={"radii": {"walk": several}, "first_look_radii": {"walk": several}}
    )
    manifest = plain.manifest.model_copy(update={"calibration": bold, "fusion": fusion})
    bundle = save_bundle(tmp_path / "bold", manifest, {name: plain.read(name) for name in plain.manifest.files})
    walks = write_walks(tmp_path / "walks", {"a": scattered(60, 1, off_m=off_m)})
    found = refreshed(bundle, read_arrivals(walks, SIZE)).manifest
    assert found.calibration.session_gain == gain
    assert found.fusion.radii["walk"].radius68_factors == (gain,)
    assert found.fusion.first_look_radii["walk"].radius68_factors == (gain,)
    assert found.fusion.radii["walk"].radius95_factors == (2.0,)


def test_the_manifest_keeps_the_chain_and_no_photo_comes_twice(pristine: Path, tmp_path: Path) -> None:
    first = write_walks(tmp_path / "first", {"a": scattered(15, 1)})
    second = write_walks(tmp_path / "second", {"b": scattered(10, 2), "c": scattered(9, 3)})
    old = Bundle.load(pristine)
    one = write(old, first, tmp_path / "one")
    two = write(one, second, tmp_path / "two")
    chain = two.manifest.refreshes
    assert [(link.photos, link.walks) for link in chain] == [(15, 1), (19, 2)]
    assert [link.bundle_digest for link in chain] == [old.manifest.digest, one.manifest.digest]
    assert len({link.photos_sha256 for link in chain}) == 2
    assert photo_digest(first / "images" / "a-0.jpg") in seen_photos(two)
    with pytest.raises(DatasetError, match="15 are in this campus already"):
        refreshed(two, read_arrivals(first, SIZE))
    (second / "images" / "d-0.jpg").write_bytes(photo(east_m=3, north_m=3))
    with (second / "gt.csv").open("a") as stream:
        stream.write("d-0.jpg,47.0,8.4,0,d\n")
    again = refreshed(two, read_arrivals(second, SIZE))
    assert (again.photos, again.known) == (1, 19)


def test_a_second_refresh_still_judges_the_first_s_walks_without_themselves(pristine: Path, tmp_path: Path) -> None:
    one = write(Bundle.load(pristine), write_walks(tmp_path / "first", {"a": scattered(15, 1)}), tmp_path / "one")
    two = write(one, write_walks(tmp_path / "second", {"b": scattered(10, 2)}), tmp_path / "two")
    photos = CalibrationPhotos.of(two)
    assert photos is not None
    assert two.gallery is not None
    assert np.bincount(photos.walk).tolist() == [15, 10]
    assert (photos.gallery_walk == HELD_OUT).sum() == len(two.gallery) - 25
    assert len(photos.gallery_without(0, two.gallery)) == len(two.gallery) - 15
    assert len(photos.gallery_without(HELD_OUT, two.gallery)) == len(two.gallery)
    newest = photos.newest(12)  # as where there are more than a bundle carries
    assert newest.walk.tolist() == [0] * 2 + [1] * 10
    assert np.array_equal(newest.truth_m, photos.truth_m[-12:])
    assert newest.gallery_row.tolist() == photos.gallery_row[-12:].tolist()


def test_dry_run_says_what_would_change_and_writes_nothing(
    pristine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    new = write_walks(tmp_path / "new", {"a": scattered(30, 1), "b": scattered(30, 2)})
    assert run(monkeypatch, pristine, new, "--dry-run", "--out", tmp_path / "out") == 0
    said = capsys.readouterr().out
    assert "60 new photos of 2 walks" in said
    assert "nothing was written" in said
    assert not (tmp_path / "out").exists()
    assert run(monkeypatch, pristine, new) == 2
    assert "--dry-run" in capsys.readouterr().err


def test_a_bundle_is_replaced_only_when_told(
    pristine: Path, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = write_walks(tmp_path / "new", {"a": scattered(30, 1)})
    assert run(monkeypatch, bundle, new, "--out", bundle) == 2
    assert Bundle.load(bundle).manifest.digest == Bundle.load(pristine).manifest.digest
    assert run(monkeypatch, bundle, new, "--out", bundle, "--force") == 0
    assert len(Bundle.load(bundle).manifest.refreshes) == 1


def test_the_grid_grows_with_the_campus_and_a_wrong_position_is_left_out(pristine: Path, tmp_path: Path) -> None:
    bundle = Bundle.load(pristine)
    place = np.array([[180.0, 0.0], [5_000.0, 0.0]])
    result = refreshed(bundle, read_arrivals(write_walks(tmp_path / "new", {"a": (np.zeros((2, 2)), place)}), SIZE))
    assert (result.photos, result.far) == (1, 1)
    assert bundle.manifest.grid.east_m[-1] < 180
    assert 190 < result.manifest.grid.east_m[-1] < 300
    assert result.manifest.calibration == bundle.manifest.calibration  # one photo fits no radius


def test_an_inbox_gives_only_what_was_accepted(tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    for index, review in enumerate(("accepted", "rejected", "", "accepted")):
        lat, lon = FRAME.to_latlon(np.array([10.0 * index, 20.0])).tolist()
        (inbox / f"{index}.jpg").write_bytes(photo(east_m=10.0 * index, north_m=20.0))
        told = {"lat": lat, "lon": lon, "error_m": 4.0, "time_utc": "2026-11-02T09:00:00Z", "who": "Ada"}
        (inbox / f"{index}.json").write_text(json.dumps({**told, "review": review}))
    arrivals = read_arrivals(inbox, SIZE)
    assert len(arrivals) == 2
    assert set(arrivals.walk) == {"Ada 2026-11-02"}
    assert set(arrivals.digest.tolist()) == {photo_digest(inbox / "0.jpg"), photo_digest(inbox / "3.jpg")}
    for sidecar in inbox.glob("*.json"):
        sidecar.write_text(sidecar.read_text().replace("accepted", "rejected"))
    with pytest.raises(DatasetError, match="none of its 4 photos is accepted"):
        read_arrivals(inbox, SIZE)


def test_an_inbox_of_several_campuses_gives_each_its_own(
    pristine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle, inbox = Bundle.load(pristine), tmp_path / "inbox"
    inbox.mkdir()
    for index, campus in enumerate((bundle.manifest.name, "Elsewhere", "Elsewhere", "")):
        lat, lon = FRAME.to_latlon(np.array([10.0 * index, 20.0])).tolist()
        (inbox / f"{index}.jpg").write_bytes(photo(east_m=10.0 * index, north_m=20.0))
        (inbox / f"{index}.json").write_text(
            json.dumps({"lat": lat, "lon": lon, "campus": campus, "review": "accepted"})
        )
    arrivals = read_arrivals(inbox, SIZE, bundle)
    assert set(arrivals.digest.tolist()) == {photo_digest(inbox / "0.jpg"), photo_digest(inbox / "3.jpg")}
    assert "2 accepted photos are of another campus, and left out" in capsys.readouterr().out
    for name in ("0", "3"):
        (inbox / f"{name}.json").write_text(json.dumps({"review": ""}))
    with pytest.raises(DatasetError, match=f"accepted for {bundle.manifest.name}: 2 accepted photos are of another"):
        read_arrivals(inbox, SIZE, bundle)


def test_geotagged_photos_come_as_they_are(pristine: Path, tmp_path: Path) -> None:
    folder = tmp_path / "walk"
    folder.mkdir()
    for index in range(3):
        (folder / f"{index}.jpg").write_bytes(photo(east_m=10.0 * index, north_m=20.0, frame=FRAME))
    arrivals = read_arrivals(folder, SIZE)
    result = refreshed(Bundle.load(pristine), arrivals)
    assert result.photos == 3
    assert result.before.mean_m < 10
    assert set(arrivals.digest.tolist()) == {photo_digest(folder / f"{index}.jpg") for index in range(3)}


def test_what_cannot_grow_is_refused_by_name(pristine: Path, tmp_path: Path) -> None:
    bundle = Bundle.load(pristine)
    files = {name: bundle.read(name) for name in bundle.manifest.files if name != "gallery.npz"}
    bare = save_bundle(tmp_path / "bare", bundle.manifest, files)
    arrivals = read_arrivals(write_walks(tmp_path / "new", {"a": scattered(2, 1)}), SIZE)
    with pytest.raises(BundleError, match="no gallery that could grow"):
        refreshed(bare, arrivals)
    with pytest.raises(DatasetError, match="no such folder"):
        read_arrivals(tmp_path / "missing", SIZE)


def test_a_calibration_of_another_gallery_is_refused(pristine: Path, tmp_path: Path) -> None:
    one = write(Bundle.load(pristine), write_walks(tmp_path / "first", {"a": scattered(15, 1)}), tmp_path / "one")
    old = Bundle.load(pristine)
    files = {name: one.read(name) for name in one.manifest.files} | {"gallery.npz": old.read("gallery.npz")}
    mixed = save_bundle(tmp_path / "mixed", one.manifest, files)
    with pytest.raises(BundleError, match="of another gallery"):
        CalibrationPhotos.of(mixed)


def test_a_gallery_keeps_its_order(pristine: Path, tmp_path: Path) -> None:
    """Other files may speak of gallery photos by their row: the old ones keep theirs."""
    old = Bundle.load(pristine)
    new = write(old, write_walks(tmp_path / "first", {"a": scattered(5, 1)}), tmp_path / "one")
    assert isinstance(old.gallery, Gallery)
    assert isinstance(new.gallery, Gallery)
    assert np.array_equal(new.gallery.embedding[: len(old.gallery)], old.gallery.embedding)
    assert np.array_equal(new.gallery.local_m[: len(old.gallery)], old.gallery.local_m)


@needs_xfeat
def test_new_photos_join_the_second_look(tmp_path: Path) -> None:
    bundle = bundle_with_second_look(tmp_path)
    photos = tmp_path / "walk"
    (photos / "images").mkdir(parents=True)
    lines = ["image_name,lat,lon,session"]
    for index, place in enumerate((7, 8)):
        Image.fromarray(facade(place)).save(photos / "images" / f"{place}.png")
        lat, lon = bundle.manifest.frame.to_latlon(np.array([-40.0 + 60 * index, 20.0]))
        lines.append(f"{place}.png,{lat:.7f},{lon:.7f},a")
    (photos / "gt.csv").write_text("\n".join(lines) + "\n")
    size = bundle.manifest.image_size
    with pytest.raises(BundleError, match="local features"):
        refreshed(bundle, read_arrivals(photos, size))
    result = refreshed(bundle, read_arrivals(photos, size, bundle))
    grown = Localizer.load(save_bundle(tmp_path / "grown", result.manifest, result.files).path)
    evidence = grown.read(facade(8, shift=6, noise=8)).evidence
    assert evidence is not None
    assert evidence.rows[0, evidence.log_ratio[0].argmax()] == len(PLACES_M) + 1


@needs_detectors
def test_new_photos_thumbnails_join_where_the_campus_has_some(
    pristine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = with_thumbnails(pristine, tmp_path / "old")
    walks = write_walks(tmp_path / "walk", {"a": (NOWHERE[:3], NEW_PLACE[:3])})
    with pytest.raises(BundleError, match="thumbnails"):
        refreshed(old, read_arrivals(walks, SIZE))
    assert run(monkeypatch, old.path, walks, "--out", tmp_path / "new") == 0
    new = Bundle.load(tmp_path / "new")
    assert old.thumbnails is not None
    assert new.thumbnails is not None
    assert new.gallery is not None
    assert len(new.thumbnails) == len(new.gallery) == len(old.thumbnails) + 3
    assert new.thumbnails.at(5) == old.thumbnails.at(5)
    assert load_photo(new.thumbnails.at(len(new.gallery) - 1)).rgb.shape == (60, 80, 3)
