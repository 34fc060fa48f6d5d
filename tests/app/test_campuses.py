"""Campuses that are installed, uploaded or packed."""

from __future__ import annotations

from pathlib import Path

import pytest

from app import campuses
from core.campus.bundle import Bundle
from core.errors import BundleError, CampusError
from tests.bundles import make_bundle


def test_a_packed_bundle_can_be_taken_in(bundle: Path, tmp_path: Path) -> None:
    data = campuses.packed(Bundle.load(bundle))
    path = campuses.taken_in(data, "testfield.campus")
    assert Bundle.load(path).manifest == Bundle.load(bundle).manifest
    assert campuses.taken_in(data, "again.campus") == path
    assert campuses.title(path) == "Testfield"
    assert campuses.packed(Bundle.load(path)) == data
    del tmp_path


@pytest.mark.parametrize("what", ["nonsense", "cut short", "changed byte"])
def test_a_bad_campus_file_is_refused_and_not_kept(what: str, bundle: Path) -> None:
    data = campuses.packed(Bundle.load(bundle))
    if what == "nonsense":
        data = b"not a zip"
    elif what == "cut short":
        data = data[: len(data) // 2]
    else:
        at = data.index(b"gallery.npz") + 200  # within the packed bytes of one file, not between two
        data = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
    before = sorted(Path(campuses._workshop().name).iterdir())
    with pytest.raises(CampusError) as error:
        campuses.taken_in(data, "mine.campus")
    assert sorted(Path(campuses._workshop().name).iterdir()) == before
    if isinstance(error.value, BundleError):
        assert "mine.campus" in str(error.value)


def test_installed_starts_with_the_default_and_skips_other_files(
    tmp_path: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_bundle(tmp_path / "b.campus", name="B", samples=False)
    make_bundle(tmp_path / "a", name="A", samples=False)
    (tmp_path / "notes.txt").write_text("no campus")
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("CAMPUS_BUNDLE", str(bundle))
    assert campuses.installed(tmp_path) == [bundle, tmp_path / "a", tmp_path / "b.campus"]
    monkeypatch.setenv("CAMPUS_BUNDLE", str(tmp_path / "a"))
    assert campuses.installed(tmp_path) == [tmp_path / "a", tmp_path / "b.campus"]


def test_file_name_is_safe(bundle: Path) -> None:
    manifest = Bundle.load(bundle).manifest
    hostile = Bundle(bundle, manifest.model_copy(update={"name": "../a b/<c>"}))
    assert campuses.file_name(hostile) == "a-b--c.campus"
    assert campuses.file_name(Bundle(bundle, manifest.model_copy(update={"name": "…"}))) == "campus.campus"


def test_uploaded_campuses_make_room_for_one_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campuses, "MAX_TAKEN_IN", 2)
    taken = []
    for name in ("A", "B", "C"):
        data = make_bundle(tmp_path / f"{name}.campus", name=name, samples=False, with_map=False).read_bytes()
        taken.append(campuses.taken_in(data, f"{name}.campus"))
    assert not taken[0].exists()
    assert taken[1].exists()
    assert taken[2].exists()
