"""A server with an inbox, and visits to its pages with a browser that trusts it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import chromium
from tests.app.collect.harness import GPS_GOES_ON, HERE, Open, Site
from tests.app.harness import PHONE, Visit


@pytest.fixture(scope="module")
def keys_and_campus(tmp_path_factory: pytest.TempPathFactory, bundle: Path) -> tuple[Path, Path]:
    return tmp_path_factory.mktemp("collect"), bundle


@pytest.fixture(scope="module")
def started(keys_and_campus: tuple[Path, Path]) -> Iterator[Site]:
    running = Site(*keys_and_campus)
    yield running
    running.kill()


@pytest.fixture
def site(started: Site) -> Site:
    """The server, which runs, with an empty inbox: whatever another test left, or this one at its first try."""
    if started.served.process.poll() is not None:
        started.again()
    folder = started.inbox.folder
    while files := list(folder.iterdir()) if folder.exists() else []:  # what a closed page sent may still be coming
        for file in files:
            file.unlink(missing_ok=True)
    return started


@pytest.fixture(scope="module")
def trusting(browser: Any, started: Site) -> Iterator[Any]:
    running = chromium.trusting(browser.browser_type, started.keys / "server.pem")
    yield running
    running.close()


@pytest.fixture
def visit_site(trusting: Any, site: Site) -> Iterator[Open]:
    """Open a page of the server: visit_site("/collect", gps=True, size=PHONE, dark=False, lang="en"), until `ready`."""
    contexts = []

    def open_page(
        path: str,
        *,
        gps: bool = True,
        size: tuple[int, int] = PHONE,
        dark: bool = False,
        lang: str = "en",
        ready: str = ".campus-map",
    ) -> Visit:
        phone = size[0] < 600
        context = trusting.new_context(
            viewport={"width": size[0], "height": size[1]},
            is_mobile=phone,
            has_touch=phone,
            color_scheme="dark" if dark else "light",
            permissions=["camera", *(["geolocation"] if gps else [])],
            geolocation={"latitude": HERE[0], "longitude": HERE[1], "accuracy": 9},
        )
        context.set_default_timeout(60_000)
        contexts.append(context)
        seen = Visit(context.new_page())
        seen.page.add_init_script(GPS_GOES_ON)
        seen.page.on("pageerror", lambda error: seen.errors.append(str(error)))
        seen.page.goto(f"{site.served.home}{path}?lang={lang}&key={site.served.key}")
        seen.page.locator(ready).first.wait_for()
        return seen

    yield open_page
    for context in contexts:
        context.close()
