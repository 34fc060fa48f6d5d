"""What the app's tests share: a running app, visits to it with a browser or Streamlit's driver, and located photos."""

from __future__ import annotations

import base64
import io
import json
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

import numpy as np
from PIL import Image
from streamlit.testing.v1 import AppTest

from app.map.deck import Place
from app.sighting import Sighting
from app.standpoint import read, sighted
from benchmarks.serving import start_plain
from core.locate.fix import Candidate, Fix, ZoneOdds
from core.locate.localizer import Localizer
from tests import REPOSITORY
from tests.app.page_scripts import COME_TO_REST, PATIENT, POOR_CONTRAST, RESTS, SOME_FRAMES, STILL, WATCH_RUNS
from tests.bundles import photo

SCREENSHOTS = REPOSITORY / "screenshots"
RUN_S = 600  # for a run of the app by Streamlit's driver: no test asks how fast it is
GALLERY, CAMERA = ".st-key-gallery input[type=file]", ".st-key-camera .file[aria-label]"  # named by its own script
PHONE, SMALL, LANDSCAPE, DESKTOP = (390, 844), (320, 568), (844, 390), (1280, 800)


@dataclass
class Server:
    """A running app."""

    url: str
    process: subprocess.Popen[bytes] = field(repr=False)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(90)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let the app do nothing meanwhile: what the page says while it waits stays until a test has looked."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    @contextmanager
    def held_at(self, page: Any, selector: str) -> Iterator[None]:
        """Let the app go on in steps that the page has time to draw, and hold it once something is on the page."""
        while True:
            with self.held():
                page.evaluate(SOME_FRAMES)
                if page.locator(selector).count():
                    yield
                    return
            time.sleep(0.05)


def start_app(environment: dict[str, str], port: int | None = None) -> Server:
    """Start the app on a port of this machine (None: a free one) and wait until it answers."""
    return Server(*start_plain(environment, port))


@dataclass
class Visit:
    """A page that is open, and what went wrong on it: requests that left this machine, and console errors."""

    page: Any
    outside: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.add_init_script(WATCH_RUNS + PATIENT)

    def clean(self) -> None:
        """Assert that nothing left this machine and nothing of ours failed."""
        assert self.outside == []
        assert self.errors == []
        assert self.page.locator("[data-testid=stException]").count() == 0

    def rests(self) -> None:
        """Wait until nothing more is to be drawn: the page's code has come, and no run is asked for or on its way.

        Until then a part of the page may be there twice, move under a tap, or take a file that is lost with it.
        """
        # A tap is sent by a timer, which a browser that is busy with drawing holds back for any number of frames.
        self.page.evaluate("new Promise((sent) => setTimeout(sent))")
        self.page.wait_for_function(RESTS, arg=self.page.evaluate_handle("({ frames: 0 })"))

    def gallery(self, *photos: bytes | dict[str, Any], name: str = "photo.jpg", kind: str = "image/jpeg") -> None:
        """Give the gallery's field photos, as bytes or as Playwright has files, and do not wait for their answer."""
        self.rests()
        self._choose(*photos, name=name, kind=kind)

    def _choose(self, *photos: bytes | dict[str, Any], name: str, kind: str) -> None:
        files = [{"name": name, "mimeType": kind, "buffer": one} if isinstance(one, bytes) else one for one in photos]
        self.page.locator(GALLERY).set_input_files(files)

    def upload(self, *photos: bytes | dict[str, Any], name: str = "photo.jpg", kind: str = "image/jpeg") -> None:
        """As `gallery`, and wait until the page has drawn all that it says of them."""
        self.rests()
        field = self.page.locator("[class*=st-key-upload-]")
        turn = re.search(r"st-key-(upload-\d+)", field.get_attribute("class"))
        assert turn
        self._choose(*photos, name=name, kind=kind)
        self.page.locator(f".st-key-{turn[1]}").wait_for(state="detached")  # another one is there once they were read
        self.rests()

    def sample(self, number: int) -> None:
        """Tap the campus's sample of this number, and wait until its answer is drawn."""
        self.rests()
        self.page.locator(".strip button").nth(number).click()
        self.page.locator("section.answer").wait_for()
        self.rests()

    def turn_to(self, number: int) -> None:
        """Turn to the page of this number: to locate, the log, the campus."""
        self.rests()
        self.page.locator(".st-key-nav button").nth(number).click()
        self.rests()

    def map_still(self) -> None:
        """Wait until the map is whole and has not moved for some frames."""
        self.page.wait_for_function(STILL, arg=self.page.evaluate_handle("({ frames: 0, at: '' })"))

    def map_drawn(self) -> None:
        """Wait until the map itself is drawn, not the still picture under it, in more than a few colours, and rests."""
        self.rests()
        self.page.wait_for_function("document.documentElement.classList.contains('campus-map-drawn')")
        self.map_still()
        the_map = self.page.locator("[data-testid=stDeckGlJsonChart]")
        the_map.locator("canvas").first.wait_for()
        until = time.monotonic() + 60
        while len(Image.open(io.BytesIO(the_map.screenshot())).convert("RGB").getcolors(1 << 20) or []) <= 50:
            assert time.monotonic() < until, "the map stays empty"
            self.page.wait_for_timeout(100)

    def poor_contrast(self) -> list[str]:
        """Texts in view that stand out from the ground behind them by less than WCAG's AA asks (4.5, large ones 3).

        And switches whose edge, or whose own ground, does by less than 3.
        """
        self.page.evaluate(COME_TO_REST)
        return list(self.page.evaluate(POOR_CONTRAST))

    def screenshot(self, name: str) -> None:
        SCREENSHOTS.mkdir(exist_ok=True)
        self.page.evaluate(COME_TO_REST)
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png")


Point = tuple[float, float]
FINGER_STEPS = 30


class Hand:
    """Fingers on a page's glass."""

    def __init__(self, page: Any) -> None:
        self._page, self._devtools = page, page.context.new_cdp_session(page)
        self._devtools.send("Emulation.setTouchEmulationEnabled", {"enabled": True, "maxTouchPoints": 5})

    def draw(self, *fingers: tuple[Point, Point]) -> None:
        """Move each finger from one point to another, all at once, and no faster than the page looks.

        Steps that come within one frame are one step: a map takes hold where it first sees a finger move.
        """
        for step in range(FINGER_STEPS + 1):
            share = step / FINGER_STEPS
            at = [[start + share * (end - start) for start, end in zip(*finger, strict=True)] for finger in fingers]
            points = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(at)]
            self._devtools.send(
                "Input.dispatchTouchEvent", {"type": "touchMove" if step else "touchStart", "touchPoints": points}
            )
            self._page.evaluate("() => new Promise(requestAnimationFrame)")
        self._devtools.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


# Of each name of a small map whether it is seen, whether a mark lies over the place where it stands, and whether the
# map's edge cuts that.
_NAMES = """(svg) => {
  const map = svg.getBoundingClientRect();
  const marks = [...svg.querySelectorAll("g.mark circle")].map((mark) => mark.getBoundingClientRect());
  return [...svg.querySelectorAll("g.dot:not(.mark)")].map((name) => {
    const { left, right, top, bottom } = name.getBoundingClientRect();
    const meets = right > map.left && left < map.right && bottom > map.top && top < map.bottom;
    const inside = left >= map.left && right <= map.right && top >= map.top && bottom <= map.bottom;
    const under = marks.some((one) => one.right > left && one.left < right && one.bottom > top && one.top < bottom);
    return { seen: name.getAttribute("visibility") !== "hidden", cut: meets && !inside, inside, under };
  });
}"""


def assert_nothing_cuts_a_name_of_a_small_map(svg: Any) -> None:
    """Move the map, a locator of its SVG, by the keyboard over several names."""
    svg.focus()
    svg.press("+")
    left_out = seen = 0
    for key in ["ArrowRight"] * 8 + ["ArrowDown"] * 6 + ["ArrowLeft"] * 12:
        svg.press(key)
        names = svg.evaluate(_NAMES)
        assert [name for name in names if name["seen"] and (name["under"] or not name["inside"])] == [], key
        left_out += sum(name["cut"] for name in names)
        seen += sum(name["seen"] for name in names)
    assert left_out, "the edge met some names"
    assert seen, "others were whole"


Open = Callable[..., Visit]


def locate(localizer: Localizer, data: bytes, *, phone: Place | None = None) -> Sighting:
    """The app's answer to one photo by itself."""
    return sighted(localizer, [read(localizer, data, phone=phone)])


def two_views(east_m: float, north_m: float) -> list[bytes]:
    """Two photos that the test network places 5 m apart and that are no copies: brighter to one side, and below."""
    ramp = np.linspace(-18, 18, 256)[None, :, None] + np.zeros((256, 1, 1))
    out = []
    for aside_m, shade in ((0.0, ramp), (5.0, ramp.transpose(1, 0, 2))):
        striped = Image.open(io.BytesIO(photo(east_m=east_m + aside_m, north_m=north_m))).convert("RGB")
        colour = np.asarray(striped, np.float64).mean(axis=(0, 1))
        buffer = io.BytesIO()
        Image.fromarray(np.clip(colour + shade, 0, 255).round().astype(np.uint8)).save(buffer, "PNG")
        out.append(buffer.getvalue())
    return out


HOSTILE = "=cmd|' /C calc'!A0<script>alert(1)</script>"


def sighting(lat: float = 47.0, truth: Place | None = None, zone: str = "Library") -> Sighting:
    zones, places = (ZoneOdds(0, zone, 0.9),), (Candidate(lat, 8.4, 0.9),)
    fix = Fix(lat, 8.4, 10.0, 25.0, zones, places, True, 0.8, "Testfield", {"network": 5.0})
    at, walked = datetime(2026, 5, 1, 12, 0, tzinfo=timezone.utc), Place(lat, 8.4, 10.0)
    return Sighting(fix, at, "data:image/jpeg;base64,", truth, walked=walked)


Start = Callable[..., AppTest]


def give(app: AppTest, data: bytes, name: str = "photo.jpg", kind: str = "image/jpeg") -> AppTest:
    return give_all(app, [(name, data, kind)])


def give_all(app: AppTest, files: list[tuple[str, bytes, str]]) -> AppTest:
    """Several photos at once from the gallery."""
    app.file_uploader[0].set_value(files).run()
    assert not app.exception
    return app


def html(app: AppTest) -> str:
    """The page's own pieces, without its styles and the map's still picture."""
    parts = [str(part.proto.body) for part in app.get("html")]
    return "".join(part for part in parts if "<style>" not in part and "class='still'" not in part)


def layers(app: AppTest) -> set[str]:
    """What the page's one map draws."""
    (shown,) = maps(app)
    return {layer["id"] for layer in shown["layers"] if not layer["id"].startswith("unseen")}


def heat(app: AppTest) -> bool:
    """Whether a probability lies on the map."""
    (shown,) = maps(app)
    return '"heat"' in base64.b64decode(shown["mapStyle"].partition(",")[2]).decode()


def position(app: AppTest) -> tuple[float, float]:
    """The latitude and longitude that the details tell."""
    lat, lon = re.findall(r"<code>([-\d.]+), ([-\d.]+)</code>", html(app))[0]
    return float(lat), float(lon)


def maps(app: AppTest) -> list[dict[str, Any]]:
    return [json.loads(part.proto.json) for part in app.get("deck_gl_json_chart")]
