"""The map in a browser: its scale bar, its names at each zoom, and in the language of the page."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

from app.map.deck import Room, view_of
from app.map.still import HEIGHT_PX, WIDTH_PX, still_map
from core.campus.bundle import Bundle
from core.locate.localizer import DEMO_BUNDLE
from tests import chromium
from tests.app.harness import DESKTOP, PHONE, Open, Server, Visit, start_app
from tests.app.page_scripts import KEPT_SCRIPT
from tests.bundles import make_bundle, photo

pytestmark = pytest.mark.slow

# Asks MapLibre where it drew which of its names.
PLACED = """
  const map = mapOnPage(), screen = map.getCanvas().getBoundingClientRect();
  const drawn = new Set(map.queryRenderedFeatures({ layers: ["names"] }).map((one) => one.properties.rank));
  return map.getStyle().sources.names.data.features.map(({ properties: { image, rank }, geometry }) => {
    const { data, pixelRatio } = map.style.getImage(image), at = map.project(geometry.coordinates);
    const width = data.width / pixelRatio, height = data.height / pixelRatio;
    const inside = Math.abs(at.x - screen.width / 2) < (screen.width - width) / 2
      && Math.abs(at.y - screen.height / 2) < (screen.height - height) / 2;
    return { image, rank, x: at.x, y: at.y, width, height, inside, drawn: drawn.has(rank) };
  });"""

# How much is seen of the still map, and of the live one, until the live one with its names is whole.
BEFORE_IT_IS_DRAWN = """() => {
  const page = document.documentElement.classList;
  page.remove("campus-map-drawn");
  const seen = ["img.still", "canvas:is(.mapboxgl-canvas, .maplibregl-canvas)"]
    .map((part) => getComputedStyle(document.querySelector(part)).opacity);
  page.add("campus-map-drawn");
  return seen;
}"""
# The width in pixels of each text of a still map, as this browser draws it.
WIDTHS = """(texts) => {
  const pen = document.createElement("canvas").getContext("2d");
  pen.font = "700 12px system-ui, sans-serif";
  return texts.map((text) => pen.measureText(text).width);
}"""


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A campus whose map knows one building's Hebrew name."""
    path = make_bundle(tmp_path_factory.mktemp("campuses") / "named", names_he={"Library": "ספרייה"})
    running = start_app({"CAMPUS_BUNDLE": str(path)})
    yield running
    running.stop()


def bar(seen: Visit) -> tuple[int, float]:
    """(metres, pixels) of the scale bar."""
    seen.rests()
    line = seen.page.locator(".scale span").filter(has_text=re.compile(r"\d"))
    text, px = line.evaluate("(line) => [line.innerText, line.getBoundingClientRect().width]")
    return int(re.sub(r"\D", "", text)), float(px)


def letters(seen: Visit) -> int:
    """How many pixels of the map are in the colour of its names, between the page's title and the sheet."""
    picture = Image.open(io.BytesIO(seen.page.locator("[data-testid=stDeckGlJsonChart]").screenshot())).convert("RGB")
    width, height = picture.size
    middle = np.asarray(picture.crop((0, 120, width - 70, height - 50)), np.int64)
    return int((np.abs(middle - (38, 33, 27)).max(axis=-1) < 40).sum())


def placed_names(seen: Visit) -> list[dict[str, Any]]:
    """The names that the map could show: rank, middle and size in pixels, whether it is drawn; by rank."""
    asked = KEPT_SCRIPT + PLACED
    return sorted(seen.page.evaluate(f"() => {{ {asked} }}"), key=lambda name: float(name["rank"]))


def meet(one: dict[str, Any], other: dict[str, Any], apart_px: float) -> bool:
    """Whether two names come nearer to one another than that."""
    sides = (("x", "width"), ("y", "height"))
    return all(abs(one[at] - other[at]) < (one[size] + other[size]) / 2 + apart_px for at, size in sides)


def assert_each_name_is_whole_or_left_out(seen: Visit) -> None:
    """No drawn name covers another, and each one left out has a more telling one in its place."""
    found = placed_names(seen)
    drawn = [name for name in found if name["drawn"]]
    assert drawn
    assert [(a, b) for n, a in enumerate(drawn) for b in drawn[:n] if meet(a, b, -1)] == []
    for name in found:
        if name["inside"] and not name["drawn"]:
            assert any(meet(name, other, 5) for other in drawn if other["rank"] < name["rank"]), name


def zoom(seen: Visit, by: int) -> None:
    """Turn the wheel over the map's middle until it stands two zooms nearer or farther."""
    box = seen.page.locator("[data-testid=stDeckGlJsonChart]").bounding_box()
    seen.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    for _ in range(6):
        seen.page.mouse.wheel(0, -by * 200)
        seen.page.wait_for_timeout(300)
    seen.map_still()


# How many frames of the screen the page asks for within a second.
FRAMES = """() => new Promise((tell) => {
  const ask = window.requestAnimationFrame;
  let frames = 0;
  window.requestAnimationFrame = (frame) => (frames++, ask.call(window, frame));
  setTimeout(() => ((window.requestAnimationFrame = ask), tell(frames)), 1000);
})"""


def test_a_map_that_is_looked_at_lets_the_processor_sleep_and_wakes_at_a_touch(visit: Open, named: Server) -> None:
    seen = visit(PHONE, url=named.url)
    seen.map_drawn()
    # Whatever draws the page's last parts keeps it awake a while.
    assert any(seen.page.evaluate(FRAMES) <= 2 for _ in range(30))
    before = bar(seen)
    zoom(seen, 2)  # wheels for more than a second
    assert bar(seen) != before
    for east_px in (40, -40, 40, -40):  # again where the machine stalls for longer than the map stays awake
        drag(seen, east_px, 40)
        if (frames := seen.page.evaluate(FRAMES)) >= 5:
            break
    assert frames >= 5, "awake while a finger may go on"
    seen.sample(0)
    seen.map_drawn()
    seen.clean()


def test_zoomed_out_fewer_names_are_drawn_and_the_scale_bar_stays_true(visit: Open, named: Server) -> None:
    seen = visit(DESKTOP, url=named.url)
    seen.map_drawn()
    seen.page.wait_for_function("getComputedStyle(document.querySelector('img.still')).opacity === '0'")
    assert seen.page.evaluate(BEFORE_IT_IS_DRAWN) == ["1", "0"]
    metres, px = bar(seen)
    first = letters(seen)
    assert first > 300
    assert_each_name_is_whole_or_left_out(seen)
    seen.screenshot("map-first")
    zoom(seen, -1)
    far_metres, far_px = bar(seen)
    assert far_metres / far_px > 1.5 * metres / px
    assert 0 < letters(seen) < 0.75 * first, "what does not fit is left out"
    assert_each_name_is_whole_or_left_out(seen)
    assert not all(name["drawn"] for name in placed_names(seen))
    seen.screenshot("map-far")
    zoom(seen, 1)
    near_metres, near_px = bar(seen)
    assert near_metres / near_px < far_metres / far_px / 1.5
    assert_each_name_is_whole_or_left_out(seen)
    seen.clean()


@pytest.mark.parametrize("room", [Room(), Room(794, 800, 0, 54)], ids=["phone", "desktop"])
def test_names_on_a_still_map_do_not_touch_one_another(browser: Any, room: Room) -> None:
    bundle = Bundle.load(DEMO_BUNDLE)
    still = unquote(still_map(bundle, view=view_of(bundle, room=room)))
    found = re.findall(r"<text x='([\d.]+)' y='([\d.]+)' .*?>([^<]+)</text>", still)
    page = browser.new_page()
    widths = page.evaluate(WIDTHS, [text for _, _, text in found])
    page.close()
    boxes = [(float(x), float(y), float(width)) for (x, y, _), width in zip(found, widths, strict=True)]
    assert len(boxes) > 10
    for index, (x, y, width) in enumerate(boxes):
        for other_x, other_y, other_width in boxes[:index]:
            assert abs(x - other_x) > (width + other_width) / 2 or abs(y - other_y) >= 13  # two lines of one name


@pytest.mark.parametrize("room", [Room(), Room(794, 800, 0, 54)], ids=["phone", "desktop"])
def test_the_edge_of_a_still_map_cuts_no_name(browser: Any, room: Room) -> None:
    bundle = Bundle.load(DEMO_BUNDLE)
    view = view_of(bundle, room=room)
    near = replace(view, zoom=view.zoom + 1.2)
    width, height = room.width_px + room.right_px, room.height_px + room.top_px
    page = browser.new_page()

    def cut(still: str) -> tuple[int, int]:
        """(names that the map's edge cuts, names that it leaves whole); each line of a name is one."""
        found = re.findall(r"<text x='([-\d.]+)' y='([-\d.]+)' .*?>([^<]+)</text>", unquote(still))
        widths = page.evaluate(WIDTHS, [text for _, _, text in found])
        out_px = [
            (abs(float(x) - WIDTH_PX / 2) - width / 2, abs(float(y) - 4 - HEIGHT_PX / 2) - height / 2, wide / 2)
            for (x, y, _), wide in zip(found, widths, strict=True)
        ]
        whole = [max(aside + half, above + 6) <= 0 for aside, above, half in out_px]
        gone = [max(aside - half, above - 6) >= 0 for aside, above, half in out_px]
        return len(whole) - sum(whole) - sum(gone), sum(whole)

    assert cut(still_map(bundle, view=near))[0] > 0, "the edge met some names"
    among, whole = cut(still_map(bundle, view=near, room=room))
    page.close()
    assert among == 0
    assert whole > 5


def test_without_webgl_scale_layers_and_buttons_are_the_pictures(visit: Open, browser: Any) -> None:
    without = chromium.start(browser.browser_type, "--disable-3d-apis")
    try:
        seen = visit(PHONE, browser=without)
        metres, px = bar(seen)
        seen.rests()
        still = unquote(seen.page.locator("img.still").get_attribute("src"))
        px_per_m = float(re.search(r" scale\(([\d.]+)\)", still).group(1))  # type: ignore[union-attr]
        assert px / metres == pytest.approx(px_per_m, rel=0.01)
        page = seen.page
        assert page.locator(".st-key-recentre").count() == 0, "a still map is never away"
        assert "<polygon" not in still
        page.locator(".st-key-controls [data-testid=stPopover] button").click()
        page.locator(".st-key-layer_zones label").click()
        page.wait_for_function("decodeURIComponent(document.querySelector('img.still')?.src).includes('<polygon')")
        seen.screenshot("map-still-zones")
        assert seen.outside == []
    finally:
        without.close()


@pytest.mark.parametrize(("lang", "name"), [("he", "ספרייה"), ("en", "Library")])
def test_places_are_called_as_the_map_calls_them_in_the_pages_language(
    visit: Open, named: Server, lang: str, name: str
) -> None:
    seen = visit(PHONE, url=named.url, lang=lang, dark=True)
    page = seen.page
    seen.sample(1)
    page.locator("section.answer h2").get_by_text(name).wait_for()
    bar(seen)
    seen.map_drawn()
    seen.screenshot(f"map-names-{lang}")
    seen.clean()


# Of each placed name whether it meets the page's head or a button over the map, the scale bar, or leaves the map, and
# whether it is hidden for that.
CUT = """
  const map = mapOnPage();
  if (!map?.loaded()) return false;
  const screen = map.getCanvas().getBoundingClientRect();
  const boxes = (parts) => [...document.querySelectorAll(parts)].map((part) => part.getBoundingClientRect());
  const [head_and_buttons, scale] = [boxes(".campus-head, .st-key-controls button"), boxes(".st-key-scale")];
  const names = map.queryRenderedFeatures({ layers: ["names"] }).map(({ id, properties, geometry }) => {
    const { data, pixelRatio } = map.style.getImage(properties.image), at = map.project(geometry.coordinates);
    const [wide, high] = [data.width / pixelRatio, data.height / pixelRatio];
    const under = (over) => over.some(({ x, y, width, height }) =>
      Math.abs(screen.x + at.x - x - width / 2) < (wide + width) / 2
      && Math.abs(screen.y + at.y - y - height / 2) < (high + height) / 2);
    const leaves = Math.abs(at.x - screen.width / 2) > (screen.width - wide) / 2
      || Math.abs(at.y - screen.height / 2) > (screen.height - high) / 2;
    const hidden = map.getFeatureState({ source: "names", id }).cut ?? false;
    return { x: at.x, y: at.y, wide, high, meets: under(head_and_buttons), scaled: under(scale), leaves, hidden };
  });"""


# Of each placed name whether a numbered place, as deck.gl drew it, lies over it, and whether it is hidden.
NUMBERED = """
  const places = deckOnPage()?.layerManager.getLayers().find(({ id }) => id === "candidates"), number_half = 13;
  const onScreen = (row) => places.context.viewport.project(places.props.getPosition(row));
  const numbers = (places?.props.data ?? []).map(onScreen);
  const under = names.map(({ x, y, wide, high, hidden, meets, scaled, leaves }) => ({
    hidden, other: meets || scaled || leaves, numbered: numbers.some(([east, south]) =>
      Math.abs(x - east) < wide / 2 + number_half && Math.abs(y - south) < high / 2 + number_half),
  }));"""


def drag(seen: Visit, east_px: float, south_px: float) -> None:
    """Move the map under the mouse, a step a frame: steps within one frame are one, and the map follows from there."""
    box = seen.page.locator("[data-testid=stDeckGlJsonChart]").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    seen.page.mouse.move(x, y)
    seen.page.mouse.down()
    for share in np.linspace(0, 1, 9)[1:]:
        seen.page.mouse.move(x + share * east_px, y + share * south_px)
        seen.page.evaluate("() => new Promise(requestAnimationFrame)")
    seen.page.mouse.up()


def test_a_name_that_anything_over_the_map_or_its_edge_would_cut_is_not_seen(visit: Open, named: Server) -> None:
    asked = KEPT_SCRIPT + CUT
    seen = visit(PHONE, url=named.url)
    seen.map_drawn()
    as_it_should = "names.every(({ meets, scaled, leaves, hidden }) => (meets || scaled || leaves) === hidden)"
    for east_px, south_px, how in ((-20, 135, "scaled"), (40, -295, "meets"), (140, 160, "leaves")):
        drag(seen, east_px, south_px)
        seen.page.wait_for_function(f"() => {{ {asked} return {as_it_should} && names.some((name) => name.{how}); }}")
        seen.screenshot(f"map-names-{how}")
    drag(seen, -160, 0)
    clear = "names.every(({ meets, scaled, leaves }) => !meets && !scaled && !leaves)"
    seen.page.wait_for_function(f"() => {{ {asked} return {as_it_should} && {clear}; }}")
    seen.clean()


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_a_name_that_a_numbered_place_would_cover_is_not_seen(
    visit: Open, named: Server, size: tuple[int, int]
) -> None:
    asked = KEPT_SCRIPT + CUT + NUMBERED
    seen = visit(size, url=named.url)
    page = seen.page
    seen.upload(photo("split"), name="twins.jpg")
    page.locator("section.answer.split").wait_for()
    seen.map_drawn()
    for _ in range(2 if size == DESKTOP else 0):  # at first no name is so near
        page.locator("[class*=-ctrl-zoom-out]").click()
        seen.map_still()
    as_it_should = "under.every(({ numbered, other, hidden }) => (numbered || other) === hidden)"
    covered = "numbers.length === 2 && under.some(({ numbered, other }) => numbered && !other)"
    page.wait_for_function(f"() => {{ {asked} return {as_it_should} && {covered}; }}")
    seen.screenshot(f"map-names-numbered-{size[0]}")
    seen.turn_to(1)  # the log's map has the same names, and no numbers
    page.wait_for_function(f"() => {{ {asked} return {as_it_should} && !numbers.length; }}")
    seen.clean()
