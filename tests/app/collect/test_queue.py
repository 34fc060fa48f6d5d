"""Photos that wait on the phone, in a real browser: offline, reloaded, the server killed; none lost, none twice."""

from __future__ import annotations

import signal
from typing import Any

import pytest
from playwright.sync_api import expect

from app.language import LANGUAGES, Lang
from app.texts import Texts
from tests.app.collect.harness import FRAME, HERE, KEPT, LOSE_ANSWERS, Open, Site, sent, stop, take, tap_map

pytestmark = pytest.mark.slow


def test_four_photos_taken_offline_survive_a_reload_and_arrive_once(visit_site: Open, site: Site) -> None:
    seen = visit_site("/collect")
    page = seen.page
    page.get_by_text("GPS ± 9 m").wait_for()
    page.wait_for_function(KEPT)
    site.kill()
    first, *others = stop(20.0)
    take(seen, first)
    page.evaluate("first = document.querySelector('#photos button')")
    take(seen, *others)
    assert page.evaluate("first.isConnected"), "a finger may be on it"
    page.get_by_text("Four photos: done here").wait_for()
    page.get_by_text("4 waiting").wait_for()
    page.get_by_text("Offline: photos wait").wait_for()
    seen.screenshot("collect-offline")
    page.reload()  # there is no server: the page itself comes from the phone
    page.get_by_text("4 waiting").wait_for()
    page.locator(".campus-map path").first.wait_for(state="attached")
    expect(page.locator("#photos img")).to_have_count(4)
    site.again()
    page.reload()
    sent(seen, 4)
    page.reload()
    sent(seen, 4)
    entries = site.inbox.entries()
    assert len(entries) == 4
    for entry in entries:
        assert entry.sidecar.source == "gps"
        assert (entry.sidecar.lat, entry.sidecar.lon, entry.sidecar.error_m) == (*HERE, 9.0)
        assert entry.sidecar.time_utc is not None
    assert seen.errors == []


def test_a_server_killed_while_it_takes_photos_loses_none_and_takes_none_twice(visit_site: Open, site: Site) -> None:
    seen = visit_site("/collect")
    page = seen.page
    page.wait_for_function(KEPT)
    # The first answer is lost on its way: the server has the photo, the phone does not know.
    page.evaluate(LOSE_ANSWERS)
    first, *others = stop(-30.0)
    take(seen, first)
    page.get_by_text("1 waiting").wait_for()
    page.wait_for_function("queue.trouble === 'offline'")
    assert page.evaluate("lost") == 201
    page.evaluate(
        "() => { const real = fetch; window.fetch = async (path, asked) => path === '/v1/inbox' && !window.room"
        " ? new Response('{}', { status: 507 }) : real(path, asked); return queue.send(); }"
    )
    page.get_by_text("inbox is full").wait_for()
    page.evaluate("window.room = window.heard = true")
    for data in others:
        take(seen, data)
        site.kill()
        site.again()
    page.reload()
    sent(seen, 4)
    assert len(site.inbox.entries()) == 4
    assert seen.errors == []


def test_a_photo_placed_while_its_answer_was_lost_is_placed_on_the_server_too(visit_site: Open, site: Site) -> None:
    seen = visit_site("/collect", gps=False)
    page = seen.page
    page.evaluate(LOSE_ANSWERS)
    take(seen, *stop(-12.0, 1))
    page.wait_for_function("window.lost === 201 && queue.trouble === 'offline'")
    page.get_by_role("button", name="Place", exact=True).click()
    tap_map(seen, 25.0, -15.0)
    page.wait_for_function("records.some(({ about }) => about.source === 'tap')")
    page.evaluate("window.heard = true")
    # One that is being sent as it is heard again may be lost all the same, and another begins only after it.
    page.evaluate(
        "async () => { while (!records.every(({ state, placeDue }) => state === 'sent' && !placeDue))"
        " { await queue.send(); await new Promise(requestAnimationFrame); } }"
    )
    (told,) = [entry.sidecar for entry in site.inbox.entries()]
    assert told.lat is not None
    assert told.lon is not None
    assert FRAME.to_local(told.lat, told.lon).tolist() == pytest.approx([25.0, -15.0], abs=3)
    assert seen.errors == []


def test_a_photo_that_the_server_fails_at_holds_up_no_other_and_the_page_says_why(visit_site: Open) -> None:
    seen = visit_site("/collect")
    page = seen.page
    page.evaluate(
        "() => { const real = fetch; window.fetch = async (path, asked) =>"
        " asked?.body instanceof FormData && JSON.parse(asked.body.get('about')).who === 'first'"
        " ? Response.json({ detail: 'Input/output error' }, { status: 500 }) : real(path, asked); }"
    )
    for who, data in zip(("first", "second", "third"), stop(-52.0, 3), strict=True):
        page.get_by_label("Your name").fill(who)
        take(seen, data)
    page.evaluate("queue.send()")
    page.get_by_text("1 waiting · 2 sent").wait_for()
    page.get_by_text("could not take a photo (Input/output error)").wait_for()
    assert seen.errors == []


@pytest.mark.parametrize("lang", list(LANGUAGES))
def test_a_photo_that_cannot_be_read_is_refused_in_the_reader_s_language(visit_site: Open, lang: Lang) -> None:
    seen = visit_site("/collect", lang=lang)
    heic = {"name": "p.heic", "mimeType": "image/heic", "buffer": b"no photo"}  # which the server alone can decode
    seen.page.locator("#file").set_input_files(heic)
    seen.page.get_by_text(Texts(lang)["reason_format"]).wait_for()
    assert seen.errors == []


@pytest.mark.parametrize(
    "answer",
    [{"status": 404, "json": {"detail": "no such page"}}, {"status": 200, "body": '{"id": "'}],
    ids=["no inbox", "cut short"],
)
def test_an_answer_that_does_not_say_what_became_of_a_photo_leaves_it_waiting(visit_site: Open, answer: Any) -> None:
    seen = visit_site("/collect")
    page = seen.page
    page.context.route("**/v1/inbox", lambda route: route.fulfill(**answer))
    take(seen, *stop(-30.0, 1))
    page.get_by_text("Offline: photos wait").wait_for()
    page.get_by_text("1 waiting · 0 sent").wait_for()
    page.context.unroute("**/v1/inbox")
    page.evaluate("queue.send()")
    sent(seen, 1)
    assert seen.errors == []


def test_a_server_that_takes_a_connection_and_never_answers_is_as_good_as_none(visit_site: Open, site: Site) -> None:
    seen = visit_site("/collect")
    page = seen.page
    page.wait_for_function(KEPT)
    page.add_init_script("const timed = AbortSignal.timeout; AbortSignal.timeout = () => timed.call(AbortSignal, 5000)")
    site.served.process.send_signal(signal.SIGSTOP)
    try:
        page.reload()  # what is kept comes after a moment
        page.locator(".campus-map path").first.wait_for(state="attached")
        take(seen, *stop(63.0, 1))
        page.get_by_text("Offline: photos wait").wait_for()
    finally:
        site.served.process.send_signal(signal.SIGCONT)
    page.reload()
    sent(seen, 1)
    assert seen.errors == []


def test_without_gps_a_photo_is_placed_by_a_tap_before_or_after(visit_site: Open, site: Site) -> None:
    seen = visit_site("/collect", gps=False, dark=True, lang="he")
    page = seen.page
    page.get_by_text("אין GPS. הקישו").wait_for()
    assert page.evaluate("document.documentElement.dir") == "rtl"
    first, second, third = stop(55.0, 3)
    tap_map(seen, -40.0, 10.0)
    take(seen, first)
    page.get_by_role("button", name="שימוש ב־GPS").click()
    take(seen, second)
    page.get_by_text("1 בלי מקום").wait_for()
    page.wait_for_function("records.every(({ state }) => state === 'sent')")
    seen.screenshot("collect-unplaced-he")
    assert seen.poor_contrast() == []
    page.get_by_role("button", name="מיקום", exact=True).click()
    page.reload()  # a phone put away in between
    page.get_by_role("button", name="מיקום", exact=True).click()
    tap_map(seen, 60.0, -20.0)
    page.wait_for_function("records.every(({ placeDue, about }) => !placeDue && about.lat != null)")
    # One that has not gone up is placed on the phone.
    page.wait_for_function(KEPT)
    site.kill()
    take(seen, third)
    page.get_by_role("button", name="מיקום", exact=True).click()
    tap_map(seen, 0.0, 40.0)
    page.wait_for_function("records.every(({ about }) => about.lat != null)")
    site.again()
    page.reload()
    page.wait_for_function("records.length === 3 && records.every(({ state }) => state === 'sent')")
    told = [entry.sidecar for entry in site.inbox.entries()]
    assert [one.source for one in told] == ["tap"] * 3
    places = [FRAME.to_local(one.lat, one.lon).tolist() for one in told]  # type: ignore[arg-type]
    for place in ([-40.0, 10.0], [60.0, -20.0], [0.0, 40.0]):
        assert [True for east, north in places if abs(east - place[0]) < 3 and abs(north - place[1]) < 3] == [True]
    assert seen.errors == []
