"""The pictures of the field app in docs/, made anew from the demo campus: `python -m benchmarks.app_pictures [NAME …]`.

A NAME is a picture's path in docs/, as `phone/log.png`.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks.browser import launch
from benchmarks.serving import plain
from benchmarks.timing import ROOT
from core.io.files import write_atomically
from core.locate.localizer import DEMO_BUNDLE, Localizer

DOCS = ROOT / "docs"
PHONE, SMALL, LANDSCAPE, DESKTOP = (390, 844), (320, 568), (844, 390), (1280, 800)
SAMPLE = "samples/test-walk-IMG_00121.jpg"
STANDPOINT = [f"samples/test-walk-IMG_000{number}.jpg" for number in (43, 41, 42, 44)]
COLOURS = 160  # of a picture: a tenth of its bytes, and nothing that one sees


def main() -> int:
    from playwright.sync_api import sync_playwright

    localizer = Localizer.load(DEMO_BUNDLE)
    sample = localizer.bundle.samples.index(SAMPLE)
    photos = [{"name": Path(n).name, "mimeType": "image/jpeg", "buffer": localizer.bundle.read(n)} for n in STANDPOINT]

    def answer(page: Any) -> None:
        page.locator(".strip button").nth(sample).click()
        page.locator("section.answer").wait_for()

    def together(page: Any) -> None:
        page.locator(".st-key-gallery input[type=file]").set_input_files(photos)
        page.locator("p.together").first.wait_for()
        page.locator("[data-testid=stMain]").evaluate("main => main.scrollTo(0, 330)")

    def log(page: Any) -> None:
        together(page)
        answer(page)
        page.locator(".st-key-nav button").nth(1).click()
        page.locator(".logged").nth(1).wait_for()
        page.locator("[data-testid=stMain]").evaluate("main => main.scrollTo(0, 430)")

    pictures: list[tuple[str, tuple[int, int], str, bool, Callable[[Any], None]]] = [
        ("phone/start.png", PHONE, "en", False, lambda _: None),
        ("phone.png", PHONE, "en", False, answer),
        ("phone/sheet.png", PHONE, "en", False, together),
        ("phone/hebrew.png", PHONE, "he", True, answer),
        ("phone/log.png", PHONE, "en", False, log),
        ("phone/small.png", SMALL, "en", False, answer),
        ("phone/landscape.png", LANDSCAPE, "en", False, answer),
        ("desktop.png", DESKTOP, "en", False, answer),
    ]
    with plain() as url, sync_playwright() as driver:
        browser = launch(driver.chromium)
        wanted = [picture for picture in pictures if picture[0] in sys.argv[1:]] or pictures
        for name, (width, height), lang, dark, shown in wanted:
            phone = width < 600
            context = browser.new_context(
                viewport={"width": width, "height": height},
                is_mobile=phone,
                has_touch=phone,
                color_scheme="dark" if dark else "light",
            )
            context.set_default_timeout(90_000)
            page = context.new_page()
            page.goto(f"{url}/?lang={lang}")
            page.locator(".st-key-stage canvas").first.wait_for()
            page.locator(".st-key-gallery input[type=file]").wait_for(state="attached")
            shown(page)
            page.locator(".campus-waiting").wait_for(state="detached")
            page.wait_for_timeout(4000)  # the map's last frames
            small = Image.open(io.BytesIO(page.screenshot())).convert("RGB").quantize(COLOURS)
            out = io.BytesIO()
            small.save(out, "PNG", optimize=True)
            write_atomically(DOCS / name, out.getvalue())
            print(f"{DOCS / name}: {len(out.getvalue()) / 1000:.0f} kB", flush=True)
            context.close()
        browser.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
