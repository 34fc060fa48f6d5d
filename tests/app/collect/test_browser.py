"""The pages that collect and review in a real browser: cameras, GPS and taps, and photos that join the campus."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from core.campus.frame import distance_m
from core.campus.inbox import Sidecar
from core.cli.run import run_cli
from core.locate.localizer import Localizer
from tests.app.collect.harness import FRAME, HERE, Open, Site, sent, stop, take, tap_map
from tests.app.harness import DESKTOP, LANDSCAPE, PHONE, assert_nothing_cuts_a_name_of_a_small_map
from tests.bundles import photo
from train.__main__ import main as train

pytestmark = pytest.mark.slow


def test_the_live_camera_warns_of_a_bad_picture_which_can_be_taken_again(visit_site: Open, site: Site) -> None:
    seen = visit_site("/collect")
    page = seen.page
    page.get_by_role("button", name="Live camera").click()
    page.wait_for_function("document.querySelector('video').videoWidth > 0")
    page.get_by_role("button", name="Capture").click()
    page.wait_for_function("records.length === 1")
    seen.screenshot("collect-live")
    page.get_by_role("button", name="Close").click()
    page.evaluate("senses.turned({ alpha: 90, beta: 40, gamma: 0, absolute: true })")
    assert page.evaluate("Math.round(senses.heading)") == 270
    page.get_by_text("facing west").wait_for()
    dark = photo(east_m=-99, north_m=-99)
    page.locator("#file").set_input_files({"name": "p.jpg", "mimeType": "image/jpeg", "buffer": dark})
    page.get_by_role("alert").get_by_text("Too dark").wait_for()
    assert "Hold the phone upright" in page.get_by_role("alert").inner_text()
    seen.screenshot("collect-warning")
    assert seen.poor_contrast() == []
    kept = page.evaluate("records.length")
    page.get_by_role("button", name="Take again").click()
    page.wait_for_function("(kept) => records.length === kept - 1", arg=kept)
    expect(page.locator("#warn")).to_be_hidden()
    assert len(site.inbox.entries()) <= 1, "what was taken again never went up"
    assert seen.errors == []


def test_a_tapped_place_ends_where_the_gps_walks_on(visit_site: Open) -> None:
    seen = visit_site("/collect")
    page = seen.page
    page.get_by_text("GPS ± 9 m").wait_for()
    tap_map(seen, -40.0, 10.0)
    page.locator("#gps", has_text="Placed by hand").wait_for()
    for metres, said in ((12.0, "Placed by hand"), (40.0, "GPS ± 9 m")):  # within the GPS's own error, and beyond it
        lat, lon = FRAME.to_latlon(FRAME.to_local(*HERE) + [metres, 0.0]).tolist()
        page.context.set_geolocation({"latitude": lat, "longitude": lon, "accuracy": 9})
        page.wait_for_function("(lat) => senses.position.lat === lat", arg=lat)
        page.evaluate("draw()")
        assert page.locator("#gps").inner_text() == said
    take(seen, *stop(9.0, 1))
    assert page.evaluate("[records[0].about.source, records[0].about.lon]") == ["gps", lon]
    assert seen.errors == []


def test_a_fourth_photo_taken_again_stands_where_the_first_three_do(visit_site: Open) -> None:
    seen = visit_site("/collect")
    page = seen.page
    tap_map(seen, -40.0, 10.0)
    dark = {"name": "p.jpg", "mimeType": "image/jpeg", "buffer": photo(east_m=-99, north_m=-99)}
    page.evaluate("senses.turned({ alpha: 90, beta: 90, gamma: 0, absolute: true })")
    take(seen, *stop(33.0, 3))
    page.evaluate("senses.heading = null")
    page.locator("#file").set_input_files(dark)
    page.locator("#again").wait_for()
    page.get_by_text("Four photos: done here").wait_for()
    page.evaluate("() => { const again = document.querySelector('#again'); again.click(); again.click(); }")
    page.wait_for_function("records.length === 3")
    page.get_by_text("3 of 4").wait_for()
    page.locator("#gps", has_text="Placed by hand").wait_for()
    assert page.evaluate("stop.headings.length") == 3
    assert seen.errors == []


def test_two_taps_on_the_live_camera_open_it_once_and_close_it_whole(visit_site: Open) -> None:
    seen = visit_site("/collect")
    page = seen.page
    page.evaluate(
        "() => { window.opened = []; const media = navigator.mediaDevices, real = media.getUserMedia.bind(media);"
        " media.getUserMedia = async (...asked) => { const one = await real(...asked); opened.push(one); return one; };"
        " const live = document.querySelector('#live'); live.click(); live.click(); }"
    )
    page.wait_for_function("document.querySelector('video').videoWidth > 0")
    page.get_by_role("button", name="Close").click()
    assert page.evaluate("opened.flatMap((one) => one.getTracks()).map((track) => track.readyState)") == ["ended"]
    assert seen.errors == []


def test_a_map_that_did_not_come_is_said_and_asked_for_again(visit_site: Open) -> None:
    seen = visit_site("/collect")
    page = seen.page
    page.add_init_script(
        "const real = fetch; window.cut = true; window.fetch = (path, asked) =>"
        " String(path).startsWith('/v1/inbox-plan') && cut ? Promise.reject(new TypeError('cut')) : real(path, asked)"
    )
    page.reload()
    page.get_by_text("0 waiting").wait_for()
    expect(page.locator("#notice")).to_have_text("The server cannot be reached.", use_inner_text=True)
    page.evaluate("cut = false; dispatchEvent(new Event('online'))")
    page.locator(".campus-map").wait_for()
    page.locator("#notice").wait_for(state="hidden")
    assert seen.errors == []


def test_a_photo_rejected_while_all_are_accepted_stays_rejected(visit_site: Open, site: Site) -> None:
    placed = Sidecar.model_validate({"lat": HERE[0], "lon": HERE[1], "error_m": 9, "source": "gps"})
    names = [site.inbox.add(data, placed)[0].id for data in stop(71.0)]
    seen = visit_site("/review", size=DESKTOP, lang="he")
    page = seen.page
    page.get_by_text("GPS ± \u20689 מ׳\u2069").first.wait_for()
    page.evaluate(
        "() => { const real = fetch; window.fetch = async (path, asked) => {"
        " if (asked?.body?.includes('accepted') && !window.go) await new Promise((go) => { window.go = go; });"
        " return real(path, asked); }; }"
    )
    page.get_by_role("button", name="קבלת כל 4 שיש להן מקום").click()
    page.wait_for_function("!!window.go")
    rejected = page.locator("li[data-id]").last.get_attribute("data-id")
    page.locator(f"li[data-id='{rejected}']").get_by_role("button", name="דחייה").click()
    page.locator(f"li[data-id='{rejected}']").wait_for(state="detached")
    page.evaluate("window.go()")
    page.get_by_text("אין כאן דבר.").wait_for()
    page.wait_for_load_state("networkidle")
    reviews = {entry.id: entry.sidecar.review for entry in site.inbox.entries() if entry.id in names}
    assert reviews == {name: "rejected" if name == rejected else "accepted" for name in names}
    assert seen.errors == []


def test_a_place_wanted_by_night_is_not_done_by_photos_of_the_day(visit_site: Open) -> None:
    seen = visit_site("/collect")
    page = seen.page
    page.get_by_text("GPS ± 9 m").wait_for()
    page.evaluate("plan.targets = [{ at: hereLocal(), light: 'night', place: { en: 'Here' } }]; draw()")
    page.evaluate("plan.nights = []")
    take(seen, *stop(-75.0))
    page.evaluate("draw()")
    assert page.locator("#next").inner_text().startswith("Next: Here by night")
    page.evaluate("plan.nights = [[Date.now() - 3.6e6, Date.now() + 3.6e6]]; draw()")
    assert page.locator("#next").inner_text().startswith("No place stands out")
    assert seen.errors == []


@pytest.mark.parametrize(("size", "dark", "lang"), [(PHONE, True, "en"), (DESKTOP, False, "he")])
def test_both_pages_fit_phone_and_desktop(
    visit_site: Open, site: Site, size: tuple[int, int], dark: bool, lang: str
) -> None:
    for data in stop(40.0):
        site.inbox.add(data, Sidecar(lat=HERE[0], lon=HERE[1], source="tap"))
    for path in ("/collect", "/review"):
        seen = visit_site(path, size=size, dark=dark, lang=lang)
        seen.page.wait_for_load_state("networkidle")
        name = f"{path[1:]}-{size[0]}-{'dark' if dark else 'light'}-{lang}"
        seen.screenshot(name)
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= size[0], name
        assert seen.poor_contrast() == [], name
        assert seen.errors == []


def test_reviewed_photos_join_the_campus_which_then_finds_their_place(
    visit_site: Open, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Photos that look like two other places are told to stand in a third: only the gallery can know it."""
    there = (0.0, 80.0)
    seen = visit_site("/collect")
    photos = [photo("split", east_m=2.0, north_m=2.0, view=30 + index) for index in range(14)]
    for index, data in enumerate(photos):
        if index % 4 == 0:
            tap_map(seen, *there)
        take(seen, data)
    sent(seen, 14)
    review = visit_site("/review", size=DESKTOP)
    page = review.page
    new = [entry.id for entry in site.inbox.entries()]
    assert len(new) == 14

    def card(name: str) -> Any:
        return page.locator(f"li[data-id='{name}']")

    card(new[0]).get_by_role("button", name="Reject").click()
    card(new[0]).wait_for(state="detached")
    card(new[1]).get_by_role("button", name="Move").click()
    tap_map(review, there[0], there[1] - 4)
    page.wait_for_function(
        "(id) => { const { lat, lon } = photos.find((one) => one.id === id);"
        " return Math.abs(map.toLocal(lat, lon)[1] - 76) < 3; }",
        arg=new[1],
    )
    site.kill()  # a decision that did not reach the server is not shown as made
    card(new[1]).get_by_role("button", name="Accept").click()
    page.get_by_text("The server cannot be reached").wait_for()
    assert card(new[1]).is_visible()
    site.again()
    card(new[2]).get_by_role("button", name="Accept").focus()
    page.keyboard.press("Enter")
    card(new[2]).wait_for(state="detached")
    assert page.evaluate("document.activeElement.matches('#photos > li button')"), "the next is decided by the same key"
    page.reload()
    page.get_by_role("button", name="Accept all 12 that have a place").click()
    for name in [new[1], *new[3:]]:
        card(name).wait_for(state="detached")
    page.get_by_role("button", name="Accepted").click()
    review.screenshot("review-accepted")
    assert review.poor_contrast() == []

    out = tmp_path / "grown"
    words = ["train", "refresh", str(site.bundle), str(site.inbox.folder), "--out", str(out)]
    monkeypatch.setattr(sys, "argv", words)
    assert run_cli(train) == 0
    unseen = photo("split", east_m=4.4, north_m=2.0, size=(380, 300))
    fixes = [Localizer.load(campus).locate(unseen) for campus in (site.bundle, out)]
    before_m, after_m = (float(distance_m(fix.lat, fix.lon, *FRAME.to_latlon(list(there)).tolist())) for fix in fixes)
    assert after_m < 0.3 * before_m
    assert review.errors == []
    assert seen.errors == []


def test_the_keyboard_sees_where_it_taps_and_reaches_the_pictures(visit_site: Open, site: Site) -> None:
    site.inbox.add(photo(east_m=3.0, size=(90, 64)), Sidecar(lat=HERE[0], lon=HERE[1], source="tap"))
    seen = visit_site("/review", size=DESKTOP)
    page = seen.page
    cross = "map.cross.getAttribute('visibility')"
    ground = page.locator(".campus-map")
    ground.click()
    assert page.evaluate(cross) == "hidden"
    ground.press("ArrowLeft")
    assert page.evaluate(cross) == "visible"
    box, middle = ground.bounding_box(), page.evaluate("map.cross.getBoundingClientRect().toJSON()")
    assert middle["x"] + middle["width"] / 2 == pytest.approx(box["x"] + box["width"] / 2, abs=1)
    page.locator("#photos .picture").first.press("Enter")
    page.locator("#photos li.chosen").wait_for()
    assert page.evaluate("document.activeElement.matches('.chosen .picture')")
    assert page.evaluate(cross) == "hidden"
    assert seen.errors == []


def test_on_a_turned_phone_the_camera_stands_beside_the_map(visit_site: Open) -> None:
    seen = visit_site("/collect", size=LANDSCAPE)
    button, ground = (seen.page.locator(part).bounding_box() for part in ("#ways label", "#map"))
    assert button["y"] + button["height"] <= LANDSCAPE[1]
    assert button["x"] >= ground["x"] + ground["width"]


@pytest.mark.parametrize("path", ["/collect", "/review"])
@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_neither_edge_nor_mark_cuts_a_name_of_the_map(visit_site: Open, path: str, size: tuple[int, int]) -> None:
    seen = visit_site(path, size=size)
    ground = seen.page.locator(".campus-map")
    ground.locator("g.dot").first.wait_for()
    marked = "map.show([{ at: map.plan.labels[0].slice(0, 2), text: '1' }])"
    under = seen.page.evaluate(f"({marked}, map.names[0].getAttribute('visibility'))")  # before the page marks its own
    assert under == "hidden", "it lies under the mark"
    assert_nothing_cuts_a_name_of_a_small_map(ground)
    seen.screenshot(f"names{path.replace('/', '-')}-{size[0]}")
    assert seen.errors == []
