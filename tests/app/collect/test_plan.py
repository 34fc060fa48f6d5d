"""Where photos are wanted: where held-out photos were far off, then where photos are thin."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from app.collect.plan import NEAR_M, STOP_PHOTOS, plan, thin_places
from core.campus.bundle import Bundle, save_bundle
from core.campus.needs import NEEDS, PlaceNeed, needs_file, needs_of
from core.errors import BundleError


def with_needs(bundle: Path, out: Path, data: bytes) -> Bundle:
    old = Bundle.load(bundle)
    return save_bundle(out, old.manifest, {name: old.read(name) for name in old.manifest.files} | {NEEDS: data})


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


@pytest.mark.parametrize("data", [b"{", b"[{}]", b'[{"east_m": 1e9, "north_m": 0, "mean_m": 1, "n": 1, "near": 0}]'])
def test_a_damaged_list_of_needs_is_refused(bundle: Path, tmp_path: Path, data: bytes) -> None:
    with pytest.raises(BundleError, match=NEEDS):
        needs_of(with_needs(bundle, tmp_path / "bad", data))
