"""The still map: without WebGL it is the map, so it shows what the legend beside it names."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import pytest

from app.map.deck import Place, campus_map_of
from app.map.drawn import Shown
from app.map.legend import coverage_legend, legend
from app.map.shapes import LIGHT, css
from app.map.still import still_map
from core.campus import basemap
from core.campus.bundle import Bundle
from core.locate.localizer import Localizer
from tests.bundles import make_bundle, photo

FIX, TRUTH, ZONE, NUMBER, TRACK = (
    css(colour) for colour in (LIGHT.fix, LIGHT.truth, LIGHT.zone, LIGHT.candidate, LIGHT.track)
)
# How each sign of the legend looks in the picture.
SIGNS = {
    "fix": f"r='8' fill='{FIX}'",
    "radius68": f"fill='{FIX}' fill-opacity='.14'",
    "radius95": f"fill='none' stroke='{FIX}' stroke-dasharray='8 8'",
    "probability": "<image href='data:image/png;base64,",
    "candidate": f"r='12' fill='{NUMBER}'",
    "heading": f"fill='{FIX}' fill-opacity='.35'",
    "truth": f"stroke='{TRUTH}'",
    "zones": f"fill='{ZONE}' stroke='{ZONE}'",
    "coverage": f"stroke='{TRACK}' stroke-opacity='.75' stroke-width='5' stroke-linecap='round'",
    "track": f"fill='none' stroke='{TRACK}' stroke-opacity='.55'",
}
TRACK_PLACES = [[Place(47.0, 8.4), Place(47.0001, 8.4)]]


@pytest.fixture(scope="module")
def localizer(tmp_path_factory: pytest.TempPathFactory) -> Localizer:
    return Localizer.load(make_bundle(tmp_path_factory.mktemp("campus") / "testfield"))


def test_a_still_map_shows_what_the_legend_names(localizer: Localizer) -> None:
    bundle = localizer.bundle
    clear = replace(localizer.locate(photo()), heading_deg=90.0, heading_spread_deg=20.0)
    truth, everything = Place(clear.lat + 1e-4, clear.lon), Shown(zones=True, heat=True, photos=True)
    bare = unquote(still_map(bundle))
    named = set()
    for fix in (clear, localizer.locate(photo("split"))):
        drawn = unquote(still_map(bundle, fix, truth=truth, track=TRACK_PLACES, shown=everything))
        for item in legend(fix, truth=truth, track=TRACK_PLACES, shown=everything):
            assert SIGNS[item.key] in drawn, item.key
            assert SIGNS[item.key] not in bare, item.key
            named.add(item.key)
    assert named == set(SIGNS)


def test_the_still_map_of_training_photos_shows_where_they_stand(localizer: Localizer) -> None:
    assert [item.shape for item in coverage_legend()] == ["heat"]
    assert SIGNS["probability"] in unquote(still_map(localizer.bundle, coverage=True))


@pytest.mark.parametrize("dark", [False, True])
def test_zones_of_a_campus_without_a_map_have_borders(tmp_path: Path, dark: bool) -> None:
    bundle = Bundle.load(make_bundle(tmp_path / "bare", with_map=False))
    border = (basemap.DARK if dark else basemap.LIGHT)["grounds_edge"]
    assert unquote(still_map(bundle, dark=dark)).count(f"stroke='{border}'") == len(bundle.zones) > 1
    style = base64.b64decode(basemap.style_url(campus_map_of(bundle, scale=False), dark=dark).partition(",")[2])
    (drawn,) = (layer for layer in json.loads(style)["layers"] if layer["id"] == "grounds_edge")
    assert (drawn["type"], drawn["paint"]["line-color"]) == ("line", border)


def test_a_still_map_draws_nothing_that_is_not_there(localizer: Localizer) -> None:
    fix = localizer.locate(photo())
    drawn = unquote(still_map(localizer.bundle, fix))
    assert [key for key in SIGNS if SIGNS[key] in drawn] == ["fix", "radius68", "radius95"]
    assert css(LIGHT.truth) not in drawn
    assert "<polygon" not in drawn


def test_the_heat_of_a_still_map_lies_over_the_place(localizer: Localizer) -> None:
    fix = localizer.locate(photo(east_m=-60, north_m=60))
    drawn = unquote(still_map(localizer.bundle, fix, shown=Shown(heat=True)))
    laid = re.search(r"<image [^>]*? x='(\S+)' y='(\S+)' width='(\S+)' height='(\S+)'", drawn)
    dot = re.search(r"cx='(\S+)' cy='(\S+)' r='8'", drawn)
    assert laid
    assert dot
    (x, y, width, height), (at_x, at_y) = (map(float, found.groups()) for found in (laid, dot))
    assert x < at_x < x + width
    assert y < at_y < y + height
