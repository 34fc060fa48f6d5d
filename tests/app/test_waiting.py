"""What the page says while one waits: over a slow network, and while its server starts again."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from benchmarks.browser import throttle
from benchmarks.serving import free_port
from tests.app.harness import CAMERA, GALLERY, PHONE, Open, Server, start_app
from tests.bundles import photo

pytestmark = pytest.mark.slow
SLOW_3G = (0.4, 400)  # Mbit/s, milliseconds away


def slow(page: Any) -> Any:
    devtools = page.context.new_cdp_session(page)
    devtools.send("Network.enable")
    throttle(devtools, *SLOW_3G)
    return devtools


def test_over_slow_3g_the_page_says_what_it_waits_for_and_nothing_jumps(browser: Any, server: Server) -> None:
    context = browser.new_context(viewport={"width": PHONE[0], "height": PHONE[1]}, is_mobile=True, has_touch=True)
    context.set_default_timeout(120_000)
    try:
        page = context.new_page()
        devtools = slow(page)
        page.route("**/DeckGlJsonChart*", lambda _: None)  # the map's code, which takes longest, never comes
        page.goto(f"{server.url}/?lang=he", wait_until="commit")
        page.get_by_role("status").get_by_text("נטען").wait_for()
        camera = page.locator(".st-key-camera .take")
        camera.wait_for()
        page.locator(".campus-loading").wait_for(state="detached")
        before = camera.bounding_box(), page.locator(".st-key-stage").bounding_box()
        page.locator("img.still").wait_for()
        expect(page.locator(".st-key-stage [data-testid=stSkeleton]")).to_be_hidden()  # it would pulse over the picture
        page.get_by_text("המפה נטענת").wait_for()
        page.locator(".strip button").first.wait_for()
        throttle(devtools, 1000, 0)
        with server.held():
            page.locator(".strip button").first.click()
        with server.held_at(page, "[data-testid=stApp][data-test-script-state=running]"):
            page.get_by_text("ממתינים לשרת").wait_for()
        page.locator("section.answer").wait_for()
        page.locator("img.still[src*=stroke-dasharray]").wait_for()  # the place is on the map before its code is
        assert page.locator(".st-key-stage canvas").count() == 0
        assert (camera.bounding_box(), page.locator(".st-key-stage").bounding_box()) == before
    finally:
        context.close()


def test_a_photo_is_said_to_be_on_its_way_until_it_is_answered(visit: Open, server: Server) -> None:
    seen = visit(PHONE)
    page = seen.page
    seen.rests()
    devtools = slow(page)
    library, gymnasium = (photo(east_m=east, north_m=north) for east, north in ((-52, 68), (50, -34)))
    said, said_by_camera = page.locator(".campus-waiting"), page.locator(".st-key-camera .say")
    button = page.locator(".st-key-gallery section button").last
    before = button.bounding_box()
    large = library + bytes(3_000_000)  # a minute's way
    page.locator(GALLERY).set_input_files({"name": "a.jpg", "mimeType": "image/jpeg", "buffer": large})
    expect(said).to_have_text(re.compile("Sending"))
    assert button.bounding_box() == before, "the gallery's button stays where it is"
    throttle(devtools, 1000, 0)
    page.locator("section.answer", has_text="Library").wait_for()
    expect(said).to_have_count(0)
    seen.rests()
    with server.held():
        page.locator(CAMERA).set_input_files({"name": "a.jpg", "mimeType": "image/jpeg", "buffer": gymnasium})
        expect(said_by_camera).to_have_text(re.compile("Sending"))
    page.locator("section.answer", has_text="Gymnasium").wait_for()
    expect(said).to_have_count(0)
    expect(said_by_camera).to_have_text("")


# Keeps how far each of several photos was, whenever that changed.
KEEP_STATES = """() => {
  window.states = [];
  const keep = () => {
    const now = [...document.querySelectorAll("div.reading li")].map((photo) => photo.className);
    if (now.length && String(now) !== String(states.at(-1))) states.push(now);
  };
  new MutationObserver(keep).observe(document.body, { subtree: true, childList: true, attributes: true });
}"""


def test_several_photos_at_once_show_how_far_each_of_them_is(visit: Open, server: Server) -> None:
    visited = visit(PHONE)
    page = visited.page
    page.evaluate(KEEP_STATES)
    # Large ones take a moment to be read.
    large = [photo(east_m=east, north_m=68, size=(4600, 3400), format="PNG") for east in (-52, -50, -48)]
    files = [large[0], b"no photo", *large[1:]]
    visited.gallery(*files, name="a.png", kind="image/png")
    with server.held_at(page, "img.played >> nth=2"):  # in steps shorter than what is to be drawn
        pass
    page.get_by_text("Not used, the others are: photo 2.").wait_for()
    page.locator("img.played").nth(2).wait_for()
    expect(page.locator("div.reading")).to_have_count(0)
    seen = page.evaluate("states")
    assert any("reading" in states and "waiting" in states for states in seen), seen
    assert any("read" in states and "reading" in states for states in seen), seen
    for states in seen:
        now = states.index("reading")
        assert states[:now] == ["read", "unusable", "read", "read"][:now]
        assert states[now + 1 :] == ["waiting"] * (3 - now)


@pytest.mark.parametrize("tap", ["language", "log"])
def test_a_tap_while_photos_of_the_gallery_are_read_does_not_lose_them(visit: Open, server: Server, tap: str) -> None:
    seen = visit(PHONE)
    page = seen.page
    large = [photo(east_m=east, north_m=68, size=(4600, 3400), format="PNG") for east in (-52, -50)]
    seen.gallery(*large, name="a.png", kind="image/png")
    with server.held_at(page, "div.reading"):
        if tap == "language":
            page.get_by_role("button", name="עברית").click()
        else:
            page.locator(".st-key-nav button").nth(1).click()
    if tap == "log":
        page.locator(".logged").wait_for()
        seen.turn_to(0)
    page.locator("img.played").nth(1).wait_for()
    page.locator("section.answer").wait_for()


def test_a_photo_is_sent_though_its_button_is_drawn_anew_while_it_is_read(visit: Open) -> None:
    seen = visit(PHONE)
    page, field = seen.page, seen.page.locator(CAMERA)
    seen.rests()
    page.evaluate(
        """() => {
          const read = window.createImageBitmap;
          const held = new Promise((go) => (window.goOn = go));
          window.createImageBitmap = async (...photo) => (await held, read(...photo));
        }"""
    )
    field.set_input_files({"name": "a.jpg", "mimeType": "image/jpeg", "buffer": photo(east_m=-52, north_m=68)})
    page.locator(".st-key-nav button").nth(1).click()
    field.wait_for(state="detached")
    page.locator(".st-key-nav button").nth(0).click()
    field.wait_for(state="attached")
    page.evaluate("window.goOn()")
    page.locator("section.answer", has_text="Library").wait_for()


def test_a_photo_outlives_the_server_and_so_does_the_log(visit: Open, bundle: Path) -> None:
    """The connection goes, a photo is taken, the server is started anew: the photo goes up and both are in the log."""
    port = free_port()
    running = start_app({"CAMPUS_BUNDLE": str(bundle)}, port)
    try:
        seen = visit(PHONE, url=running.url)
        page, field = seen.page, seen.page.locator(CAMERA)
        seen.rests()
        for number, (east, north) in enumerate(((-52, 68), (50, -34))):
            shot = {"name": f"{number}.jpg", "mimeType": "image/jpeg", "buffer": photo(east_m=east, north_m=north)}
            field.set_input_files(shot)
            if number == 0:
                page.locator("section.answer", has_text="Library").wait_for()
                page.wait_for_function("Object.keys(localStorage).some((name) => name.startsWith('campus-gps-log-1/'))")
                running.process.kill()
                running.process.wait(10)
                page.get_by_role("alert").get_by_text("No connection to the server").wait_for()
        assert page.locator("section.answer", has_text="Gymnasium").count() == 0, "nothing pretends"
        running = start_app({"CAMPUS_BUNDLE": str(bundle)}, port)
        page.get_by_text("No connection to the server").wait_for(state="detached")
        page.locator("section.answer", has_text="Gymnasium").wait_for()
        seen.turn_to(1)
        expect(page.locator(".logged")).to_have_count(2)
    finally:
        running.process.kill()
        running.process.wait(10)
