"""The map of a fix, as the JSON that deck.gl gets, and the offline basemap under it."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest

from app.map.deck import Place, campus_deck, coverage_deck
from app.map.drawn import Shown, view_cone
from app.map.heat import photo_density
from app.map.legend import coverage_legend, legend
from app.map.still import still_map
from core.campus.basemap import (
    LIGHT,
    MAX_STYLE_BYTES,
    Label,
    fitted_view,
    image_of,
    labels,
    names,
    style_url,
    visual_order,
)
from core.campus.frame import LocalFrame, distance_m
from core.campus.grid import Grid
from core.locate.confidence import confidence, places_to_name
from core.locate.fix import Candidate, Fix
from core.locate.localizer import Localizer
from tests.bundles import Kind, make_bundle, photo

KINDS: tuple[Kind, ...] = ("good", "wide", "split", "elsewhere")


@pytest.fixture(scope="module")
def localizer(tmp_path_factory: pytest.TempPathFactory) -> Localizer:
    return Localizer.load(make_bundle(tmp_path_factory.mktemp("campus") / "testfield"))


@pytest.fixture(scope="module")
def located(localizer: Localizer) -> Callable[[Kind], Fix]:
    fixes = {kind: localizer.locate(photo(kind, east_m=20, north_m=30)) for kind in KINDS}
    return lambda kind: fixes[kind]


def spec(deck: Any) -> dict[str, Any]:
    return dict(json.loads(deck.to_json()))


def layers(deck: Any) -> dict[str, dict[str, Any]]:
    """What is seen: not what only makes the browser ready for it."""
    return {layer["id"]: layer for layer in spec(deck)["layers"] if not layer["id"].startswith("unseen")}


def heat(deck: Any) -> dict[str, Any] | None:
    """The picture of a probability or density that lies on the map, below its names."""
    style = style_of(spec(deck)["mapStyle"])
    order = [layer["id"] for layer in style["layers"]]
    assert order[-2:] == ["heat", "names"] if "heat" in style["sources"] else "heat" not in order
    return style["sources"].get("heat")


def told(deck: Any) -> list[str]:
    """The names on the map, the most telling first."""
    named = style_of(spec(deck)["mapStyle"])["sources"]["names"]["data"]["features"]
    assert [one["properties"]["rank"] for one in named] == list(range(len(named)))
    return [one["properties"]["image"].partition(" ")[2] for one in named]


def style_of(url: str) -> dict[str, Any]:
    head, _, body = url.partition(",")
    assert head == "data:application/json;base64"
    return dict(json.loads(base64.b64decode(body)))


@pytest.mark.parametrize("kind", KINDS)
def test_confidence_tells_the_four_kinds_apart(located: Callable[[Kind], Fix], kind: Kind) -> None:
    assert confidence(located(kind)) == kind


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dark", [False, True])
def test_map_names_nothing_outside_and_stays_small(
    localizer: Localizer, located: Callable[[Kind], Fix], kind: Kind, dark: bool
) -> None:
    deck = campus_deck(localizer.bundle, located(kind), truth=Place(47.0, 8.4, 5.0), dark=dark)
    text = deck.to_json()
    assert "http" not in text
    assert spec(deck).get("mapProvider") is None
    assert len(text) < 150_000
    assert "\n" not in text, "indented JSON is twice as long and takes five times as long to write"
    assert "http" not in json.dumps(style_of(spec(deck)["mapStyle"]))


def test_what_all_maps_of_a_campus_share_is_made_once(
    localizer: Localizer, located: Callable[[Kind], Fix], tmp_path: Path
) -> None:
    def shared(deck: Any) -> list[Any]:
        zones = next(layer for layer in deck.layers if layer.id == "zones")
        outlines = {row["name"]: row["outline"] for row in zones.data}
        return [deck.map_style, *(outlines[name] for name in sorted(outlines))]

    bundle = localizer.bundle
    fixes = (located("good"), None)
    one, other = (shared(campus_deck(bundle, fix, shown=Shown(zones=True))) for fix in fixes)
    assert len(one) > 2
    assert all(mine is others for mine, others in zip(one, other, strict=True))
    dark = campus_deck(bundle, located("good"), shown=Shown(zones=True), dark=True)
    assert dark.map_style != one[0]
    assert shared(dark)[1] is one[1]
    bare = Localizer.load(make_bundle(tmp_path / "bare", with_map=False)).bundle
    assert campus_deck(bare).map_style != one[0], "each campus has its own"


def test_circle_is_in_true_metres(localizer: Localizer, located: Callable[[Kind], Fix]) -> None:
    fix = located("good")
    drawn = layers(campus_deck(localizer.bundle, fix))
    assert drawn["radius68"]["radiusUnits"] == "meters"
    assert drawn["radius68"]["getRadius"] == pytest.approx(fix.radius68_m, abs=0.01)
    corners = np.array([at for dash in drawn["radius95"]["data"] for at in dash["path"]])
    away = distance_m(corners[:, 1], corners[:, 0], fix.lat, fix.lon)
    # Dashes are chords of the circle, and UTM's scale is 0.9996 at its middle.
    assert away == pytest.approx(np.full(len(away), fix.radius95_m), rel=0.006)


def test_only_the_answers_zone_is_filled(localizer: Localizer, located: Callable[[Kind], Fix]) -> None:
    fix = located("good")
    rows = layers(campus_deck(localizer.bundle, fix, shown=Shown(zones=True)))["zones"]["data"]
    assert len(rows) == len(localizer.bundle.manifest.zones)
    assert [row["name"] for row in rows if row["fill"][3]] == [fix.zone.name]
    assert "zones" in {item.key for item in legend(fix, shown=Shown(zones=True))}


def test_zones_are_drawn_only_where_asked_for(localizer: Localizer, located: Callable[[Kind], Fix]) -> None:
    for deck in (campus_deck(localizer.bundle, located("good")), coverage_deck(localizer.bundle)):
        assert "zones" not in layers(deck)
    assert "zones" not in {item.key for item in legend(located("good"))}


def test_a_refused_photo_is_nowhere_on_the_map(localizer: Localizer, located: Callable[[Kind], Fix]) -> None:
    refused = replace(located("good"), on_campus=False, radius68_m=None, radius95_m=None)
    deck = campus_deck(localizer.bundle, refused)
    assert set(layers(deck)) == set()


def test_a_split_answer_numbers_its_places_and_claims_no_single_one(
    localizer: Localizer, located: Callable[[Kind], Fix]
) -> None:
    fix = located("split")
    drawn = layers(campus_deck(localizer.bundle, fix))
    assert [row["text"] for row in drawn["candidates"]["data"]] == ["1", "2"]
    assert not {"fix", "radius68"} & set(drawn), "nobody stands between them, and most of the ground there is not meant"
    assert "radius95" in drawn
    assert "fill-opacity='.14'" not in unquote(still_map(localizer.bundle, fix))
    assert "fill-opacity='.14'" in unquote(still_map(localizer.bundle, located("good")))
    assert {item.key for item in legend(fix)} == {"candidate", "radius95", "probability"}


def test_places_at_the_fix_itself_are_not_named_again() -> None:
    here = Candidate(47.0, 8.4, 0.8)
    there = Candidate(47.001, 8.4, 0.1)
    fix = Fix(47.0, 8.4, 8.0, 20.0, (), (here, there), True, 1.0, "x", {})
    assert places_to_name(fix) == [there]
    split = replace(fix, candidates=(replace(here, mass=0.5), replace(there, mass=0.4)))
    assert places_to_name(split) == list(split.candidates)


def test_truth_track_and_heading_are_drawn_and_in_the_legend(
    localizer: Localizer, located: Callable[[Kind], Fix]
) -> None:
    fix = replace(located("good"), heading_deg=90.0, heading_spread_deg=20.0)
    truth = Place(fix.lat + 1e-4, fix.lon, 6.0)
    track = [[Place(47.0003, 8.4)], [Place(47.0, 8.4), Place(47.0001, 8.4)]]
    drawn = layers(campus_deck(localizer.bundle, fix, truth=truth, track=track))
    assert {"truth", "error", "truth_error", "track", "track_line", "heading"} <= set(drawn)
    assert {item.key for item in legend(fix, truth=truth, track=track)} >= {"truth", "track", "heading"}
    assert len(drawn["track"]["data"]) == 3
    assert [row["path"] for row in drawn["track_line"]["data"]] == [[[8.4, 47.0], [8.4, 47.0001]]], "of one walk"
    apex, *arc = drawn["heading"]["data"][0]["outline"]
    assert apex == pytest.approx([fix.lon, fix.lat], abs=1e-6)
    assert all(lon > fix.lon for lon, _ in arc)  # looking east
    bare = layers(campus_deck(localizer.bundle, fix))
    assert not {"truth", "error", "track"} & set(bare)


@pytest.mark.parametrize(("heading", "spread"), [(0.0, 10.0), (45.0, 25.0), (200.0, 60.0), (359.0, 88.0)])
def test_the_view_cone_is_as_wide_as_its_spread_and_in_view(
    localizer: Localizer, located: Callable[[Kind], Fix], heading: float, spread: float
) -> None:
    frame = localizer.bundle.manifest.frame
    fix = replace(located("good"), heading_deg=heading, heading_spread_deg=spread)
    deck = campus_deck(localizer.bundle, fix)
    outline = np.array(layers(deck)["heading"]["data"][0]["outline"])
    apex, *arc = frame.to_local(outline[:, 1], outline[:, 0])
    bearings = [np.degrees(np.arctan2(*(point - apex))) for point in arc]
    turned = [(bearing - heading + 180) % 360 - 180 for bearing in bearings]
    assert (turned[0], turned[-1]) == pytest.approx((-spread, spread), abs=0.1)
    assert np.ptp([np.hypot(*(point - apex)) for point in arc]) < 0.1
    assert "heading" in {item.key for item in legend(fix)}
    bare = campus_deck(localizer.bundle, replace(fix, heading_deg=None))
    assert spec(deck)["initialViewState"]["zoom"] <= spec(bare)["initialViewState"]["zoom"]


def test_no_cone_without_a_direction(localizer: Localizer, located: Callable[[Kind], Fix]) -> None:
    unsure = replace(located("good"), heading_deg=10.0, heading_spread_deg=95.0)
    split = replace(located("split"), heading_deg=10.0, heading_spread_deg=10.0)
    plain = replace(located("good"), heading_deg=370.0)
    for fix in (located("good"), unsure, split):
        assert view_cone(fix) is None
        assert "heading" not in layers(campus_deck(localizer.bundle, fix))
        assert "heading" not in {item.key for item in legend(fix)}
    assert view_cone(plain) == (10.0, 30.0), "a phone's own field of view where the spread is unknown"


def test_the_view_holds_circle_candidates_and_truth(localizer: Localizer, located: Callable[[Kind], Fix]) -> None:
    fix = located("good")
    near = spec(campus_deck(localizer.bundle, fix))["initialViewState"]
    far = spec(campus_deck(localizer.bundle, fix, truth=Place(fix.lat + 0.002, fix.lon)))["initialViewState"]
    assert far["zoom"] < near["zoom"]
    other_town = spec(campus_deck(localizer.bundle, fix, truth=Place(fix.lat + 1, fix.lon)))["initialViewState"]
    assert other_town["zoom"] == near["zoom"]


def test_fitted_view_is_as_wide_as_the_points() -> None:
    frame = LocalFrame.about(0.0, 9.0)
    view = fitted_view([[-100.0, -10.0], [100.0, 10.0]], frame, 400, 400)
    metres_per_px = 40_075_016.686 / (512 * 2**view.zoom)
    assert 200 / metres_per_px == pytest.approx(400, rel=0.01)
    assert (view.lat, view.lon) == pytest.approx((0.0, 9.0), abs=1e-6)


def test_heat_lies_where_the_probability_is(localizer: Localizer, located: Callable[[Kind], Fix]) -> None:
    from PIL import Image

    fix = located("good")
    assert heat(campus_deck(localizer.bundle, fix)) is None, "only where it is asked for"
    laid = heat(campus_deck(localizer.bundle, fix, shown=Shown(heat=True)))
    assert laid is not None
    png = Image.open(io.BytesIO(base64.b64decode(laid["url"].partition(",")[2])))
    alpha = np.asarray(png)[..., 3]
    row, column = np.unravel_index(int(alpha.argmax()), alpha.shape)
    (west, north), _, (east, south), _ = laid["coordinates"]
    lon = west + (column + 0.5) / alpha.shape[1] * (east - west)
    lat = north - (row + 0.5) / alpha.shape[0] * (north - south)  # a picture's first row is its north
    assert distance_m(lat, lon, fix.lat, fix.lon) < fix.radius68_m


def test_without_a_fix_the_whole_campus_is_shown(localizer: Localizer) -> None:
    assert layers(campus_deck(localizer.bundle)) == {}
    assert legend(None) == []
    assert heat(coverage_deck(localizer.bundle)) is not None
    assert [item.key for item in coverage_legend()] == ["coverage"]


def test_photo_density_integrates_to_the_number_of_photos() -> None:
    grid = Grid(-50, -50, 2.0, 50, 50)
    density = photo_density(grid, np.zeros((7, 2)))
    assert density.sum() * grid.cell_m**2 == pytest.approx(7, rel=1e-3)


def test_a_campus_without_a_map_shows_its_photos_and_zones_and_leaves_the_scale_to_the_page(tmp_path: Path) -> None:
    bundle = Localizer.load(make_bundle(tmp_path / "bare", with_map=False)).bundle
    deck = campus_deck(bundle)
    assert not {"N", "50 m"} & set(told(deck))
    style = json.loads(base64.b64decode(json.loads(deck.to_json())["mapStyle"].split(",")[1]))
    drawn = {feature["properties"]["kind"] for feature in style["sources"]["campus"]["data"]["features"]}
    assert drawn == {"grounds", "walked", "photo"}


@pytest.mark.parametrize(
    "features",
    [
        [],
        None,
        "nonsense",
        [None, 3, {"type": "Feature"}],
        [{"geometry": {"type": "Polygon", "coordinates": [[["a", 1]]]}, "properties": {"kind": "building"}}],
        [{"geometry": {"type": "Point", "coordinates": [float("nan"), 1]}, "properties": {"kind": "tree"}}],
        [{"geometry": {"type": "Point", "coordinates": [8, 400]}, "properties": {"kind": "tree", "name": "x"}}],
        [{"geometry": {"type": "Point", "coordinates": [8, 47]}, "properties": {"kind": ["tree"]}}],
    ],
)
def test_a_strangers_map_never_breaks_the_page(features: Any) -> None:
    campus_map = {"type": "FeatureCollection", "features": features}
    style = style_of(style_url(campus_map, dark=False))
    assert style["sources"]["campus"]["data"]["features"] == []
    assert names(campus_map, LocalFrame.about(47, 8)) == []


def test_a_huge_map_loses_trees_first() -> None:
    def feature(kind: str, at: float) -> dict[str, Any]:
        ring = [[8 + at, 47.0], [8 + at, 47.001], [8.001 + at, 47.001], [8 + at, 47.0]]
        shape = {"type": "Point", "coordinates": [8 + at, 47.0]} if kind == "tree" else None
        return {"geometry": shape or {"type": "Polygon", "coordinates": [ring]}, "properties": {"kind": kind}}

    features = [feature(kind, at * 1e-6) for kind in ("tree", "building") for at in range(700)]
    url = style_url({"features": features}, dark=True)
    kinds = [f["properties"]["kind"] for f in style_of(url)["sources"]["campus"]["data"]["features"]]
    assert kinds == ["building"] * 700
    assert len(json.dumps(style_of(url), separators=(",", ":"))) <= MAX_STYLE_BYTES


def test_names_do_not_cover_one_another_and_more_fit_nearer(localizer: Localizer) -> None:
    bundle = localizer.bundle
    frame = bundle.manifest.frame
    found = names(bundle.campus_map, frame)
    near, far = ({label.text for label in labels(found, frame, zoom)} for zoom in (18, 15))
    assert {"Library", "Physics", "Cafeteria"} <= near
    assert far < near
    assert not any("tree" in name for name in near)


def test_names_are_in_the_pages_language_where_the_map_tells_it_and_yield_by_rank(tmp_path: Path) -> None:
    path = make_bundle(tmp_path / "named", names_he={"Library": "ספרייה"})
    bundle = Localizer.load(path).bundle
    texts = {lang: set(told(campus_deck(bundle, lang=lang))) for lang in ("en", "he")}
    assert texts["he"] - texts["en"] == {visual_order("ספרייה")}
    assert texts["en"] - texts["he"] == {"Library"}
    placed = style_of(spec(campus_deck(bundle, lang="he"))["mapStyle"])["layers"][-1]
    assert placed["layout"]["symbol-sort-key"] == ["get", "rank"]
    assert not {"icon-allow-overlap", "icon-ignore-placement"} & set(placed["layout"])


def test_before_an_answer_each_kind_of_shape_that_it_draws_is_drawn_once_unseen(
    localizer: Localizer, located: Callable[[Kind], Fix]
) -> None:
    """Else its program is built after the first tap: on a phone's processor the longest part of the wait."""
    at_rest = spec(campus_deck(localizer.bundle))["layers"]
    fix = replace(located("split"), heading_deg=90.0, heading_spread_deg=20.0)
    answers = [campus_deck(localizer.bundle, one, truth=Place(47.0, 8.4, 5.0)) for one in (fix, located("good"))]
    drawn = {layer["@@type"] for deck in answers for layer in spec(deck)["layers"]}
    assert drawn <= {layer["@@type"] for layer in at_rest}
    clear = [layer.get(key) for layer in at_rest for key in ("getFillColor", "getLineColor", "getColor")]
    assert {colour[3] for colour in clear if colour} == {0}


def test_the_still_picture_is_seen_until_the_map_s_own_features_are_drawn(localizer: Localizer) -> None:
    """A ground of the style's own is drawn at once, and for a moment nothing would stand on it."""
    drawn = style_of(spec(campus_deck(localizer.bundle))["mapStyle"])["layers"]
    assert "fill" in {layer["type"] for layer in drawn}
    assert "background" not in {layer["type"] for layer in drawn}


def test_names_on_water_are_blue_and_on_lawns_green_as_printed_maps_have_them() -> None:
    inks = {kind: image_of(Label(47.0, 8.4, "Pond", kind), dark=False) for kind in ("water", "lawn", "building")}
    assert inks["building"] == f"{LIGHT['name']} Pond"
    assert inks["water"] == f"{LIGHT['water_name']} Pond"
    assert inks["lawn"] == f"{LIGHT['lawn_name']} Pond"
    pond = {"type": "Feature", "properties": {"kind": "water", "name": "Pond"},
            "geometry": {"type": "Point", "coordinates": [8.4, 47.0]}}  # fmt: skip
    (named,) = names({"features": [pond]}, LocalFrame.about(47, 8))
    assert named.label.kind == "water"


def test_a_still_maps_hebrew_names_are_turned_once(tmp_path: Path) -> None:
    """They come as they stand from left to right, so the browser must not turn them again."""
    bundle = Localizer.load(make_bundle(tmp_path / "named", names_he={"Library": "ספרייה"})).bundle
    drawn = re.findall(r"<text ([^>]*)>([^<]*)</text>", unquote(still_map(bundle, lang="he")))
    style = next(attributes for attributes, text in drawn if text == visual_order("ספרייה"))
    assert "bidi-override" in style


@pytest.mark.parametrize(
    ("logical", "drawn"),
    [
        ("Library", "Library"),
        ("הנדסה", "הסדנה"),
        ("בניין 34", "34 ןיינב"),
        ("מעבדת IBM", "IBM תדבעמ"),
        ("", ""),
    ],
)
def test_hebrew_is_turned_for_a_text_layer_that_draws_left_to_right(logical: str, drawn: str) -> None:
    assert visual_order(logical) == drawn
