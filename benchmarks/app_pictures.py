"""The pictures of the field app in docs/, made anew from the demo campus: `python -m benchmarks.app_pictures [NAME …]`.

A NAME is a picture's path in docs/, as `phone/log.png`.
"""

from __future__ import annotations

import io
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks.browser import launch
from benchmarks.serving import plain, start
from benchmarks.timing import ROOT
from core.campus.bundle import save_bundle
from core.campus.file_names import THUMBNAILS
from core.campus.gallery import nearest_neighbours
from core.campus.thumbnails import THUMBNAIL_PX, Thumbnails
from core.io.files import write_atomically
from core.locate.localizer import DEMO_BUNDLE, Localizer
from core.photo.load import load_photo
from train.demo.layout import demo_world
from train.demo.render import render_shots, renderers
from train.demo.sessions import plan_shots, session_named

DOCS = ROOT / "docs"
PHONE, SMALL, LANDSCAPE, DESKTOP = (390, 844), (320, 568), (844, 390), (1280, 800)
SAMPLE = "samples/test-walk-IMG_00121.jpg"
STANDPOINT = [f"samples/test-walk-IMG_000{number}.jpg" for number in (43, 41, 42, 44)]
COLOURS = 160  # of a picture: a tenth of its bytes, and nothing that one sees
GAP_PX = 16
COLLECT, REVIEW = "phone/collect.png", "review.png"
BESIDE_PX = (4, 36)  # of the answer, on the map of "No, I am here": where the photo was taken

State = Callable[[Any], None]


@dataclass(frozen=True)
class Picture:
    """What a picture shows: one state of the page, or several side by side."""

    name: str
    size: tuple[int, int]
    states: Sequence[State]
    lang: str = "en"
    dark: bool = False
    with_thumbnails: bool = False


@dataclass(frozen=True)
class States:
    """The states of the page that are shown: `sample`: which of the strip is tapped; `photos`: of one standpoint."""

    sample: int
    photos: list[dict[str, Any]]

    def answer(self, page: Any) -> None:
        page.locator(".strip button").nth(self.sample).click()
        page.locator("section.answer").wait_for()

    def together(self, page: Any) -> None:
        page.locator(".st-key-gallery input[type=file]").set_input_files(self.photos)
        page.locator("p.together").first.wait_for()
        page.locator("img.played").nth(len(self.photos) - 1).wait_for()
        page.locator("[data-testid=stMain]").evaluate("main => main.scrollTo(0, 330)")

    def alone(self, page: Any) -> None:
        page.locator(".st-key-gallery input[type=file]").set_input_files(self.photos[0])
        page.locator("section.answer").wait_for()

    def together_on_map(self, page: Any) -> None:
        self.together(page)
        page.locator("[data-testid=stMain]").evaluate("main => main.scrollTo(0, 0)")

    def correct(self, page: Any) -> None:
        self.alone(page)
        page.locator(".st-key-not_here button").click()
        ground = page.locator(".correct svg")
        ground.wait_for()
        page.locator(".st-key-correction").evaluate("place => place.scrollIntoView()")
        page.wait_for_timeout(500)
        box = ground.bounding_box()
        ground.click(position={"x": box["width"] / 2 + BESIDE_PX[0], "y": box["height"] / 2 + BESIDE_PX[1]})

    def alike(self, page: Any) -> None:
        self.answer(page)
        page.locator(".alike img").nth(1).wait_for()
        page.locator("[data-testid=stMain]").evaluate("main => main.scrollTo(0, 330)")

    def log(self, page: Any) -> None:
        self.together(page)
        self.answer(page)
        page.locator(".st-key-nav button").nth(1).click()
        page.locator(".logged").nth(1).wait_for()
        page.locator("[data-testid=stMain]").evaluate("main => main.scrollTo(0, 430)")


def pictures_of(states: States) -> list[Picture]:
    return [
        Picture("phone/start.png", PHONE, [lambda _: None]),
        Picture("phone.png", PHONE, [states.answer]),
        Picture("burst.png", PHONE, [states.alone, states.together_on_map]),
        Picture("phone/sheet.png", PHONE, [states.together]),
        Picture("phone/correct.png", PHONE, [states.correct]),
        Picture("phone/hebrew.png", PHONE, [states.answer], "he", dark=True),
        Picture("phone/log.png", PHONE, [states.log]),
        Picture("phone/small.png", SMALL, [states.answer]),
        Picture("phone/landscape.png", LANDSCAPE, [states.answer]),
        Picture("phone/alike.png", PHONE, [states.alike], with_thumbnails=True),
        Picture("desktop.png", DESKTOP, [states.answer]),
    ]


def main() -> int:
    from playwright.sync_api import sync_playwright

    localizer = Localizer.load(DEMO_BUNDLE)
    photos = [{"name": Path(n).name, "mimeType": "image/jpeg", "buffer": localizer.bundle.read(n)} for n in STANDPOINT]
    pictures = pictures_of(States(localizer.bundle.samples.index(SAMPLE), photos))
    with ExitStack() as stack:
        driver = stack.enter_context(sync_playwright())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        browser = launch(driver.chromium)
        url = stack.enter_context(plain())
        wanted = sys.argv[1:] or [*(picture.name for picture in pictures), COLLECT, REVIEW]
        for picture in [picture for picture in pictures if picture.name in wanted]:
            served = stack.enter_context(plain(thumbnailed(localizer, folder))) if picture.with_thumbnails else url
            keep(picture.name, side_by_side([screenshot(browser, served, picture, shown) for shown in picture.states]))
        if COLLECT in wanted or REVIEW in wanted:
            for name, image in collected(browser, localizer, photos, folder):
                keep(name, image)
        browser.close()
    return 0


def keep(name: str, image: Image.Image) -> None:
    """Write a picture into docs/, and say how large it is."""
    out = io.BytesIO()
    image.quantize(COLOURS).save(out, "PNG", optimize=True)
    write_atomically(DOCS / name, out.getvalue())
    print(f"{DOCS / name}: {len(out.getvalue()) / 1000:.0f} kB", flush=True)


def collected(
    browser: Any, localizer: Localizer, photos: list[dict[str, Any]], folder: Path
) -> Iterator[tuple[str, Image.Image]]:
    """Collect with three photos of a standpoint taken and sent, and Review with these and one more."""
    capture = load_photo(photos[0]["buffer"]).capture
    here = {"latitude": capture.lat_deg, "longitude": capture.lon_deg, "accuracy": 14}
    served = start(folder / "keys", localizer.bundle.path, "--inbox", str(folder / "inbox"))
    try:
        context = browser.new_context(
            viewport={"width": PHONE[0], "height": PHONE[1]}, is_mobile=True, has_touch=True, ignore_https_errors=True,
            permissions=["geolocation"], geolocation=here,
        )  # fmt: skip
        page = context.new_page()
        page.goto(f"{served.home}/collect?lang=en&key={served.key}")
        page.get_by_text("GPS ± 14 m").wait_for()
        for number, photo in enumerate(photos):
            if number == len(photos) - 1:
                yield COLLECT, taken(page)
            page.locator("#file").set_input_files(photo)
            page.wait_for_function("before => records.length > before", arg=number)
            if page.locator("#keep").is_visible():  # asked whether one that looks blurred may stay
                page.locator("#keep").click()
            page.get_by_text(f"0 waiting · {number + 1} sent").wait_for()
        page.set_viewport_size({"width": DESKTOP[0], "height": DESKTOP[1]})
        page.goto(f"{served.home}/review?lang=en")
        page.locator("img").nth(len(photos) - 1).wait_for()
        yield REVIEW, taken(page)
        context.close()
    finally:
        served.stop()


def thumbnailed(localizer: Localizer, folder: Path) -> Path:
    """The demo campus with SAMPLE's most alike training photo, rendered anew, as all of its thumbnails.

    The shipped one has none. Raises MissingDependency where mitsuba is absent.
    """
    bundle, world = localizer.bundle, demo_world()
    reading = localizer.read(load_photo(bundle.read(SAMPLE)))
    assert bundle.gallery is not None
    assert reading.heads.embedding is not None
    row = int(nearest_neighbours(reading.heads.embedding, bundle.gallery, 1)[0][0, 0])
    training = [shot for shot in plan_shots(world, seed=1) if session_named(shot.session).split == "train"]
    shot = sorted(training, key=lambda shot: (shot.session, shot.name))[row]  # in the order of a dataset
    with renderers(1) as pool:
        (path,) = render_shots([shot], world, folder / "photos", pool, progress=False)
    image = Image.open(path)
    image.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    small = io.BytesIO()
    image.save(small, "JPEG")
    files = {name: bundle.read(name) for name in bundle.manifest.files}
    thumbnails = Thumbnails.of([small.getvalue()] * len(training))
    return save_bundle(folder / "bundle", bundle.manifest, files | {THUMBNAILS: thumbnails.file()}).path


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
    image = taken(page)
    context.close()
    return image


def taken(page: Any) -> Image.Image:
    """What the page shows once all of it is drawn."""
    page.wait_for_timeout(4000)  # a map's last frames
    return Image.open(io.BytesIO(page.screenshot())).convert("RGB")


def side_by_side(screens: Sequence[Image.Image]) -> Image.Image:
    """Screens of one size in one picture, white between them."""
    width, height = screens[0].size
    whole = Image.new("RGB", (len(screens) * (width + GAP_PX) - GAP_PX, height), "white")
    for number, screen in enumerate(screens):
        whole.paste(screen, (number * (width + GAP_PX), 0))
    return whole


if __name__ == "__main__":
    raise SystemExit(main())
