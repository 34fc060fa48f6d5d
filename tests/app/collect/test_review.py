"""Decisions in *Review*, in a real browser: an answer that comes meanwhile takes neither tap nor keyboard away."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from core.campus.inbox import Sidecar
from tests.app.collect.harness import HERE, Open, Site, stop
from tests.app.harness import PHONE, Visit

pytestmark = pytest.mark.slow
# The page has the first decision's answer once `go` is set; `frames` counts what is drawn after that.
HOLD_FIRST_ANSWER = """() => {
  const real = fetch;
  let first = true;
  window.fetch = async (path, asked) => {
    const held = first && asked?.body;
    if (held) first = false;
    const answer = await real(path, asked);
    if (!held) return answer;
    window.held = true;
    while (!window.go) await new Promise(requestAnimationFrame);
    window.frames = 0;
    const count = () => { frames++; requestAnimationFrame(count); };
    count();
    return answer;
  };
}"""


def reviewing(visit_site: Open, site: Site, east_m: float) -> tuple[Visit, list[str]]:
    """*Review* with four photos, the first answer held back; and their ids as they stand there."""
    for data in stop(east_m):
        site.inbox.add(data, Sidecar(lat=HERE[0], lon=HERE[1], source="tap"))
    seen = visit_site("/review", size=PHONE)
    seen.page.locator("#photos li").nth(3).wait_for()
    seen.page.wait_for_load_state("networkidle")
    seen.page.evaluate(HOLD_FIRST_ANSWER)
    return seen, seen.page.evaluate("[...document.querySelectorAll('#photos li')].map(({ dataset }) => dataset.id)")


def button(page: Any, photo: str, name: str) -> Any:
    return page.locator(f"li[data-id='{photo}']").get_by_role("button", name=name)


def test_a_tap_counts_for_the_photo_on_which_the_finger_went_down(visit_site: Open, site: Site) -> None:
    seen, (first, second, *others) = reviewing(visit_site, site, -83.0)
    page, devtools = seen.page, seen.page.context.new_cdp_session(seen.page)
    button(page, first, "Accept").click()
    page.wait_for_function("window.held")
    button(page, second, "Reject").scroll_into_view_if_needed()
    box = button(page, second, "Reject").bounding_box()
    finger = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    devtools.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [finger]})
    page.evaluate("window.go = true")
    page.wait_for_function("window.frames > 10")
    devtools.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    for photo in (first, second):
        page.locator(f"li[data-id='{photo}']").wait_for(state="detached")
    reviews = {entry.id: entry.sidecar.review for entry in site.inbox.entries()}
    assert [reviews[photo] for photo in (first, second, *others)] == ["accepted", "rejected", "", ""]
    assert seen.errors == []


def test_a_photo_without_a_place_is_seen_to_be_no_photo_to_accept(visit_site: Open, site: Site) -> None:
    (photo,) = (site.inbox.add(data, Sidecar())[0].id for data in stop(-91.0, 1))
    seen = visit_site("/review", size=PHONE)
    accept, move = (button(seen.page, photo, name) for name in ("Accept", "Move"))
    expect(accept).to_be_disabled()
    look = "(one) => [getComputedStyle(one).color, getComputedStyle(one).borderStyle]"
    (soft, dashed), (strong, solid) = accept.evaluate(look), move.evaluate(look)
    assert (dashed, solid) == ("dashed", "solid")
    assert soft != strong
    seen.screenshot("review-unplaced")
    assert seen.poor_contrast() == []
    assert seen.errors == []


def test_the_keyboard_stays_where_it_is(visit_site: Open, site: Site) -> None:
    seen, (first, second, third, last) = reviewing(visit_site, site, -87.0)
    page = seen.page
    button(page, first, "Accept").press("Enter")
    page.wait_for_function("window.held")
    button(page, third, "Reject").focus()
    page.evaluate("window.go = true")
    page.locator(f"li[data-id='{first}']").wait_for(state="detached")
    expect(button(page, third, "Reject")).to_be_focused()
    page.keyboard.press("Enter")
    page.locator(f"li[data-id='{third}']").wait_for(state="detached")
    expect(button(page, last, "Reject")).to_be_focused()
    page.get_by_role("button", name="Accept all 2").press("Enter")
    page.locator(f"li[data-id='{second}']").wait_for(state="detached")
    expect(page.get_by_role("button", name="To review 0")).to_be_focused()
    page.get_by_role("button", name="Accepted 3").press("Enter")
    button(page, second, "Back to review").wait_for()
    expect(page.get_by_role("button", name="Accepted 3")).to_be_focused()
    assert seen.errors == []
