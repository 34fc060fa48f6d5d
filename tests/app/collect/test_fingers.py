"""The small maps under fingers: one scrolls the page past them, two move and zoom them, a tap places as ever."""

from __future__ import annotations

from typing import Any

import pytest

from app.language import Lang
from app.texts import Texts
from core.campus.inbox import Sidecar
from tests.app.collect.harness import Open, Site, stop, take
from tests.app.harness import LANDSCAPE, PHONE, SMALL, Hand, Point, Visit
from tests.bundles import photo

pytestmark = pytest.mark.slow

SCROLLED = "(document.querySelector('[data-testid=stMain]') ?? document.documentElement).scrollTop"
# The hint stays until `hintGoes`: three seconds may be over before a test on a busy machine looks.
HOLD_HINT = """{
  const real = setTimeout, held = [];
  window.setTimeout = (work, ms, ...others) => (ms === 3000 ? held.push(work) : real(work, ms, ...others));
  window.hintGoes = () => held.splice(0).forEach((work) => work());
}"""
MOVED_PX, SLACK_PX = 90.0, 16.0  # a finger is a movement only after a few pixels


def opened(visit_site: Open, site: Site, path: str, size: tuple[int, int], lang: Lang) -> tuple[Visit, Any]:
    """A page with its small map, as it is once photos were taken."""
    if path == "/":
        seen = visit_site(path, size=size, lang=lang, ready=".st-key-nav button")
        seen.upload(photo(east_m=20.0, north_m=10.0))
        seen.page.locator(".st-key-not_here button").click()
        ground = seen.page.locator(".correct svg")
        ground.wait_for()
        seen.rests()
        ground.scroll_into_view_if_needed()
        return seen, ground
    if path == "/review":
        for data in stop(20.0):
            site.inbox.add(data, Sidecar())
    seen = visit_site(path, size=size, lang=lang, gps=False)
    if path == "/collect":
        take(seen, *stop(30.0))
    seen.page.wait_for_load_state("networkidle")
    return seen, seen.page.locator(".campus-map")


def hint_goes(page: Any, hint: Any) -> None:
    """Let the hint's time be over, and wait until the page, which may go on by itself after a finger, stands still."""
    page.evaluate("window.hintGoes()")
    hint.wait_for(state="hidden")
    page.wait_for_function(
        f"(looks) => {{ const at = {SCROLLED}; looks.frames = at === looks.at ? looks.frames + 1 : 0; looks.at = at;"
        " return looks.frames > 10; }",
        arg=page.evaluate_handle("({ frames: 0 })"),
    )


def middle_of(ground: Any) -> Point:
    box = ground.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def in_pixels(ground: Any) -> tuple[float, float, float]:
    """(left, top) of what the map shows, in pixels at its scale, and that scale in pixels a metre."""
    left, top, wide, _ = map(float, ground.get_attribute("viewBox").split())
    scale = ground.bounding_box()["width"] / wide
    return left * scale, top * scale, scale


@pytest.mark.parametrize("path", ["/collect", "/review", "/"])
@pytest.mark.parametrize(("size", "lang"), [(PHONE, "en"), (SMALL, "he")])
def test_one_finger_scrolls_the_page_and_two_move_the_map(
    visit_site: Open, site: Site, path: str, size: tuple[int, int], lang: Lang
) -> None:
    seen, ground = opened(visit_site, site, path, size, lang)
    page, hand, hint = seen.page, Hand(seen.page), seen.page.get_by_text(Texts(lang)["two_fingers"])
    x, y = middle_of(ground)
    page.evaluate(HOLD_HINT)
    before, scrolled = in_pixels(ground), page.evaluate(SCROLLED)
    assert hint.is_hidden()
    hand.draw(((x, y), (x, y - MOVED_PX)))
    hint.wait_for()
    seen.screenshot(f"two-fingers{path.replace('/', '-')}-{size[0]}-{lang}")
    assert seen.poor_contrast() == []
    page.wait_for_function(f"(scrolled) => {SCROLLED} > scrolled + 50", arg=scrolled)
    hint_goes(page, hint)
    assert in_pixels(ground) == before, "the map stays"
    x, y = middle_of(ground)
    hand.draw(((x, y), (x - MOVED_PX, y)))
    hint.wait_for()
    hint_goes(page, hint)
    assert in_pixels(ground) == before, "to the side, too"

    scrolled = page.evaluate(SCROLLED)
    hand.draw(((x - 30, y), (x - 30, y - MOVED_PX)), ((x + 30, y), (x + 30, y - MOVED_PX)))
    left, top, scale = in_pixels(ground)
    assert top - before[1] == pytest.approx(MOVED_PX, abs=SLACK_PX)
    assert (left, scale) == pytest.approx((before[0], before[2]), rel=0.02, abs=SLACK_PX)
    hand.draw(((x - 30, y), (x - 60, y)), ((x + 30, y), (x + 60, y)))
    assert in_pixels(ground)[2] / scale == pytest.approx(2, rel=0.35)
    assert page.evaluate(SCROLLED) == scrolled, "the page stays"
    assert hint.is_hidden()
    assert seen.errors == []


@pytest.mark.parametrize("path", ["/collect", "/review"])
def test_where_the_page_stands_still_one_finger_moves_the_map(visit_site: Open, site: Site, path: str) -> None:
    seen, ground = opened(visit_site, site, path, LANDSCAPE, "en")
    x, y = middle_of(ground)
    left, top, scale = in_pixels(ground)
    Hand(seen.page).draw(((x, y), (x - MOVED_PX, y - MOVED_PX)))
    assert in_pixels(ground) == pytest.approx((left + MOVED_PX, top + MOVED_PX, scale), abs=SLACK_PX)
    assert seen.page.get_by_text(Texts("en")["two_fingers"]).is_hidden()
    assert seen.page.evaluate("scrollY") == 0
    assert seen.errors == []


def test_a_finger_s_tap_places_and_a_mouse_drags(visit_site: Open, site: Site) -> None:
    seen, ground = opened(visit_site, site, "/collect", PHONE, "en")
    page = seen.page
    x, y = middle_of(ground)
    left, top, scale = in_pixels(ground)
    page.touchscreen.tap(x, y)
    page.locator("#gps", has_text="Placed by hand").wait_for()
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - MOVED_PX, y + MOVED_PX, steps=5)
    page.mouse.up()
    assert in_pixels(ground) == pytest.approx((left + MOVED_PX, top - MOVED_PX, scale), abs=SLACK_PX)
    assert page.get_by_text(Texts("en")["two_fingers"]).is_hidden()
    assert seen.errors == []
