"""The campus page and campuses at fault, run by Streamlit's own test driver."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest

from app import campuses
from tests.app.harness import Start, give, html, maps, position
from tests.bundles import make_bundle, photo


def test_no_campus_gives_one_clear_message(start: Start, tmp_path: Path) -> None:
    app = start(tmp_path / "absent")
    assert len(app.error) == 1
    assert "There is no campus at this place." in app.error[0].value
    app.button_group(key="page").set_value("campus").run()
    assert not app.exception
    assert app.selectbox


def test_a_damaged_campus_gives_one_clear_message(start: Start, bundle: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(bundle, damaged)
    model = bytearray((damaged / "model.onnx").read_bytes())
    model[100] ^= 1
    (damaged / "model.onnx").write_bytes(model)
    app = start(damaged)
    assert len(app.error) == 1
    assert "model.onnx is damaged" in app.error[0].value


def test_two_campuses(start: Start, bundle: Path, tmp_path: Path) -> None:
    packed = make_bundle(tmp_path / "hill.campus", name="Hillside", lat=-33.9, lon=18.4, rendered=False)
    app = start()
    app.button_group(key="page").set_value("campus").run()
    assert "mean colour" in html(app)
    assert "6 m" in html(app)
    assert len(maps(app)) == 1
    app.file_uploader[0].set_value(("hill.campus", packed.read_bytes(), "application/zip")).run()
    assert not app.exception
    assert "Hillside" in html(app)
    assert "not a real place" not in html(app)
    app.button_group(key="page").set_value("locate").run()
    give(app, photo(east_m=-52, north_m=68))
    assert position(app)[0] == pytest.approx(-33.9, abs=0.01)
    app.button_group(key="page").set_value("campus").run()
    assert len(app.selectbox[0].options) >= 2
    app.selectbox[0].select_index(0).run()
    assert "Testfield" in html(app)
    del bundle


def test_after_an_upload_the_former_campus_can_be_chosen_at_once(start: Start, tmp_path: Path) -> None:
    packed = make_bundle(tmp_path / "hill.campus", name="Hillside", lat=-33.9, lon=18.4, rendered=False)
    app = start()
    app.button_group(key="page").set_value("campus").run()
    app.file_uploader[0].set_value(("hill.campus", packed.read_bytes(), "application/zip")).run()
    assert app.selectbox[0].options[app.selectbox[0].index] == "Hillside"
    assert app.file_uploader[0].value is None, "the file does not stay with the server"
    app.selectbox[0].select("Testfield").run()
    assert not app.exception
    assert "<h1>Testfield</h1>" in html(app)


def test_campuses_of_one_name_are_told_apart(start: Start, bundle: Path, tmp_path: Path) -> None:
    packed = make_bundle(tmp_path / "twin.campus", lat=-33.9, lon=18.4)
    app = start()
    app.button_group(key="page").set_value("campus").run()
    app.file_uploader[0].set_value(("twin.campus", packed.read_bytes(), "application/zip")).run()
    assert {"Testfield (testfield)", "Testfield (twin.campus)"} < set(app.selectbox[0].options)
    app.selectbox[0].select("Testfield (testfield)").run()
    assert not app.exception
    assert app.session_state["campus"] == bundle


def test_a_server_that_cannot_store_a_campus_says_so_and_does_not_try_again(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = make_bundle(tmp_path / "hill.campus", name="Hillside", lat=-33.9, lon=18.4)
    campuses._workshop().cleanup()
    campuses._workshop.cache_clear()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))
    app = start()
    app.button_group(key="page").set_value("campus").run()
    app.file_uploader[0].set_value(("hill.campus", packed.read_bytes(), "application/zip")).run()
    assert not app.exception
    assert "cannot store it now" in app.error[0].value
    assert app.file_uploader[0].value is None
    monkeypatch.undo()
    app.file_uploader[0].set_value(("hill.campus", packed.read_bytes(), "application/zip")).run()
    assert not app.error
    assert "<h1>Hillside</h1>" in html(app)


def test_a_file_that_is_no_campus_changes_nothing(start: Start) -> None:
    app = start()
    app.button_group(key="page").set_value("campus").run()
    app.file_uploader[0].set_value(("x.campus", b"PK nonsense", "application/zip")).run()
    assert not app.exception
    assert len(app.error) == 1
    assert "x.campus" in app.error[0].value
    assert "/tmp" not in app.error[0].value
    assert "Testfield" in html(app)
