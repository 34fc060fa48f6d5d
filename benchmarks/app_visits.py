"""A first visit to the field app in a real browser: what it fetches, when it can be used, and a tap's wait."""

from __future__ import annotations

import io
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from app.map.shapes import LIGHT
from benchmarks.browser import FirstLoad, NoBrowser, launch
from benchmarks.serving import plain, start
from benchmarks.timing import Effort, Section, Target, Times
from core.locate.confidence import confidence
from core.locate.localizer import DEMO_BUNDLE, Localizer

VISITS = 10
PHONE = {"width": 390, "height": 844}
MOST_S, DOT_PX = 60.0, 60
# Notes when the page was tapped, and when an answer was there.
_TAPS = """(() => {
  addEventListener("click", () => (window.tapped_ms ??= performance.now()), true);
  const look = () => {
    if (document.querySelector("section.answer")) window.answered_ms = performance.now();
    else requestAnimationFrame(look);
  };
  look();
})()"""
WAITS = ("load to usable", "tap to answer", "tap to its place on the map")


@contextmanager
def new_phone(browser: Any) -> Iterator[Any]:
    """A page on a phone that has nothing from before."""
    context = browser.new_context(viewport=PHONE, is_mobile=True, has_touch=True, ignore_https_errors=True)
    context.set_default_timeout(1000 * MOST_S)
    try:
        yield context.new_page()
    finally:
        context.close()


def visit(browser: Any, url: str, sample: int) -> tuple[float, float, float]:
    """Seconds of the three waits of a first visit, with nothing kept from before; a sample of that number is tapped."""
    with new_phone(browser) as page:
        page.add_init_script(_TAPS)
        load = FirstLoad(page, url)
        page.locator(".st-key-stage canvas").first.wait_for()
        page.wait_for_timeout(2000)  # the visitor looks at the campus
        page.locator(".strip button").nth(sample).click()
        until = time.monotonic() + MOST_S
        while not _dot_is_seen(page):
            if time.monotonic() > until:
                raise RuntimeError(f"no place on the map within {MOST_S:.0f} s")
        seen_s, answer_s = page.evaluate(
            "[performance.now() - window.tapped_ms, window.answered_ms - window.tapped_ms].map((ms) => ms / 1000)"
        )
        return load.usable_s, answer_s, seen_s


def _dot_is_seen(page: Any) -> bool:
    """Whether the map shows the blue dot, by a picture of it."""
    picture = Image.open(io.BytesIO(page.locator(".st-key-stage").screenshot())).convert("RGB")
    return int((np.abs(np.asarray(picture, np.int16) - LIGHT.fix).max(axis=2) < 8).sum()) > DOT_PX


def weigh(browser: Any, url: str) -> tuple[float, float]:
    """Megabytes until the page can be used, over 4 Mbit/s, and with the map."""
    with new_phone(browser) as page:
        load = FirstLoad(page, url, mbit_s=4)
        page.locator(".st-key-stage canvas").first.wait_for()
        page.wait_for_timeout(3000)
        return load.usable_mb, load.megabytes()


def run(effort: Effort) -> Section:
    """Both ways to serve the demo campus, each visited ten times by a phone's browser that draws in software."""
    from playwright.sync_api import sync_playwright

    section = Section(
        "A first visit to the field app",
        f"The demo campus in Chromium, {PHONE['width']} x {PHONE['height']} px, on the server's own cores, WebGL in "
        f"software (SwiftShader); {1 if effort.tiny else VISITS} visits each, nothing kept between. The map's wait "
        "ends with a picture that shows the blue dot. Bytes by Chromium's count for 4 Mbit/s, without websockets.",
    )
    localizer = Localizer.load(DEMO_BUNDLE)
    samples = localizer.bundle.samples
    sure = (n for n, name in enumerate(samples) if confidence(localizer.locate(localizer.bundle.read(name))) == "good")
    sample = next(sure, 0)
    rows: list[tuple[str, ...]] = [("", *WAITS, "MB to usable", "MB with the map")]
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        served = start(Path(folder) / "keys", DEMO_BUNDLE)
        stack.callback(served.stop)
        ways = {"app.serve": f"{served.home}/?key={served.key}", "scripts/app": stack.enter_context(plain())}
        driver = stack.enter_context(sync_playwright())
        try:
            browser = launch(driver.chromium, "--ignore-certificate-errors")
        except NoBrowser as absent:
            section.lacks.append(str(absent))
            return section
        for name, url in ways.items():
            usable_mb, all_mb = weigh(browser, url)  # the server's first visit, which is not timed
            waits = [visit(browser, url, sample) for _ in range(1 if effort.tiny else VISITS)]
            times = {wait: Times(tuple(seconds)) for wait, seconds in zip(WAITS, zip(*waits, strict=True), strict=True)}
            section.keep(name, times)
            rows.append((name, *(str(value) for value in times.values()), f"{usable_mb:.2f}", f"{all_mb:.2f}"))
            for asked, value, most, unit in (
                ("tap to answer", times["tap to answer"].median, 0.5, "s"),
                ("tap to the first map", times[WAITS[2]].median, 1.5, "s"),
                ("until it can be used", usable_mb, 1.3, "MB"),
                ("with the map", all_mb, 2.4, "MB"),
            ):
                section.targets.append(
                    Target(f"{name}: {asked} at most {most} {unit}", f"{value:.2f} {unit}", value <= most)
                )
        browser.close()
    section.tables.append(rows)
    return section
