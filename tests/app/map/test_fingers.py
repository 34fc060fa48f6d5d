"""The map under fingers: one pans it, two zoom and never turn it, the sheet scrolls beside it, a tap recentres it."""

from __future__ import annotations

import math

import pytest

from tests.app.harness import LANDSCAPE, PHONE, Hand, Open, Point, Visit
from tests.app.page_scripts import VIEWPORT
from tests.bundles import photo

pytestmark = pytest.mark.slow

SCROLLED = "document.querySelector('[data-testid=stMain]').scrollTop"
SIZES = [pytest.param(PHONE, id="phone"), pytest.param(LANDSCAPE, id="landscape")]


def located(visit: Open, size: tuple[int, int]) -> tuple[Visit, Hand]:
    """A page that has an answer and its map, which no later run of it moves any more."""
    seen = visit(size)
    seen.upload(photo(east_m=-52, north_m=68))
    seen.page.locator("section.answer").wait_for()
    seen.map_drawn()
    return seen, Hand(seen.page)


def view(seen: Visit) -> dict[str, float]:
    asked = "const { longitude, latitude, zoom, bearing, pitch } = viewport();"
    return dict(
        seen.page.evaluate(f"() => {{ {VIEWPORT} {asked} return {{ longitude, latitude, zoom, bearing, pitch }}; }}")
    )


def under(seen: Visit, point: Point) -> list[float]:
    """[lon, lat] of the place that is drawn there."""
    return list(seen.page.evaluate(f"(at) => {{ {VIEWPORT} return viewport().unproject(at); }}", list(point)))


def wait_until_drawn(seen: Visit, lonlat: list[float], at: Point, within_px: Point) -> None:
    seen.page.wait_for_function(
        f"""([lonlat, at, within]) => {{ {VIEWPORT}
          const found = viewport()?.project(lonlat);
          return found && [0, 1].every((axis) => Math.abs(found[axis] - at[axis]) <= within[axis]); }}""",
        arg=[lonlat, list(at), list(within_px)],
    )


def visible(seen: Visit) -> tuple[Point, Point]:
    """(middle, size) in pixels of what head and controls leave free of the map."""
    stage, head, controls = (
        seen.page.locator(part).first.bounding_box() for part in (".st-key-stage", ".campus-head", ".st-key-controls")
    )
    top = head["y"] + head["height"] if head["x"] < stage["x"] + stage["width"] else stage["y"]
    right, bottom = controls["x"], stage["y"] + stage["height"]
    return ((stage["x"] + right) / 2, (top + bottom) / 2), (right - stage["x"], bottom - top)


@pytest.mark.parametrize("size", SIZES)
def test_one_finger_pans_the_map_and_the_target_takes_it_back(visit: Open, size: tuple[int, int]) -> None:
    seen, hand = located(visit, size)
    page = seen.page
    page.locator("summary").first.click()
    lat, lon = map(float, page.locator(".position code").inner_text().split(", "))
    page.evaluate("document.querySelector('[data-testid=stMain]').scrollTo(0, 0)")
    (x, y), (width, height) = visible(seen)
    wait_until_drawn(seen, [lon, lat], (x, y), (width / 8, height / 8))
    place, end = under(seen, (x, y)), (x - 0.4 * width, y - 0.4 * height)
    before, stage = view(seen), page.locator(".st-key-stage").bounding_box()
    hand.draw(((x, y), end))
    wait_until_drawn(seen, place, end, (15, 15))  # a finger is a movement only after a few pixels
    seen.map_still()
    after = view(seen)
    assert [after[key] for key in ("zoom", "bearing", "pitch")] == [before["zoom"], 0, 0]
    assert page.evaluate(SCROLLED) == 0, "the page stays"
    assert page.locator(".st-key-stage").bounding_box() == stage
    seen.screenshot(f"fingers-panned-{size[0]}")
    page.locator(".st-key-recentre button").click()
    wait_until_drawn(seen, [lon, lat], (x, y), (width / 8, height / 8))
    seen.clean()


def test_two_fingers_zoom_the_map_and_never_turn_it(visit: Open) -> None:
    seen, hand = located(visit, PHONE)
    (x, y), (width, _) = visible(seen)
    before, near, far = view(seen), 0.1 * width, 0.4 * width
    place = under(seen, (x, y))
    hand.draw(((x - near, y), (x, y - far)), ((x + near, y), (x, y + far)))
    seen.page.wait_for_function(f"zoom => {{ {VIEWPORT} return viewport()?.zoom > zoom + 1; }}", arg=before["zoom"])
    wait_until_drawn(seen, place, (x, y), (40, 40))
    seen.map_still()
    after = view(seen)
    assert (after["bearing"], after["pitch"]) == (0, 0), "north stays up"
    assert after["zoom"] - before["zoom"] == pytest.approx(math.log2(far / near), abs=0.7)
    hand.draw(((x - far, y), (x - near, y)), ((x + far, y), (x + near, y)))
    seen.page.wait_for_function(f"zoom => {{ {VIEWPORT} return viewport()?.zoom < zoom - 1; }}", arg=after["zoom"])
    assert seen.page.evaluate(SCROLLED) == 0
    seen.clean()


@pytest.mark.parametrize("size", SIZES)
def test_a_swipe_over_the_sheet_scrolls_it_and_leaves_the_map(visit: Open, size: tuple[int, int]) -> None:
    seen, hand = located(visit, size)
    answer = seen.page.locator("section.answer").bounding_box()
    x, y = answer["x"] + answer["width"] / 2, answer["y"] + answer["height"] / 2
    before = view(seen)
    hand.draw(((x, y), (x, y - 165)))
    seen.page.wait_for_function(f"{SCROLLED} > 100")
    assert view(seen) == before
    seen.clean()
