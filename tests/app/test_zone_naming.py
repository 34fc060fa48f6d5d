"""Zones named in the app: only where the operator lets visitors, and the campus is written whole."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.campus.bundle import Bundle
from tests import REPOSITORY
from tests.bundles import make_bundle


@pytest.fixture
def campus(tmp_path: Path) -> Path:
    return make_bundle(tmp_path / "mine")


def open_campus_page(monkeypatch: pytest.MonkeyPatch, campus: Path, allowed: str) -> AppTest:
    monkeypatch.setenv("CAMPUS_BUNDLE", str(campus))
    monkeypatch.setenv("CAMPUS_NAME_ZONES", allowed)
    app = AppTest.from_file(REPOSITORY / "streamlit_app.py", default_timeout=30).run()
    app.button_group(key="page").set_value("campus").run()
    assert not app.exception
    return app


def test_a_zone_is_named_on_the_campus_page(campus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_campus_page(monkeypatch, campus, "1")
    before = Bundle.load(campus).manifest
    app.selectbox[1].set_value(2)
    app.text_input[0].set_value("  Bus   stop ")
    app.button(key="FormSubmitter:name_zones-Save the name").click().run()
    assert not app.exception
    after = Bundle.load(campus).manifest
    assert after.zones[1].name == "Bus stop"
    assert [zone.name for zone in after.zones[2:]] == [zone.name for zone in before.zones[2:]]
    assert any("2 · Bus stop" in option for option in app.selectbox[1].options)


def test_what_is_no_name_is_refused_and_changes_nothing(campus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_campus_page(monkeypatch, campus, "1")
    before = Bundle.load(campus).manifest.digest
    app.text_input[0].set_value("   ")
    app.button(key="FormSubmitter:name_zones-Save the name").click().run()
    assert "cannot be saved" in app.error[0].value
    assert Bundle.load(campus).manifest.digest == before


@pytest.mark.parametrize("allowed", ["", "0"])
def test_nobody_names_zones_unless_the_operator_says_so(
    campus: Path, monkeypatch: pytest.MonkeyPatch, allowed: str
) -> None:
    app = open_campus_page(monkeypatch, campus, allowed)
    assert not app.text_input


def test_names_in_an_uploaded_campus_are_not_another_visitor_s(
    campus: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hill = make_bundle(tmp_path / "hill.campus", name="Hillside").read_bytes()

    def visitor() -> AppTest:
        app = open_campus_page(monkeypatch, campus, "1")
        return app.file_uploader[0].set_value(("hill.campus", hill, "application/zip")).run()

    def zones(app: AppTest) -> list[str]:
        return list(app.selectbox[1].options)

    one, other = visitor(), visitor()
    before = zones(one)
    one.text_input[0].set_value("Bus stop")
    one.button(key="FormSubmitter:name_zones-Save the name").click().run()
    assert not one.exception
    assert zones(one) == ["1 · Bus stop", *before[1:]]
    assert "Hillside" in one.selectbox[0].options
    assert zones(other.run()) == zones(visitor()) == before
