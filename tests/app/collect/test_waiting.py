"""Corrections that wait in the browser: the server killed, the page reloaded, an answer lost; none lost, none twice."""

from __future__ import annotations

import time
from typing import Any

import pytest

from app.collect.waiting import Told, told_of
from app.map.deck import Place
from core.campus.inbox import Sidecar
from tests.app.collect.harness import FRAME, HERE, LOSE_ANSWERS, Open, Site, middle_at_rest
from tests.app.harness import Visit
from tests.bundles import photo

SENT = {"corrects": "t", "key": "k", "lat": 47.0, "lon": 8.4, "state": "sent", "reason": ""}


def test_what_a_browser_tells_of_its_corrections() -> None:
    assert told_of([SENT]) == [Told("t", "k", Place(47.0, 8.4, 0.0), "sent", "")]


@pytest.mark.parametrize(
    "told",
    [
        None, "sent", {}, [None], ["sent"], [{**SENT, "lat": "x"}], [{**SENT, "lon": float("nan")}],
        [{**SENT, "state": "accepted"}], [{**SENT, "corrects": None}],
    ],
)  # fmt: skip
def test_what_a_browser_made_up_is_left_out(told: object) -> None:
    assert told_of(told) == []


def correcting(visit_site: Open, data: bytes, before: str = "") -> tuple[Visit, Any]:
    """The app with an answer to a photo, and the map on which that is corrected; `before` runs in the page first."""
    seen = visit_site("/", ready=".st-key-nav button")
    if before:
        seen.page.add_init_script(before)
        seen.page.reload()
    seen.upload(data)
    seen.page.locator("section.answer").wait_for()
    seen.page.locator(".st-key-not_here button").click()
    ground = seen.page.locator(".correct svg")
    ground.wait_for()
    seen.rests()
    ground.evaluate("map => map.scrollIntoView({ block: 'center' })")  # clear of the bar below
    return seen, ground


def tap_and_store(seen: Visit, ground: Any) -> list[float]:
    """Tap the map's middle; gives the tapped place in local metres."""
    seen.page.mouse.click(*middle_at_rest(ground))
    ground.locator("g.mark", has_text="✓").wait_for()
    place = ground.locator("g.mark", has_text="✓").get_attribute("data-at")
    east, south = map(float, place.split())
    seen.page.locator(".correct .store").click()
    return [east, -south]


def stored(site: Site, data: bytes) -> Sidecar:
    """The sidecar of a photo once the inbox has it; there is one of it."""
    until = time.monotonic() + 60
    while not (found := [one for one in site.inbox.entries() if one.path.read_bytes() == data]):
        assert time.monotonic() < until, "the correction never came"
        time.sleep(0.2)
    (entry,) = found
    return entry.sidecar


def assert_noted_once(seen: Visit, site: Site, data: bytes, place: list[float]) -> None:
    """Photo, answer and place lie in the inbox, the log has the true place, and a reload sends nothing more."""
    told = stored(site, data)
    assert told.lat is not None
    assert told.lon is not None
    assert told.fix is not None
    assert told.fix.radius68_m is not None
    assert FRAME.to_local(told.lat, told.lon).tolist() == pytest.approx(place, abs=0.2)
    assert (told.source, told.campus, told.review) == ("tap", "Testfield", "")
    page = seen.page
    seen.turn_to(1)
    page.get_by_text("By tapped places").wait_for()
    count = len(site.inbox.entries())
    page.reload()
    page.locator(".st-key-nav button").first.wait_for()
    page.wait_for_timeout(3000)  # it sends what waits as soon as it is drawn
    assert len(site.inbox.entries()) == count


@pytest.mark.slow
@pytest.mark.parametrize("reloaded", [False, True], ids=["open", "reloaded"])
def test_a_correction_outlives_the_server_that_answered(visit_site: Open, site: Site, reloaded: bool) -> None:
    data = photo(east_m=20.0, north_m=10.0, size=(410 + reloaded, 300))
    seen, ground = correcting(visit_site, data)
    site.kill()
    place = tap_and_store(seen, ground)
    seen.page.get_by_text("Kept in this browser").wait_for()
    seen.screenshot("correct-kept")
    if reloaded:
        seen.page.goto("about:blank")  # without the server a page may not load at all
    site.again()
    if reloaded:
        seen.page.goto(f"{site.served.home}/?lang=en")
    assert_noted_once(seen, site, data, place)


@pytest.mark.slow
def test_a_correction_whose_answer_was_lost_comes_once(visit_site: Open, site: Site) -> None:
    data = photo(east_m=20.0, north_m=10.0, size=(420, 300))
    seen, ground = correcting(visit_site, data)
    seen.page.evaluate(LOSE_ANSWERS)
    place = tap_and_store(seen, ground)
    seen.page.wait_for_function("window.lost === 201")
    seen.page.get_by_text("1 waiting. Offline: photos wait on this phone").wait_for()
    seen.screenshot("correct-waiting")
    assert seen.poor_contrast() == []
    seen.page.evaluate("() => { window.heard = true; dispatchEvent(new Event('online')); }")
    seen.page.get_by_text("Stored: thank you").wait_for()
    assert_noted_once(seen, site, data, place)
    assert seen.errors == []


@pytest.mark.slow
def test_a_photo_that_was_reviewed_stays_as_it_was(visit_site: Open, site: Site) -> None:
    data = photo(east_m=20.0, north_m=10.0, size=(430, 300))
    site.inbox.add(data, Sidecar(lat=HERE[0], lon=HERE[1], source="tap", review="accepted"))
    seen, ground = correcting(visit_site, data)
    tap_and_store(seen, ground)
    seen.page.get_by_text("reviewed already: the inbox keeps it as it was").wait_for()
    told = stored(site, data)
    assert (told.lat, told.lon, told.review) == (*HERE, "accepted")
    assert seen.errors == []


@pytest.mark.slow
def test_a_browser_that_keeps_nothing_corrects_through_its_session(visit_site: Open, site: Site) -> None:
    data = photo(east_m=20.0, north_m=10.0, size=(440, 300))
    nothing = "Object.defineProperty(window, 'indexedDB', { get() { throw new DOMException('no', 'SecurityError'); } })"
    seen, ground = correcting(visit_site, data, nothing)
    place = tap_and_store(seen, ground)
    seen.page.get_by_text("Stored: thank you").wait_for()
    assert_noted_once(seen, site, data, place)
    assert seen.errors == []
