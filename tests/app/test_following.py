"""Live fixes in a real browser, whose camera films a walk: the dot moves, and stops when it should."""

from __future__ import annotations

import base64
import io
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from app.map.shapes import LIGHT
from app.widgets import FRAME_PX
from tests import chromium
from tests.app.harness import PHONE, Open, Visit
from tests.bundles import photo

pytestmark = pytest.mark.slow
EACH_S = 6  # seconds that the camera looks at one place
# Metres east of the middle: out and back, a minute and a half, since what was seen a moment ago is little news.
WALKED_M = [*range(-52, 45, 12), *range(32, -41, -12)]


@pytest.fixture(scope="module")
def walking(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A browser whose camera films one place after the other, over and over."""
    if shutil.which("ffmpeg") is None:
        pytest.skip("no ffmpeg: apt-get install ffmpeg")
    folder = tmp_path_factory.mktemp("walk")
    for number, east in enumerate(WALKED_M):
        (folder / f"{number}.jpg").write_bytes(photo(east_m=east, north_m=60, size=(1280, 720), view=number + 1))
    command = f"ffmpeg -loglevel error -framerate 1/{EACH_S} -i %d.jpg -r 10 -c:v mjpeg -q:v 2 walk.mjpeg"
    subprocess.run(command.split(), cwd=folder, check=True)
    running = chromium.start(browser.browser_type, f"--use-file-for-fake-video-capture={folder / 'walk.mjpeg'}")
    yield running
    running.close()


class Frames:
    """The live frames that a page sends."""

    def __init__(self, page: Any) -> None:
        self.sizes: list[tuple[int, int]] = []
        self.at_s: list[float] = []
        devtools = page.context.new_cdp_session(page)
        devtools.send("Network.enable")
        devtools.on("Network.webSocketFrameSent", self._sent)

    def _sent(self, event: dict[str, Any]) -> None:
        message = base64.b64decode(event["response"]["payloadData"])
        if found := re.search(rb'"frame".*?data:image/jpeg;base64,([A-Za-z0-9+/=]+)', message):
            self.sizes.append(Image.open(io.BytesIO(base64.b64decode(found[1]))).size)
            self.at_s.append(event["timestamp"])


def dot(seen: Visit) -> tuple[float, float] | None:
    """Where the blue dot is on the page, in pixels, as it is seen."""
    picture = Image.open(io.BytesIO(seen.page.locator(".st-key-stage").screenshot())).convert("RGB")
    blue = np.abs(np.asarray(picture, np.int16) - LIGHT.fix).max(axis=2) < 8
    rows, columns = np.nonzero(blue)
    return (float(np.median(columns)), float(np.median(rows))) if len(rows) > 60 else None


def follow(seen: Visit) -> Any:
    """Open the live view and turn the switch on."""
    page = seen.page
    seen.rests()
    page.locator(".camera .live").click()
    switch = page.get_by_role("switch", name="Follow me")
    switch.wait_for()
    assert not switch.is_checked(), "off by default"
    switch.check()
    page.locator("section.answer").wait_for()
    return switch


def test_the_dot_follows_the_camera_until_it_is_switched_off(visit: Open, walking: Any) -> None:
    seen = visit(PHONE, browser=walking)
    page = seen.page
    frames = Frames(page)
    switch = follow(seen)
    places: list[tuple[float, float]] = []

    def followed() -> bool:
        return len(places) >= 4 and np.ptp([x for x, _ in places]) >= 12 and len(frames.at_s) >= 6

    until = time.monotonic() + 180  # the walk comes round twice; a busy machine answers few of its frames
    while time.monotonic() < until and not followed():
        page.wait_for_timeout(1000)
        if (at := dot(seen)) is not None:
            places.append(at)
    seen.screenshot("following")
    assert np.ptp([x for x, _ in places]) >= 12, places
    assert {max(size) for size in frames.sizes} == {FRAME_PX}
    # A frame that a stall held back is followed by the next one sooner.
    assert np.median(np.diff(frames.at_s[1:])) >= 0.9, "no more than one a second"
    assert page.locator(".st-key-bar").bounding_box()["height"] < 300, "the map is in view"
    switch.uncheck()
    seen.rests()  # the last frame has been answered
    sent = len(frames.sizes)
    page.wait_for_timeout(2500)
    assert len(frames.sizes) == sent
    seen.turn_to(1)
    page.locator(".logged").first.wait_for()
    assert page.locator(".logged").count() < sent, "a line each ten metres, not each second"
    seen.clean()


def test_a_page_that_nobody_sees_films_nothing(visit: Open, walking: Any) -> None:
    seen = visit(PHONE, browser=walking)
    page = seen.page
    frames = Frames(page)
    follow(seen)
    page.evaluate("Object.defineProperty(document, 'hidden', { value: true })")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    seen.rests()  # the last frame has been answered
    sent = len(frames.sizes)
    page.wait_for_timeout(2500)
    assert len(frames.sizes) == sent
    expect(page.locator(".camera:not(.another) video")).to_be_hidden()
    expect(page.get_by_role("switch", name="Follow me")).to_have_count(0)


def test_over_plain_http_there_is_no_live_view(visit: Open, walking: Any) -> None:
    seen = visit(PHONE, browser=walking)
    seen.page.add_init_script("Object.defineProperty(window, 'isSecureContext', { value: false })")
    seen.page.reload()
    seen.page.locator(".camera .take").wait_for()
    seen.rests()
    assert seen.page.locator(".camera .live").is_hidden()
