"""The pictures of the field app in docs/, made anew from the demo campus: `python -m benchmarks.app_pictures [NAME …]`.

A NAME is a picture's path in docs/, as `phone/log.png`.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
GAP_PX = 16
TAPPED = {"x": 246, "y": 187}  # on the map of "No, I am here": where the photo was taken

State = Callable[[Any], None]


@dataclass(frozen=True)
class Picture:
    """What a picture shows: one state of the page, or several side by side."""

    name: str
    size: tuple[int, int]
    states: Sequence[State]
    lang: str = "en"
    dark: bool = False


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

    def alone(page: Any) -> None:
        page.locator(".st-key-gallery input[type=file]").set_input_files(photos[0])
        page.locator("section.answer").wait_for()

    def together_on_map(page: Any) -> None:
        together(page)
        page.locator("[data-testid=stMain]").evaluate("main => main.scrollTo(0, 0)")

    def correct(page: Any) -> None:
        alone(page)
        page.locator(".st-key-not_here button").click()
        ground = page.locator(".correct svg")
        ground.wait_for()
        page.locator(".st-key-correction").evaluate("place => place.scrollIntoView()")
        page.wait_for_timeout(500)
        ground.hover(position=TAPPED)
        page.mouse.wheel(0, -500)
        page.wait_for_timeout(500)
        ground.click(position=TAPPED)

    def log(page: Any) -> None:
        together(page)
        answer(page)
        page.locator(".st-key-nav button").nth(1).click()
        page.locator(".logged").nth(1).wait_for()
        page.locator("[data-testid=stMain]").evaluate("main => main.scrollTo(0, 430)")

    pictures = [
        Picture("phone/start.png", PHONE, [lambda _: None]),
        Picture("phone.png", PHONE, [answer]),
        Picture("burst.png", PHONE, [alone, together_on_map]),
        Picture("phone/sheet.png", PHONE, [together]),
        Picture("phone/correct.png", PHONE, [correct]),
        Picture("phone/hebrew.png", PHONE, [answer], "he", dark=True),
        Picture("phone/log.png", PHONE, [log]),
        Picture("phone/small.png", SMALL, [answer]),
        Picture("phone/landscape.png", LANDSCAPE, [answer]),
        Picture("desktop.png", DESKTOP, [answer]),
    ]
    with plain() as url, sync_playwright() as driver:
        browser = launch(driver.chromium)
        for picture in [picture for picture in pictures if picture.name in sys.argv[1:]] or pictures:
            whole = side_by_side([screenshot(browser, url, picture, shown) for shown in picture.states])
            out = io.BytesIO()
            whole.quantize(COLOURS).save(out, "PNG", optimize=True)
            write_atomically(DOCS / picture.name, out.getvalue())
            print(f"{DOCS / picture.name}: {len(out.getvalue()) / 1000:.0f} kB", flush=True)
        browser.close()
    return 0


def screenshot(browser: Any, url: str, picture: Picture, shown: State) -> Image.Image:
    """The app in a state, with nothing kept from before."""
    width, height = picture.size
    phone = width < 600
    context = browser.new_context(
        viewport={"width": width, "height": height},
        is_mobile=phone,
        has_touch=phone,
        color_scheme="dark" if picture.dark else "light",
    )
    context.set_default_timeout(90_000)
    page = context.new_page()
    page.goto(f"{url}/?lang={picture.lang}")
    page.locator(".st-key-stage canvas").first.wait_for()
    page.locator(".st-key-gallery input[type=file]").wait_for(state="attached")
    shown(page)
    page.locator(".campus-waiting").wait_for(state="detached")
    page.wait_for_timeout(4000)  # the map's last frames
    taken = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    context.close()
    return taken


def side_by_side(screens: Sequence[Image.Image]) -> Image.Image:
    """Screens of one size in one picture, white between them."""
    width, height = screens[0].size
    whole = Image.new("RGB", (len(screens) * (width + GAP_PX) - GAP_PX, height), "white")
    for number, screen in enumerate(screens):
        whole.paste(screen, (number * (width + GAP_PX), 0))
    return whole


if __name__ == "__main__":
    raise SystemExit(main())
