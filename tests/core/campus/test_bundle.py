from __future__ import annotations

import json
import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from core.campus.bundle import Bundle, save_bundle
from core.campus.file_names import CAMPUS_JSON
from core.errors import BundleError, CampusError, OccupiedError
from core.io.files import written_atomically


def zipped(folder: Path, out: Path) -> Path:
    with zipfile.ZipFile(out, "w") as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(folder).as_posix())
    return out


def test_a_folder_and_its_zip_are_the_same_bundle(bundle: Path, tmp_path: Path) -> None:
    one, other = Bundle.load(bundle), Bundle.load(zipped(bundle, tmp_path / "field.campus"))
    assert one.manifest == other.manifest
    assert one.gallery is not None
    assert other.gallery is not None
    assert np.array_equal(one.gallery.embedding, other.gallery.embedding)
    assert one.samples == ["samples/gymnasium.jpg", "samples/library.jpg"]
    assert [one.read(name) for name in one.samples] == [other.read(name) for name in other.samples]
    assert one.campus_map["features"]


@pytest.mark.parametrize("name", [CAMPUS_JSON, "model.onnx", "gallery.npz", "map.geojson", "samples/library.jpg"])
@pytest.mark.parametrize("place", [0.1, 0.5, 0.9])
def test_a_changed_byte_anywhere_is_noticed_and_named(bundle: Path, name: str, place: float) -> None:
    data = bytearray((bundle / name).read_bytes())
    at = int(place * len(data))
    data[at] ^= 1
    (bundle / name).write_bytes(bytes(data))
    with pytest.raises(BundleError, match=name) as error:
        Bundle.load(bundle)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", [CAMPUS_JSON, "model.onnx", "gallery.npz"])
def test_a_missing_file_is_named(bundle: Path, name: str) -> None:
    (bundle / name).unlink()
    with pytest.raises(BundleError, match=f"{name} is missing"):
        Bundle.load(bundle)


def test_no_bundle_at_all(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no such campus bundle"):
        Bundle.load(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "damaged"),
        ("[]", "damaged"),
        ("{}", "damaged"),
        ('{"schema_version": 99}', "schema version 99"),
        ('{"schema_version": 1}', "digest"),
    ],
)
def test_a_card_that_is_not_one(bundle: Path, text: str, reason: str) -> None:
    (bundle / CAMPUS_JSON).write_text(text)
    with pytest.raises(BundleError, match=reason):
        Bundle.load(bundle)


def test_a_card_with_a_right_digest_and_a_wrong_value_names_the_field(bundle: Path) -> None:
    from core.campus.manifest import manifest_digest

    manifest = json.loads((bundle / CAMPUS_JSON).read_text())
    manifest["scale_m"] = -1
    manifest["digest"] = manifest_digest(manifest)
    (bundle / CAMPUS_JSON).write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match="scale_m"):
        Bundle.load(bundle)


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/../../b", "..", "", "c:\\x"])
def test_a_name_that_leaves_the_bundle_is_refused(bundle: Path, name: str) -> None:
    manifest = Bundle.load(bundle).manifest
    files = dict(manifest.files) | {name: "0" * 64}
    (bundle / CAMPUS_JSON).write_text(json.dumps(manifest.sealed(files).model_dump(mode="json")))
    with pytest.raises(BundleError, match="not a file name"):
        Bundle.load(bundle)


def test_a_symbolic_link_is_refused(bundle: Path, tmp_path: Path) -> None:
    outside = tmp_path / "gallery.npz"
    shutil.move(bundle / "gallery.npz", outside)
    os.symlink(outside, bundle / "gallery.npz")
    with pytest.raises(BundleError, match="symbolic link"):
        Bundle.load(bundle)


def test_a_file_that_is_no_zip(tmp_path: Path) -> None:
    fake = tmp_path / "field.campus"
    fake.write_bytes(b"<html>not found</html>")
    with pytest.raises(BundleError, match=r"field\.campus"):
        Bundle.load(fake)


def test_a_bundle_is_not_replaced_unless_asked(bundle: Path) -> None:
    before = Bundle.load(bundle)
    files = {name: before.read(name) for name in before.manifest.files}
    with pytest.raises(OccupiedError) as caught:
        save_bundle(bundle, before.manifest, files)
    assert caught.value.replaceable
    renamed = before.manifest.model_copy(update={"name": "New"})
    assert save_bundle(bundle, renamed, files, force=True).manifest.name == "New"


def test_a_manifest_that_no_campus_has_takes_no_good_one_s_place(bundle: Path) -> None:
    good = Bundle.load(bundle)
    files = {name: good.read(name) for name in good.manifest.files}
    nameless = good.manifest.model_copy(update={"name": "x" * 201})
    with pytest.raises(BundleError, match="name: String should have at most 200 characters"):
        save_bundle(bundle, nameless, files, force=True)
    assert Bundle.load(bundle).manifest == good.manifest


def test_a_folder_that_is_no_bundle_is_never_replaced(bundle: Path, tmp_path: Path) -> None:
    before = Bundle.load(bundle)
    home = tmp_path / "home"
    home.mkdir()
    (home / "thesis.txt").write_text("years of work")
    with pytest.raises(CampusError, match="no campus bundle"):
        save_bundle(home, before.manifest, {name: before.read(name) for name in before.manifest.files}, force=True)
    assert (home / "thesis.txt").read_text() == "years of work"


def test_a_failed_write_leaves_the_old_one_and_no_litter(bundle: Path) -> None:
    before = Bundle.load(bundle).manifest

    def write_half() -> None:
        with written_atomically(bundle) as temporary:
            temporary.mkdir()
            (temporary / "half").write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_half()
    assert Bundle.load(bundle).manifest == before
    assert [path.name for path in bundle.parent.iterdir()] == [bundle.name]


def test_a_file_that_may_not_be_read_is_not_called_damaged(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", closed)
    with pytest.raises(BundleError, match=r"cannot be read \(Permission denied\): change its permissions") as caught:
        Bundle.load(bundle)
    assert caught.value.kind == ""
