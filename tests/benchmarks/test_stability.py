from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from benchmarks.stability import CHANGES, photos_of, shifts_m
from core.errors import CampusError
from core.locate.localizer import DEMO_BUNDLE, Localizer
from tests.bundles import make_bundle


def test_each_change_moves_the_fix_of_every_sample_by_some_metres(tmp_path: Path) -> None:
    localizer = Localizer.load(make_bundle(tmp_path / "field"))
    moved_m = dict(shifts_m(localizer, photos_of(localizer.bundle, None)))
    assert moved_m.keys() == CHANGES.keys()
    assert {len(moved) for moved in moved_m.values()} == {len(localizer.bundle.samples)}
    # The test campus reads a place off the colour, which darkness changes and a smaller picture of it does not.
    assert moved_m["array in place of file"].max() < 0.1
    assert moved_m["half size"].max() < 1.0
    assert moved_m["30 % less light"].min() > 5.0


def test_a_phone_held_upright_changes_nothing_by_itself() -> None:
    """Its photos lie on their side in the file, with a tag that says so."""
    localizer, tag = Localizer.load(DEMO_BUNDLE), Image.Exif()
    tag[0x0112] = 6
    out = io.BytesIO()
    upright = Image.open(io.BytesIO(localizer.bundle.read(localizer.bundle.samples[0])))
    upright.transpose(Image.Transpose.ROTATE_90).save(out, "JPEG", quality=95, exif=tag)
    assert dict(shifts_m(localizer, [out.getvalue()]))["array in place of file"].max() < 3.0


def test_a_bundle_without_samples_is_said(tmp_path: Path) -> None:
    localizer = Localizer.load(make_bundle(tmp_path / "field"))
    manifest = localizer.bundle.manifest
    kept = {name: entry for name, entry in manifest.files.items() if name not in localizer.bundle.samples}
    localizer.bundle.manifest = manifest.model_copy(update={"files": kept})
    with pytest.raises(CampusError, match="no photos to change"):
        photos_of(localizer.bundle, None)


def test_photos_of_a_folder_stand_in_for_samples(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.jpg").write_bytes(b"one")
    (tmp_path / "photos" / "deeper").mkdir()
    bundle = Localizer.load(make_bundle(tmp_path / "field")).bundle
    assert photos_of(bundle, tmp_path / "photos") == [b"one"]
