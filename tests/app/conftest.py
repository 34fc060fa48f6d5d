"""A running app, and visits to it with the browser of all tests, which reaches nothing beyond this machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from tests import REPOSITORY
from tests.app.harness import PHONE, RUN_S, Open, Server, Start, Visit, start_app
from tests.bundles import make_bundle


@pytest.fixture(autouse=True)
def main_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put `__main__` back after AppTest, which leaves the app there: processes started later would run it."""
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The test campus, as a folder."""
    return make_bundle(tmp_path_factory.mktemp("campuses") / "testfield")


@pytest.fixture(scope="session")
def server(bundle: Path) -> Iterator[Server]:
    running = start_app({"CAMPUS_BUNDLE": str(bundle)})
    yield running
    running.stop()


@pytest.fixture
def visit(browser: Any, server: Server) -> Iterator[Open]:
    """Open the app: visit(size=PHONE, dark=False, lang="en", url=None), with another browser, name, place or zone."""
    contexts = []

    usual = browser

    def open_page(
        size: tuple[int, int] = PHONE,
        dark: bool = False,
        lang: str = "en",
        url: str | None = None,
        browser: Any = None,
        at: tuple[float, float] = (47.0001, 8.4003),
        agent: str | None = None,
        zone: str | None = None,
    ) -> Visit:
        phone = size[0] < 600
        context = (browser or usual).new_context(
            viewport={"width": size[0], "height": size[1]},
            user_agent=agent,
            timezone_id=zone,
            device_scale_factor=float(os.environ.get("SCREENSHOT_SCALE", "1")),
            is_mobile=phone,
            has_touch=phone,
            color_scheme="dark" if dark else "light",
            permissions=["camera", "geolocation"],
            geolocation={"latitude": at[0], "longitude": at[1], "accuracy": 9},
        )
        context.set_default_timeout(90_000)  # software rendering on a busy machine takes its time
        contexts.append(context)
        seen = Visit(context.new_page())
        home = url or server.url

        def requested(request: Any) -> None:
            if not request.url.startswith((home, home.replace("http", "ws", 1), "data:", "blob:")):
                seen.outside.append(request.url[:200])

        seen.page.on("request", requested)
        seen.page.on("console", lambda said: seen.errors.append(said.text) if said.type == "error" else None)
        seen.page.on("pageerror", lambda error: seen.errors.append(str(error)))
        seen.page.goto(f"{home}/?lang={lang}")
        seen.page.locator(".st-key-nav button").first.wait_for()
        return seen

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch, bundle: Path) -> Start:
    """Start the app: start(bundle=None, lang="en")."""

    def run(campus: Path = bundle, lang: str = "en") -> AppTest:
        monkeypatch.setenv("CAMPUS_BUNDLE", str(campus))
        app = AppTest.from_file(REPOSITORY / "streamlit_app.py", default_timeout=RUN_S)
        app.query_params["lang"] = lang
        app.run()
        assert not app.exception
        return app

    return run
