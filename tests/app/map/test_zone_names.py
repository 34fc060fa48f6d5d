"""Zones on the map are called as the sheet calls them, in the page's language."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from app.collect.plan import plan
from app.language import Lang
from app.map.deck import campus_deck, coverage_deck, names_of
from app.map.drawn import Shown
from app.texts import Texts
from core.campus.bundle import Bundle, save_bundle
from tests.bundles import make_bundle


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A campus without a map, whose first zone has a number for a name."""
    folder = tmp_path_factory.mktemp("campus")
    plain = Bundle.load(make_bundle(folder / "plain", with_map=False))
    first, *others = plain.manifest.zones
    manifest = plain.manifest.model_copy(update={"zones": (replace(first, name="Zone 6"), *others)})
    save_bundle(folder / "bare", manifest, {name: plain.read(name) for name in plain.manifest.files})
    return Bundle.load(folder / "bare")


@pytest.mark.parametrize("lang", ["en", "he"])
def test_without_a_map_its_zones_are_named_in_the_pages_language(bare: Bundle, lang: Lang) -> None:
    texts = Texts(lang)
    zones = {texts.zone_name(zone.name) for zone in bare.manifest.zones}
    assert {texts.zone_name("Zone 6"), texts.zone_name("Law, north side")} < zones
    wanted = {letters(zone) for zone in zones}
    assert wanted == {letters(name.label.text) for name in names_of(bare, lang)}
    small = plan(bare, lang=lang)["labels"]
    assert wanted < {letters("".join(lines)) for *_, lines in small}, "the map to tap on, too"


def letters(name: str) -> str:
    """Those of a name in whatever order: on a map Hebrew ones are turned, and long names broken."""
    return "".join(sorted(name.replace(" ", "").replace("\n", "")))


@pytest.mark.parametrize("lang", ["en", "he"])
def test_the_mouse_over_a_zone_tells_its_name_in_the_pages_language(bare: Bundle, lang: Lang) -> None:
    for deck in (
        campus_deck(bare, shown=Shown(zones=True), lang=lang),
        coverage_deck(bare, shown=Shown(zones=True), lang=lang),
    ):
        (layer,) = (layer for layer in json.loads(deck.to_json())["layers"] if layer["id"] == "zones")
        named = {row["name"] for row in layer["data"]}
        assert named == {Texts(lang).zone_name(zone.name) for zone in bare.manifest.zones}
