"""Zones named in the app: only where the operator lets visitors, and the campus is written whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.campus.bundle import Bundle
from tests.app.harness import Start
from tests.bundles import make_bundle


@pytest.fixture
def campus(tmp_path: Path) -> Path:
    return make_bundle(tmp_path / "mine")


CampusPage = Callable[[str], AppTest]


@pytest.fixture
def campus_page(start: Start, campus: Path, monkeypatch: pytest.MonkeyPatch) -> CampusPage:
    """Open the campus page where the operator says so of names: campus_page(allowed)."""

    def opened(allowed: str) -> AppTest:
        monkeypatch.setenv("CAMPUS_NAME_ZONES", allowed)
        app = start(campus)
        app.button_group(key="page").set_value("campus").run()
        assert not app.exception
        return app

    return opened


def test_a_zone_is_named_on_the_campus_page(campus: Path, campus_page: CampusPage) -> None:
    app = campus_page("1")
    before = Bundle.load(campus).manifest
    app.selectbox[1].set_value(2)
    app.text_input[0].set_value("  Bus   stop ")
    app.button(key="FormSubmitter:name_zones-Save the name").click().run()
    assert not app.exception
    after = Bundle.load(campus).manifest
    assert after.zones[1].name == "Bus stop"
    assert [zone.name for zone in after.zones[2:]] == [zone.name for zone in before.zones[2:]]
    assert any("2 · Bus stop" in option for option in app.selectbox[1].options)


def test_what_is_no_name_is_refused_and_changes_nothing(campus: Path, campus_page: CampusPage) -> None:
    app = campus_page("1")
    before = Bundle.load(campus).manifest.digest
    app.text_input[0].set_value("   ")
    app.button(key="FormSubmitter:name_zones-Save the name").click().run()
    assert "cannot be saved" in app.error[0].value
    assert Bundle.load(campus).manifest.digest == before


@pytest.mark.parametrize("allowed", ["", "0"])
def test_nobody_names_zones_unless_the_operator_says_so(campus_page: CampusPage, allowed: str) -> None:
    assert not campus_page(allowed).text_input


def test_names_in_an_uploaded_campus_are_not_another_visitor_s(campus_page: CampusPage, tmp_path: Path) -> None:
    hill = make_bundle(tmp_path / "hill.campus", name="Hillside").read_bytes()

    def visitor() -> AppTest:
        return campus_page("1").file_uploader[0].set_value(("hill.campus", hill, "application/zip")).run()

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
