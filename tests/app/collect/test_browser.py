"""Photos collected and reviewed in a real browser: offline, reloaded, the server killed; none lost, none twice."""

from __future__ import annotations

import base64
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from app.collect.inbox import Inbox
from benchmarks.serving import Served, start
from core.campus.frame import LocalFrame, distance_m
from core.cli.run import run_cli
from core.locate.localizer import Localizer
from tests import chromium
from tests.app.harness import DESKTOP, LANDSCAPE, PHONE, Visit, assert_nothing_cuts_a_name_of_a_small_map
from tests.bundles import photo
from train.__main__ import main as train

pytestmark = pytest.mark.slow

FRAME = LocalFrame.about(47.0, 8.4)
HERE = (47.0001, 8.4003)
KEPT = "document.documentElement.dataset.kept === 'yes'"


class Site:
    """A server with an inbox that can be killed and started again at its address."""

    def __init__(self, folder: Path, bundle: Path) -> None:
        self.keys, self.bundle, self.inbox = folder / "keys", bundle, Inbox(folder / "inbox")
        self.served = self._start("0")

    def _start(self, port: str) -> Served:
        return start(self.keys, self.bundle, "--port", port, "--inbox", str(self.inbox.folder))

    def kill(self) -> None:
        self.served.process.kill()
        self.served.process.wait(20)

    def again(self) -> None:
        self.served = self._start(str(self.served.port))


@pytest.fixture(scope="module")
def keys_and_campus(tmp_path_factory: pytest.TempPathFactory, bundle: Path) -> tuple[Path, Path]:
    return tmp_path_factory.mktemp("collect"), bundle


@pytest.fixture(scope="module")
def site(keys_and_campus: tuple[Path, Path]) -> Iterator[Site]:
    running = Site(*keys_and_campus)
    yield running
    running.kill()


@pytest.fixture(scope="module")
def trusting(browser: Any, site: Site) -> Iterator[Any]:
    """A browser that trusts the server's certificate, as a phone does after installing the authority."""
    certificate = x509.load_pem_x509_certificate((site.keys / "server.pem").read_bytes())
    digest = hashes.Hash(hashes.SHA256())
    digest.update(certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    running = chromium.start(
        browser.browser_type, f"--ignore-certificate-errors-spki-list={base64.b64encode(digest.finalize()).decode()}"
    )
    yield running
    running.close()


Open = Callable[..., Visit]


@pytest.fixture
def visit(trusting: Any, site: Site) -> Iterator[Open]:
    """Open a page of the server: visit("/collect", gps=True, size=PHONE, dark=False, lang="en")."""
    contexts = []

    def open_page(
        path: str, *, gps: bool = True, size: tuple[int, int] = PHONE, dark: bool = False, lang: str = "en"
    ) -> Visit:
        context = trusting.new_context(
            viewport={"width": size[0], "height": size[1]},
            is_mobile=size == PHONE,
            has_touch=size == PHONE,
            color_scheme="dark" if dark else "light",
            permissions=["camera", *(["geolocation"] if gps else [])],
            geolocation={"latitude": HERE[0], "longitude": HERE[1], "accuracy": 9},
        )
        context.set_default_timeout(60_000)
        contexts.append(context)
        seen = Visit(context.new_page())
        seen.page.on("pageerror", lambda error: seen.errors.append(str(error)))
        seen.page.goto(f"{site.served.home}{path}?lang={lang}&key={site.served.key}")
        seen.page.locator(".campus-map").wait_for()
        return seen

    yield open_page
    for context in contexts:
        context.close()


def take(seen: Visit, *photos: bytes) -> None:
    for data in photos:
        before = counted(seen)
        seen.page.locator("#file").set_input_files({"name": "p.jpg", "mimeType": "image/jpeg", "buffer": data})
        seen.page.wait_for_function("(before) => records.length > before", arg=before)
        if seen.page.locator("#keep").is_visible():  # the test's stripes are no campus, and may count as blurred
            seen.page.locator("#keep").click()
            seen.page.locator("#choose").wait_for(state="hidden")


def counted(seen: Visit) -> int:
    return int(seen.page.evaluate("records.length"))


def tap_map(seen: Visit, east_m: float, north_m: float) -> None:
    """Tap the map at a place in local metres."""
    seen.page.wait_for_timeout(300)
    x, y = seen.page.evaluate(
        "([east, north]) => { const point = new DOMPoint(east, -north).matrixTransform(map.svg.getScreenCTM());"
        " return [point.x, point.y]; }",
        [east_m, north_m],
    )
    seen.page.mouse.click(x, y)


def stop(east_m: float, count: int = 4) -> list[bytes]:
    return [photo(east_m=east_m + 0.8 * index, north_m=5.0, view=index + 1) for index in range(count)]


def sent(seen: Visit, count: int) -> None:
    seen.page.get_by_text(f"0 waiting · {count} sent").wait_for()


def test_four_photos_taken_offline_survive_a_reload_and_arrive_once(visit: Open, site: Site) -> None:
    seen = visit("/collect")
    page = seen.page
    page.get_by_text("GPS ± 9 m").wait_for()
    page.wait_for_function(KEPT)
    before = {entry.id for entry in site.inbox.entries()}
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
    assert page.locator("#photos img").count() == 4
    site.again()
    page.reload()
    sent(seen, 4)
    page.reload()
    sent(seen, 4)
    entries = [entry for entry in site.inbox.entries() if entry.id not in before]
    assert len(entries) == 4
    for entry in entries:
        assert entry.sidecar.source == "gps"
        assert (entry.sidecar.lat, entry.sidecar.lon, entry.sidecar.error_m) == (*HERE, 9.0)
        assert entry.sidecar.time_utc is not None
    assert seen.errors == []


def test_a_server_killed_while_it_takes_photos_loses_none_and_takes_none_twice(visit: Open, site: Site) -> None:
    seen = visit("/collect")
    page = seen.page
    page.wait_for_function(KEPT)
    before = {entry.id for entry in site.inbox.entries()}
    # The first answer is lost on its way: the server has the photo, the phone does not know.
    page.evaluate(
        "() => { const real = fetch; window.fetch = async (...asked) => {"
        " window.lost = (await real(...asked)).status; window.fetch = real; throw new TypeError('lost'); }; }"
    )
    first, *others = stop(-30.0)
    take(seen, first)
    page.get_by_text("1 waiting").wait_for()
    page.wait_for_function("queue.trouble === 'offline'")
    assert page.evaluate("lost") == 201
    page.evaluate(
        "() => { const real = fetch; window.fetch = async () => {"
        " window.fetch = real; return new Response('{}', { status: 507 }); }; return queue.send(); }"
    )
    page.get_by_text("inbox is full").wait_for()
    for data in others:
        take(seen, data)
        site.kill()
        site.again()
    page.reload()
    sent(seen, 4)
    assert len([entry for entry in site.inbox.entries() if entry.id not in before]) == 4
    assert seen.errors == []


def test_a_server_that_has_no_inbox_for_a_while_refuses_no_photo(visit: Open) -> None:
    seen = visit("/collect")
    page = seen.page
    page.context.route("**/v1/inbox", lambda route: route.fulfill(status=404, json={"detail": "no such page"}))
    take(seen, *stop(-30.0, 1))
    page.get_by_text("Offline: photos wait").wait_for()
    page.get_by_text("1 waiting · 0 sent").wait_for()
    page.context.unroute("**/v1/inbox")
    page.evaluate("queue.send()")
    sent(seen, 1)
    assert seen.errors == []


def test_without_gps_a_photo_is_placed_by_a_tap_before_or_after(visit: Open, site: Site) -> None:
    seen = visit("/collect", gps=False, dark=True, lang="he")
    page = seen.page
    page.get_by_text("אין GPS. הקישו").wait_for()
    assert page.evaluate("document.documentElement.dir") == "rtl"
    before = {entry.id for entry in site.inbox.entries()}
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
    told = [entry.sidecar for entry in site.inbox.entries() if entry.id not in before]
    assert [one.source for one in told] == ["tap"] * 3
    places = [FRAME.to_local(one.lat, one.lon).tolist() for one in told]  # type: ignore[arg-type]
    for place in ([-40.0, 10.0], [60.0, -20.0], [0.0, 40.0]):
        assert [True for east, north in places if abs(east - place[0]) < 3 and abs(north - place[1]) < 3] == [True]
    assert seen.errors == []


def test_the_live_camera_warns_of_a_bad_picture_which_can_be_taken_again(visit: Open, site: Site) -> None:
    seen = visit("/collect")
    page = seen.page
    before = len(site.inbox.entries())
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
    assert page.locator("#warn").is_hidden()
    assert len(site.inbox.entries()) <= before + 1, "what was taken again never went up"
    assert seen.errors == []


@pytest.mark.parametrize(("size", "dark", "lang"), [(PHONE, True, "en"), (DESKTOP, False, "he")])
def test_both_pages_fit_phone_and_desktop(visit: Open, size: tuple[int, int], dark: bool, lang: str) -> None:
    for path in ("/collect", "/review"):
        seen = visit(path, size=size, dark=dark, lang=lang)
        seen.page.wait_for_timeout(600)
        name = f"{path[1:]}-{size[0]}-{'dark' if dark else 'light'}-{lang}"
        seen.screenshot(name)
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= size[0], name
        assert seen.poor_contrast() == [], name
        assert seen.errors == []


def test_reviewed_photos_join_the_campus_which_then_finds_their_place(
    visit: Open, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Photos that look like two other places are told to stand in a third: only the gallery can know it."""
    there = (0.0, 80.0)
    seen = visit("/collect")
    before = {entry.id for entry in site.inbox.entries()}
    photos = [photo("split", east_m=2.0, north_m=2.0, view=30 + index) for index in range(14)]
    for index, data in enumerate(photos):
        if index % 4 == 0:
            tap_map(seen, *there)
        take(seen, data)
    sent(seen, 14)
    review = visit("/review", size=DESKTOP)
    page = review.page
    new = [entry.id for entry in site.inbox.entries() if entry.id not in before]
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
    for entry in site.inbox.entries():  # what other tests left stays out of it
        if entry.id in before:
            site.inbox.change(entry.id, review="rejected")
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


def test_on_a_turned_phone_the_camera_stands_beside_the_map(visit: Open) -> None:
    seen = visit("/collect", size=LANDSCAPE)
    button, ground = (seen.page.locator(part).bounding_box() for part in ("#ways label", "#map"))
    assert button["y"] + button["height"] <= LANDSCAPE[1]
    assert button["x"] >= ground["x"] + ground["width"]


@pytest.mark.parametrize("path", ["/collect", "/review"])
@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_neither_edge_nor_mark_cuts_a_name_of_the_map(visit: Open, path: str, size: tuple[int, int]) -> None:
    seen = visit(path, size=size)
    ground = seen.page.locator(".campus-map")
    ground.locator("g.dot").first.wait_for()
    marked = "map.show([{ at: map.plan.labels[0].slice(0, 2), text: '1' }])"
    under = seen.page.evaluate(f"({marked}, map.names[0].getAttribute('visibility'))")  # before the page marks its own
    assert under == "hidden", "it lies under the mark"
    assert_nothing_cuts_a_name_of_a_small_map(ground)
    seen.screenshot(f"names{path.replace('/', '-')}-{size[0]}")
    assert seen.errors == []
