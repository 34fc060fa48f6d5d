"""The app in a real browser, with all network beyond this machine blocked."""

from __future__ import annotations

from pathlib import Path
from threading import Event
from typing import Any

import pytest
from playwright.sync_api import expect

from benchmarks.browser import FirstLoad
from core.campus.bundle import Bundle
from tests.app.harness import CAMERA, DESKTOP, PHONE, SCREENSHOTS, Open, Server, Visit
from tests.bundles import Kind, make_bundle, photo

pytestmark = pytest.mark.slow

LOOKS = [
    pytest.param(
        size,
        dark,
        lang,
        id=f"{size[0]}-{'dark' if dark else 'light'}-{lang}",
        marks=[pytest.mark.quick] if (size, dark, lang) == (PHONE, False, "he") else [],
    )
    for size in (PHONE, DESKTOP)
    for dark in (False, True)
    for lang in ("en", "he")
]


@pytest.mark.parametrize(("size", "dark", "lang"), LOOKS)
def test_a_sample_gives_a_place_and_a_map(visit: Open, size: tuple[int, int], dark: bool, lang: str) -> None:
    seen = visit(size, dark, lang)
    name = f"{size[0]}-{'dark' if dark else 'light'}-{lang}"
    page = seen.page
    seen.rests()
    page.locator(".camera .take").wait_for()
    seen.screenshot(f"{name}-start")
    expect(page.locator("html")).to_have_attribute("dir", "rtl" if lang == "he" else "ltr")
    seen.sample(1)
    answer = page.locator("section.answer")
    assert "Library" in answer.inner_text()
    seen.map_drawn()
    seen.screenshot(f"{name}-answer")
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    page.locator("[data-testid=stCheckbox] label > span + div").first.wait_for()  # the switch below, too
    assert seen.poor_contrast() == []
    seen.turn_to(2)
    page.locator("dl.facts").first.wait_for()
    assert seen.poor_contrast() == []
    seen.clean()


def test_the_rear_cameras_photo_is_turned_shrunk_and_located(visit: Open) -> None:
    """The big button is a file input that opens the phone's own camera; the page makes the photo smaller."""
    seen = visit()
    page = seen.page
    field = page.locator(CAMERA)
    assert field.get_attribute("capture") == "environment"
    large = photo(east_m=-52, north_m=68, at=(47.0006, 8.3993), size=(4000, 3000))
    field.set_input_files({"name": "IMG_1.jpg", "mimeType": "image/jpeg", "buffer": large})
    answer = page.locator("section.answer")
    answer.wait_for()
    assert "Library" in answer.inner_text()
    assert "the photo's own GPS" in answer.inner_text()  # the EXIF travels beside the smaller photo
    seen.map_drawn()
    seen.screenshot("camera-answer")
    seen.clean()


def test_live_view_with_the_phones_gps_beside_it(visit: Open) -> None:
    seen = visit()
    page = seen.page
    seen.rests()
    page.get_by_text("Compare with this phone's GPS").click()
    seen.rests()  # the camera is drawn anew, which closes its live view
    page.locator(".camera .live").click()
    page.wait_for_function(
        "[...document.querySelectorAll('*')].some(e => e.shadowRoot?.querySelector('video')?.currentTime > 0.5)"
    )
    seen.screenshot("live-view")
    page.locator(".camera .snap").click()
    answer = page.locator("section.answer")
    answer.wait_for()
    assert "phone's GPS" in answer.inner_text()
    seen.map_drawn()
    seen.clean()


def test_two_taps_on_live_view_leave_no_camera_on(visit: Open) -> None:
    seen = visit()
    page = seen.page
    seen.rests()  # the camera that is drawn anew closes its live view
    page.evaluate(
        "() => { window.opened = []; const media = navigator.mediaDevices, real = media.getUserMedia.bind(media);"
        " media.getUserMedia = async (asked) => { const one = await real(asked); opened.push(one); return one; }; }"
    )
    live = page.locator(".camera .live")
    live.wait_for()
    live.evaluate("(live) => { live.click(); live.click(); }")
    page.locator(".camera .snap").click()
    page.locator("section.answer").wait_for()
    assert page.evaluate("opened.flatMap((one) => one.getTracks()).map((track) => track.readyState)") == ["ended"]
    seen.clean()


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("wide", "anywhere in the circle"), ("split", "2 places fit"), ("elsewhere", "does not look like Testfield")],
)
@pytest.mark.parametrize("dark", [False, True])
def test_doubtful_answers_say_so(visit: Open, kind: Kind, expected: str, dark: bool) -> None:
    seen = visit(dark=dark)
    seen.upload(photo(kind, east_m=20, north_m=10))
    assert expected in seen.page.locator("section.answer").inner_text()
    if kind != "elsewhere":
        seen.map_drawn()
    seen.screenshot(f"{kind}-{'dark' if dark else 'light'}")
    seen.clean()


def test_a_heic_upload_and_a_bad_file(visit: Open) -> None:
    seen = visit()
    seen.upload(photo(east_m=-52, north_m=68, format="HEIF"), name="a.heic", kind="image/heic")
    seen.page.locator("section.answer").wait_for()
    seen.upload(b"no photo at all")
    seen.page.get_by_text("This photo cannot be used.").wait_for()
    assert seen.page.locator("section.answer").count() == 0
    seen.screenshot("bad-photo")
    seen.clean()


def test_a_place_is_shared_opened_in_maps_and_copied_in_one_tap(visit: Open) -> None:
    seen = visit(PHONE)
    page = seen.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    # Chromium has no sheet for sharing on Linux: what the page would give it is kept.
    page.evaluate("navigator.share = async (shared) => { window.shared = shared; }")
    seen.sample(1)
    page.get_by_role("button", name="Share").click()
    lat, lon = map(float, page.evaluate("shared.text").split(", "))
    page.locator("summary").click()
    assert page.locator(".position code").inner_text() == f"{lat:.6f}, {lon:.6f}"
    opened = page.get_by_role("link", name="Open in maps").get_attribute("href")
    assert opened == f"geo:{lat},{lon}?q={lat},{lon}"
    page.get_by_role("button", name="Copy").click()
    page.get_by_text("Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == f"{lat}, {lon}"
    seen.clean()


@pytest.mark.parametrize("device", ["iPhone", "iPad"])
def test_apple_s_phones_and_tablets_open_a_place_in_their_own_maps(visit: Open, device: str) -> None:
    system = "CPU iPhone OS 18_1 like Mac OS X" if device == "iPhone" else "CPU OS 18_1 like Mac OS X"
    agent = f"Mozilla/5.0 ({device}; {system}) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/604.1"
    seen = visit(PHONE, agent=agent)
    page = seen.page
    seen.sample(1)
    page.locator("summary").click()
    lat, lon = map(float, page.locator(".position code").inner_text().split(", "))
    opened = page.get_by_role("link", name="Open in maps").get_attribute("href")
    assert opened == f"maps://?ll={lat},{lon}&q={lat},{lon}"
    seen.clean()


@pytest.mark.parametrize("lang", ["en", "he"])
def test_log_and_downloads(visit: Open, tmp_path: Path, lang: str) -> None:
    seen = visit(lang=lang)
    page = seen.page
    for east in (-52, 50):
        seen.upload(photo(east_m=east, north_m=68, at=(47.0006, 8.3993)), name=f"{east}.jpg")
        page.locator("section.answer").wait_for()
    seen.turn_to(1)
    page.locator(".logged").nth(1).wait_for()
    seen.screenshot(f"log-{lang}")
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").click()
    download.value.save_as(tmp_path / "log.csv")
    lines = (tmp_path / "log.csv").read_text("utf-8").splitlines()
    assert len(lines) == 3
    assert lines[1].split(",")[1] == "Testfield"
    seen.clean()


def test_the_log_outlives_a_reload_until_it_is_cleared_and_is_nobody_elses(visit: Open) -> None:
    seen = visit()
    page = seen.page
    seen.upload(photo(east_m=-52, north_m=68), name="kept.jpg")
    page.locator("section.answer").wait_for()
    page.wait_for_function("Object.keys(localStorage).some((name) => name.startsWith('campus-gps-log-1/'))")
    page.reload()
    seen.turn_to(1)
    assert "kept.jpg" in page.locator(".logged").text_content()
    page.get_by_role("button", name="Clear the log").click()
    page.get_by_role("button", name="Clear all lines").click()
    page.get_by_text("No photos located yet").wait_for()
    page.wait_for_function("!Object.keys(localStorage).some((name) => name.startsWith('campus-gps-log-1/'))")
    seen.clean()
    other = visit()
    other.turn_to(1)
    other.page.get_by_text("No photos located yet").wait_for()


def test_campus_page_adding_one_and_changing_language(visit: Open, tmp_path: Path) -> None:
    packed = make_bundle(tmp_path / "hill.campus", name="Hillside", lat=-33.9, lon=18.4, rendered=False)
    seen = visit()
    page = seen.page
    seen.turn_to(2)
    page.get_by_text("About this campus model").wait_for()
    seen.map_drawn()
    page.screenshot(path=SCREENSHOTS / "campus-light.png", full_page=True)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download this campus").click()
    assert download.value.suggested_filename == "Testfield.campus"
    download.value.save_as(tmp_path / "again.campus")
    assert Bundle.load(tmp_path / "again.campus").manifest.name == "Testfield"
    seen.rests()
    page.locator(".st-key-campus_file [data-testid=stFileUploaderDropzoneInput]").set_input_files(packed)
    page.get_by_role("heading", name="Hillside").wait_for()
    seen.rests()
    page.locator("[data-testid=stMain]").evaluate("main => main.scrollTo(0, 0)")  # the sheet lies over the head
    page.get_by_role("button", name="עברית").click()
    page.get_by_text("על מודל הקמפוס").wait_for()  # still on the campus page
    expect(page.locator("html")).to_have_attribute("dir", "rtl")
    seen.map_drawn()
    seen.screenshot("campus-he")
    seen.clean()


def test_a_second_photo_moves_the_map_and_leaves_a_track(visit: Open) -> None:
    seen = visit(DESKTOP)
    for east in (-52, 50):
        seen.upload(photo(east_m=east, north_m=-68), name=f"{east}.jpg")
    seen.map_drawn()
    assert "Gymnasium" in seen.page.locator("section.answer").inner_text()
    assert "earlier photos" in seen.page.locator("ul.legend").inner_text()
    seen.screenshot("track-desktop")
    seen.clean()


def test_the_keyboard_reaches_everything_and_each_control_has_a_name(visit: Open) -> None:
    seen = visit(DESKTOP)
    page = seen.page
    page.locator(".strip button").first.wait_for()
    seen.map_drawn()
    names = []
    for _ in range(24):
        page.keyboard.press("Tab")
        names.append(
            page.evaluate(
                """() => { let e = document.activeElement; while (e?.shadowRoot?.activeElement)
                e = e.shadowRoot.activeElement; return e.getAttribute('aria-label') || e.innerText || '' }"""
            )
        )
    said = " | ".join(names)
    for wanted in ("Take a photo", "Live view", "Sample photo 1", "Locate", "Layers", "Back to the answer"):
        assert wanted in said, said
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll('button, input, [role=button]')].filter(e => e.offsetParent &&
        !(e.getAttribute('aria-label') || e.innerText?.trim() || e.labels?.length || e.title)).map(e => e.outerHTML)"""
    )
    assert unnamed == []
    seen.clean()


# When a file was asked for.
_ASKED = """(name) => performance.getEntriesByType("resource").find((one) => one.name.includes(name)).startTime"""


def test_the_first_load_is_as_small_as_over_https(browser: Any, server: Server) -> None:
    context = browser.new_context()
    context.set_default_timeout(90_000)
    try:
        seen = Visit(context.new_page())
        usable, held = Event(), list[Any]()
        # The map's code waits until the page can be used: else a pause has it counted.
        seen.page.route("**/DeckGlJsonChart*", lambda one: one.continue_() if usable.is_set() else held.append(one))
        load = FirstLoad(seen.page, server.url, mbit_s=4)
        needed_mb = load.usable_mb
        usable.set()
        for route in held:
            route.continue_()
        seen.map_drawn()
        assert 0.3 < needed_mb <= 1.3
        assert load.megabytes("DeckGl") > 0.3
        camera_asked, map_asked = (seen.page.evaluate(_ASKED, name) for name in ("BidiComponent", "DeckGlJsonChart"))
        assert camera_asked <= map_asked, "the map's code is in the way of the camera's"
        assert load.megabytes() <= 2.4
    finally:
        context.close()


def test_the_page_can_be_put_on_the_home_screen(visit: Open) -> None:
    seen = visit()
    page = seen.page
    page.locator("link[rel=manifest]").wait_for(state="attached")
    manifest = page.context.new_cdp_session(page).send("Page.getAppManifest")
    assert manifest["errors"] == []
    assert "Campus GPS" in manifest["data"]
    icon = page.request.get(page.evaluate("document.querySelector('link[rel=apple-touch-icon]').href"))
    assert icon.ok
    assert icon.headers["content-type"] == "image/png"
    seen.clean()
