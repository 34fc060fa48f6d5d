"""The served app in a real browser on a phone's screen: locked, opened by the key, installable, all from here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.browser import FirstLoad
from benchmarks.serving import Served, start
from tests import chromium
from tests.app.harness import CAMERA, PHONE, Visit
from tests.bundles import make_bundle, photo

pytestmark = pytest.mark.slow

OpenPage = Callable[..., Visit]
WORKER_READY = "navigator.serviceWorker.controller?.scriptURL.endsWith('/service-worker.js')"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    campus = make_bundle(tmp_path_factory.mktemp("campuses") / "testfield")
    running = start(tmp_path_factory.mktemp("served") / "keys", campus)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def phone(browser: Any, served: Served) -> Iterator[Any]:
    running = chromium.trusting(browser.browser_type, served.folder / "server.pem")
    yield running
    running.close()


@pytest.fixture
def open_page(phone: Any, served: Served) -> Iterator[OpenPage]:
    """Open a path of the served site on a phone's screen."""
    contexts = []

    def open_path(path: str, *, dark: bool = False, lang: str = "en-GB") -> Visit:
        context = phone.new_context(
            viewport={"width": PHONE[0], "height": PHONE[1]},
            is_mobile=True,
            has_touch=True,
            color_scheme="dark" if dark else "light",
            locale=lang,
        )
        context.set_default_timeout(60_000)  # software rendering on a busy machine takes its time
        contexts.append(context)
        seen = Visit(context.new_page())
        ours = (served.home, served.home.replace("https", "wss"), "data:", "blob:")

        def requested(request: Any) -> None:
            if not request.url.startswith(ours):
                seen.outside.append(request.url[:200])

        seen.page.on("request", requested)
        seen.page.on("websocket", lambda socket: requested(socket))
        seen.page.on("console", lambda said: seen.errors.append(said.text) if said.type == "error" else None)
        seen.page.on("pageerror", lambda error: seen.errors.append(str(error)))
        seen.page.goto(f"{served.home}{path}")
        return seen

    yield open_path
    for context in contexts:
        context.close()


@pytest.mark.parametrize(("lang", "dark"), [("en-GB", False), ("he-IL", True)])
def test_the_lock_and_the_install_page_fit_a_phone(open_page: OpenPage, lang: str, dark: bool) -> None:
    seen = open_page("/", lang=lang, dark=dark)
    page = seen.page
    assert page.evaluate("document.documentElement.dir") == ("rtl" if lang == "he-IL" else "ltr")
    assert page.locator("input[name=key]").is_visible()
    assert page.locator("[data-testid=stApp]").count() == 0
    for name in ("lock", "install"):
        if name == "install":
            page.get_by_role("link").click()
            page.locator(".fingerprint").wait_for()
        seen.screenshot(f"serve-{name}-{lang[:2]}-{'dark' if dark else 'light'}")
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
    assert seen.outside == []


def test_a_typed_key_opens_the_app_which_locates_a_photo(open_page: OpenPage, served: Served) -> None:
    seen = open_page("/")
    page = seen.page
    page.get_by_label("Access key").fill("not the key")
    page.get_by_role("button", name="Unlock").click()
    page.get_by_text("This is not the key").wait_for()
    page.get_by_label("Access key").fill(served.key)
    page.get_by_role("button", name="Unlock").click()
    page.locator(".st-key-nav button").first.wait_for()
    assert page.url == f"{served.home}/"
    seen.errors.clear()  # the browser reports each answer of the lock, since its status is 403
    assert page.evaluate("isSecureContext"), "else there is neither live view nor the phone's location"
    # Both ways in for a photo: the upload is a request of its own, the camera's photo comes by the websocket.
    large = photo(east_m=-52, north_m=68, size=(4000, 3000))
    seen.upload(large)
    page.locator("section.answer", has_text="Library").wait_for()
    gymnasium = photo(east_m=50, north_m=-34, size=(4000, 3000))
    page.locator(CAMERA).set_input_files({"name": "a.jpg", "mimeType": "image/jpeg", "buffer": gymnasium})
    page.locator("section.answer", has_text="Gymnasium").wait_for()
    seen.map_drawn()
    seen.screenshot("serve-answer")
    seen.clean()


def test_the_codes_address_opens_an_app_that_can_be_installed(open_page: OpenPage, served: Served) -> None:
    seen = open_page(f"/?lang=he&key={served.key}")
    page = seen.page
    page.locator(".st-key-nav button").first.wait_for()
    assert page.url == f"{served.home}/?lang=he"
    assert served.key not in page.evaluate("JSON.stringify([history.state, document.cookie, document.referrer])")
    page.wait_for_function(WORKER_READY)
    devtools = page.context.new_cdp_session(page)
    manifest = devtools.send("Page.getAppManifest")
    assert manifest["url"] == f"{served.home}/campus.webmanifest"
    assert manifest["errors"] == []
    missing = {error["errorId"] for error in devtools.send("Page.getInstallabilityErrors")["installabilityErrors"]}
    assert missing <= {"in-incognito"}, "as every page of a test's browser is"
    assert page.locator("link[rel=manifest]").count() == 1
    assert page.locator("link[rel=apple-touch-icon]").count() == 1
    seen.clean()


@pytest.mark.parametrize(
    ("lang", "said", "again"), [("en", "Campus GPS cannot be reached", "Try again"), ("he", "אין קשר עם", "לנסות שוב")]
)
def test_without_the_network_the_page_says_so(
    open_page: OpenPage, served: Served, lang: str, said: str, again: str
) -> None:
    seen = open_page(f"/?lang={lang}&key={served.key}")
    page = seen.page
    page.locator(".st-key-nav button").first.wait_for()
    page.wait_for_function(WORKER_READY)
    page.context.set_offline(True)
    page.reload()
    page.get_by_text(said).wait_for()
    seen.screenshot(f"serve-offline-{lang}")
    page.context.set_offline(False)
    page.get_by_role("link", name=again).click()
    page.locator(".st-key-nav button").first.wait_for()
    assert page.url == f"{served.home}/?lang={lang}"


def test_the_first_load_is_small(open_page: OpenPage, served: Served) -> None:
    """What a phone fetches, counted by the browser as it came over the wire: the page, and the map's code behind it."""
    seen = open_page("/")
    # Slow enough that little more comes while a busy machine draws what has come.
    load = FirstLoad(seen.page, f"{served.home}/?key={served.key}", mbit_s=1)
    seen.map_drawn()
    assert 0.3 < load.usable_mb <= 1.3
    assert load.megabytes("DeckGl") > 0.3
    assert load.megabytes() <= 2.4


def test_a_campus_goes_up_through_the_lock_and_one_that_is_none_says_so(
    open_page: OpenPage, served: Served, tmp_path: Path
) -> None:
    """The demo's own download is 32 MB: more than a photo may be, less than a campus may be."""
    hill = make_bundle(tmp_path / "hill.campus", name="Hillside", lat=-33.9, lon=18.4, rendered=False)
    with (tmp_path / "usual.campus").open("wb") as file:
        file.truncate(33_000_000)
    seen = open_page(f"/?lang=en&key={served.key}")
    page = seen.page
    seen.turn_to(2)
    field = page.locator(".st-key-campus_file [data-testid=stFileUploaderDropzoneInput]")
    field.wait_for(state="attached")
    field.set_input_files(tmp_path / "usual.campus")
    page.get_by_text("This campus cannot be opened.").wait_for()  # it arrived, and is looked into
    seen.rests()
    field.set_input_files(hill)
    page.get_by_role("heading", name="Hillside").wait_for()
    seen.clean()
