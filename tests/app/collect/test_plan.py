"""Where photos are wanted: where held-out photos were far off, then where photos are thin."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from app.collect.plan import NEAR_M, STOP_PHOTOS, plan, thin_places
from app.language import LANGUAGES
from core.campus.bundle import Bundle, save_bundle
from core.campus.inbox import Sidecar
from core.campus.needs import NEEDS, PlaceNeed, needs_file, needs_of
from core.errors import BundleError
from tests.bundles import make_bundle


def with_needs(bundle: Path, out: Path, data: bytes, *, force: bool = False) -> Bundle:
    old = Bundle.load(bundle)
    return save_bundle(out, old.manifest, {name: old.read(name) for name in old.manifest.files} | {NEEDS: data}, force)


def test_thin_places_come_neediest_first_and_apart() -> None:
    row = np.stack([np.arange(0.0, 201.0, 5.0), np.zeros(41)], axis=1)
    taken = np.concatenate([np.repeat(row[row[:, 0] < 100], 3, axis=0), [[180.0, 0.0]]])
    found = thin_places(row, taken)
    at = np.array([place.east_m for place in found])
    assert found[0].near == 0
    assert at.min() > 100 - NEAR_M
    assert [place.near for place in found] == sorted(place.near for place in found)
    assert np.diff(np.sort(at)).min() >= 25
    assert thin_places(row, np.empty((0, 2))) == []
    assert thin_places(np.empty((0, 2)), taken) == []
    assert thin_places(row + [0.0, 500.0], taken) == [], "other land, however well a path leads there"


def test_large_errors_come_before_thin_places_until_somebody_stopped_there(bundle: Path, tmp_path: Path) -> None:
    gallery = Bundle.load(bundle).gallery
    assert gallery is not None
    here = (-40.0, -40.0)
    near = int(np.count_nonzero(np.hypot(*(gallery.local_m - here).T) <= NEAR_M))
    need = PlaceNeed(east_m=here[0], north_m=here[1], light="night", mean_m=60.0, n=5, near=near)
    first = plan(with_needs(bundle, tmp_path / "needy", needs_file([need])))["targets"][0]
    assert (first["at"], first["light"], first["near"]) == (list(here), "night", near)
    assert first["place"]["he"]
    met = need.model_copy(update={"near": near - STOP_PHOTOS})
    targets = plan(with_needs(bundle, tmp_path / "met", needs_file([met])))["targets"]
    assert targets
    assert list(here) not in [target["at"] for target in targets]


def test_photos_by_day_meet_no_need_by_night(bundle: Path, tmp_path: Path) -> None:
    old = Bundle.load(bundle)
    here, frame = (-40.0, -40.0), old.manifest.frame
    lat, lon = frame.to_latlon(np.array(here)).tolist()
    noon = Sidecar(lat=lat, lon=lon, source="tap", time_utc=datetime(2026, 11, 2, 11, tzinfo=timezone.utc))
    evening = noon.changed(time_utc=datetime(2026, 11, 2, 20, tzinfo=timezone.utc))
    near = int(np.count_nonzero(np.hypot(*(_gallery_m(old) - here).T) <= NEAR_M))
    need = PlaceNeed(east_m=here[0], north_m=here[1], light="night", mean_m=60.0, n=5, near=near)

    def wanted(need: PlaceNeed, *sent: Sidecar) -> bool:
        needy = with_needs(bundle, tmp_path / "needy", needs_file([need]), force=True)
        return (list(here), "night") in [(target["at"], target["light"]) for target in plan(needy, sent)["targets"]]

    assert wanted(need, *[noon] * STOP_PHOTOS, *[evening] * (STOP_PHOTOS - 1))
    assert not wanted(need, *[evening] * STOP_PHOTOS)
    refreshed = need.model_copy(update={"near": near - STOP_PHOTOS})  # the gallery has as many more
    assert not wanted(refreshed)
    assert wanted(refreshed, *[noon.changed(review="accepted")] * STOP_PHOTOS), "they are those that it has more"
    begin, end = plan(old)["nights"][1]  # the first may have begun before the plan does
    assert 4 * 3.6e6 < end - begin < 20 * 3.6e6


def _gallery_m(bundle: Bundle) -> NDArray[np.float32]:
    assert bundle.gallery is not None
    return bundle.gallery.local_m


def test_places_are_called_in_the_reader_s_language(tmp_path: Path) -> None:
    campus = Bundle.load(make_bundle(tmp_path / "named", names_he={"Law": "משפטים"}))
    told = {lang: plan(campus, lang=lang) for lang in LANGUAGES}
    drawn = {lang: {line for _, _, lines in one["labels"] for line in lines} for lang, one in told.items()}
    assert "Law" in drawn["en"]
    assert "משפטים"[::-1] in drawn["he"], "its letters as they stand from left to right"
    places = [target["place"] for target in told["en"]["targets"] if target["place"]["en"].startswith("Law")]
    assert places
    assert all(place["he"].startswith("משפטים") for place in places)


@pytest.mark.parametrize("data", [b"{", b"[{}]", b'[{"east_m": 1e9, "north_m": 0, "mean_m": 1, "n": 1, "near": 0}]'])
def test_a_damaged_list_of_needs_is_refused(bundle: Path, tmp_path: Path, data: bytes) -> None:
    with pytest.raises(BundleError, match=NEEDS):
        needs_of(with_needs(bundle, tmp_path / "bad", data))


def test_a_campus_without_a_map_has_its_scale_and_north_on_the_map_itself(tmp_path: Path) -> None:
    bare = Bundle.load(make_bundle(tmp_path / "bare", with_map=False))
    assert {"50 m", "N"} < {line for *_, lines in plan(bare)["labels"] for line in lines}
