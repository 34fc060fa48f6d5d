"""The app as it ships, with the demo campus, in a real browser; its screenshots are the README's pictures."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.app_pictures import SAMPLE as PICTURED
from benchmarks.app_pictures import STANDPOINT
from core.campus.frame import distance_m
from core.locate.confidence import confidence
from core.locate.fix import Fix
from core.locate.localizer import DEMO_BUNDLE, Localizer
from core.photo.capture import Capture
from core.photo.load import load_photo
from tests import REPOSITORY, chromium
from tests.app.harness import CAMERA, DESKTOP, PHONE, Open, Server, Visit, start_app

pytestmark = pytest.mark.slow
README = REPOSITORY / "README.md"
SAMPLE = "samples/test-evening-IMG_00263.jpg"
FILMING = """[...document.querySelectorAll('*')].some(e => e.shadowRoot?.querySelector('video')?.currentTime > 0.5)"""

_TAP_BOTH = """([names, apart_ms]) => {
  const buttons = () => [...document.querySelectorAll(".st-key-in_play *")]
    .flatMap(element => [...(element.shadowRoot?.querySelectorAll("button") ?? [])]);
  const tap = name => { // while the row is drawn anew there is nothing under the finger for a moment
    const button = buttons().find(button => button.ariaLabel === name);
    button ? button.click() : requestAnimationFrame(() => tap(name));
  };
  tap(names[0]);
  apart_ms ? setTimeout(() => tap(names[1]), apart_ms) : tap(names[1]);
}"""


@pytest.fixture(scope="module")
def demo() -> Iterator[Server]:
    running = start_app({"CAMPUS_BUNDLE": ""})
    yield running
    running.stop()


@pytest.mark.parametrize(("size", "name"), [(PHONE, "demo-phone"), (DESKTOP, "demo-desktop")], ids=["phone", "desktop"])
def test_a_sample_of_the_demo_campus_gives_its_fix_on_the_map(
    visit: Open, demo: Server, localizer: Localizer, size: tuple[int, int], name: str
) -> None:
    fix = localizer.locate(localizer.bundle.read(SAMPLE))
    seen = visit(size, url=demo.url)
    page = seen.page
    seen.rests()
    assert "rendered" in page.locator("body").inner_text()
    seen.sample(localizer.bundle.samples.index(SAMPLE))
    answer = page.locator("section.answer")
    assert fix.zone.name in answer.inner_text()
    assert f"Probably within {fix.radius68_m:.0f} m" in answer.inner_text()
    seen.map_drawn()
    answer.scroll_into_view_if_needed()
    seen.screenshot(name)
    seen.clean()


def test_turning_at_one_place_of_the_demo_shrinks_the_circle_and_a_photo_less_grows_it(
    visit: Open, demo: Server, localizer: Localizer, tmp_path: Path
) -> None:
    photos = [tmp_path / Path(name).name for name in STANDPOINT]
    for name, photo in zip(STANDPOINT, photos, strict=True):
        photo.write_bytes(localizer.bundle.read(name))
    seen = visit(PHONE, url=demo.url)
    page = seen.page
    seen.upload(photos[0].read_bytes())
    page.locator("p.radius").wait_for()
    seen.map_drawn()
    seen.screenshot("demo-one-photo")
    radii_m = [_radius_m(page)]
    for count, photo in enumerate(photos[1:], start=2):
        page.locator(".camera.another .file").set_input_files(photo)
        page.get_by_text(f"{count} photos:").wait_for()
        seen.rests()
        radii_m.append(_radius_m(page))
    assert radii_m[-1] < radii_m[0]
    seen.map_drawn()
    seen.screenshot("demo-four-photos")
    page.get_by_role("button", name="Remove photo 4").click()
    page.get_by_text("3 photos:").wait_for()
    seen.rests()
    page.get_by_role("button", name="Remove photo 3").click()
    page.get_by_text("2 photos:").wait_for()
    seen.rests()
    page.get_by_role("button", name="Remove photo 2").click()
    page.get_by_text("2 photos:").wait_for(state="detached")
    seen.rests()
    assert _radius_m(page) == radii_m[0]
    seen.clean()


def test_a_photo_that_is_taken_while_the_one_before_is_on_its_way_comes_after_it(
    visit: Open, demo: Server, localizer: Localizer
) -> None:
    first, *others = (
        {"name": Path(name).name, "mimeType": "image/jpeg", "buffer": localizer.bundle.read(name)}
        for name in STANDPOINT
    )
    seen = visit(PHONE, url=demo.url)
    page = seen.page
    seen.rests()
    page.locator(CAMERA).set_input_files(first)
    another = page.locator(".camera.another .file")
    another.wait_for(state="attached")
    for photo in others:
        another.set_input_files(photo)
    page.get_by_text("4 photos:").wait_for()


def test_no_tap_is_lost_to_the_one_after_it(visit: Open, demo: Server, localizer: Localizer) -> None:
    """Whether the second comes before the first has reached the server, while it is answered, or once it was."""
    photos = [
        {"name": Path(name).name, "mimeType": "image/jpeg", "buffer": localizer.bundle.read(name)}
        for name in STANDPOINT
    ]
    seen = visit(PHONE, url=demo.url)
    page = seen.page
    for apart_ms in (0, 3, 8, 15, 25, 25, 90):
        seen.upload(*photos)
        page.get_by_role("button", name="Remove photo 4").wait_for()
        page.evaluate(_TAP_BOTH, [["Remove photo 4", "Remove photo 3"], apart_ms])
        page.get_by_text("2 photos:").wait_for()
        seen.rests()
        page.get_by_role("button", name="Start anew").click()
        page.locator("section.answer").wait_for(state="detached")
    seen.clean()


def test_a_finger_that_is_down_while_the_row_is_drawn_anew_counts(
    visit: Open, demo: Server, localizer: Localizer
) -> None:
    seen = visit(DESKTOP, url=demo.url)
    page = seen.page
    seen.upload(*(localizer.bundle.read(name) for name in STANDPOINT))
    other = page.get_by_role("button", name="Remove photo 3")
    other.scroll_into_view_if_needed()
    other.hover()
    page.mouse.down()
    page.get_by_role("button", name="Remove photo 4").evaluate("button => button.click()")
    page.get_by_role("button", name="Remove photo 4").wait_for(state="detached")
    page.mouse.up()
    page.get_by_text("2 photos:").wait_for()
    seen.clean()


def _radius_m(page: Any) -> int:
    """The 68 % radius that the answer tells."""
    return int(re.findall(r"(\d+) m", page.locator("p.radius").text_content())[0])


@pytest.fixture(scope="module")
def localizer() -> Localizer:
    return Localizer.load(DEMO_BUNDLE)


@pytest.fixture(scope="module")
def sample(localizer: Localizer) -> tuple[bytes, Capture, float]:
    """The demo's best located sample, what its camera recorded, and how far (m) from its true place the fix lies."""
    found = []
    for name in localizer.bundle.samples:
        data = localizer.bundle.read(name)
        capture, fix = load_photo(data).capture, localizer.locate(data)
        if confidence(fix) == "good":
            found.append((data, capture, metres_off(fix, capture)))
    return min(found, key=lambda photo: photo[2])


def metres_off(fix: Fix, capture: Capture) -> float:
    assert capture.lat_deg is not None
    assert capture.lon_deg is not None
    return float(distance_m(fix.lat, fix.lon, capture.lat_deg, capture.lon_deg))


def shown_metres(seen: Visit, source: str) -> float:
    """How far from the true place the page says that its answer is, once its map is drawn."""
    answer = seen.page.locator("section.answer")
    answer.wait_for()
    seen.map_drawn()
    told = re.search(r"([\d.]+) m from the " + source, answer.inner_text())
    assert told, answer.inner_text()
    return float(told[1])


def test_a_photo_from_the_phones_own_camera_is_placed_where_it_was_taken(
    visit: Open, demo: Server, sample: tuple[bytes, Capture, float]
) -> None:
    """The big button: the page shrinks the photo and sends its EXIF beside it, and the answer is as near as without."""
    data, _, off_m = sample
    seen = visit(url=demo.url)
    seen.rests()
    seen.page.locator(CAMERA).set_input_files({"name": "a.jpg", "mimeType": "image/jpeg", "buffer": data})
    assert shown_metres(seen, "photo's own GPS") == pytest.approx(off_m, abs=6)
    seen.clean()


@pytest.fixture
def filming(browser: Any, sample: tuple[bytes, Capture, float], tmp_path: Path) -> Iterator[Any]:
    """A browser whose camera films the sample photo."""
    if shutil.which("ffmpeg") is None:
        pytest.skip("no ffmpeg: apt-get install ffmpeg")
    (tmp_path / "p.jpg").write_bytes(sample[0])
    command = "ffmpeg -loglevel error -loop 1 -i p.jpg -t 1 -r 15 -c:v mjpeg -q:v 2 camera.mjpeg"
    subprocess.run(command.split(), cwd=tmp_path, check=True)
    running = chromium.start(browser.browser_type, f"--use-file-for-fake-video-capture={tmp_path / 'camera.mjpeg'}")
    yield running
    running.close()


def test_what_the_live_view_films_is_placed_where_it_stands(
    visit: Open, demo: Server, filming: Any, sample: tuple[bytes, Capture, float]
) -> None:
    """The phone stands where the filmed photo was taken, so its GPS tells how near the answer is."""
    _, capture, off_m = sample
    seen = visit(url=demo.url, browser=filming, at=(capture.lat_deg, capture.lon_deg))
    page = seen.page
    seen.rests()
    page.get_by_text("Compare with this phone's GPS").click()
    seen.rests()
    page.locator(".camera .live").click()
    page.wait_for_function(FILMING)
    seen.screenshot("live-view-demo")
    page.locator(".camera .snap").click()
    assert shown_metres(seen, "phone's GPS") == pytest.approx(off_m, abs=10)
    seen.clean()


def test_the_demo_s_samples_carry_their_true_place(localizer: Localizer) -> None:
    for name in localizer.bundle.samples:
        assert load_photo(localizer.bundle.read(name)).capture.has_position
    assert 12 <= len(localizer.bundle.samples) <= 24
    assert localizer.bundle.manifest.rendered
    size = sum(file.stat().st_size for file in Path(DEMO_BUNDLE).rglob("*") if file.is_file())
    assert size < 45e6


def test_the_readme_s_pictures_are_of_an_answer_inside_its_circle(localizer: Localizer) -> None:
    photo = localizer.bundle.read(PICTURED)
    capture, fix = load_photo(photo).capture, localizer.locate(photo)
    assert capture.lat_deg is not None
    assert capture.lon_deg is not None
    assert fix.radius68_m is not None
    assert distance_m(fix.lat, fix.lon, capture.lat_deg, capture.lon_deg) < fix.radius68_m
    assert confidence(fix) == "good"


def test_the_readme_s_caption_tells_the_circles_of_its_burst(localizer: Localizer) -> None:
    photos = [localizer.bundle.read(name) for name in STANDPOINT]
    alone_m, together_m = localizer.locate(photos[0]).radius68_m, localizer.locate_together(photos).radius68_m
    caption = re.search(r"One photo: within (\d+) m\. Four photos .+: within (\d+) m", README.read_text("utf-8"))
    assert caption
    assert alone_m is not None
    assert together_m is not None
    assert [int(metres) for metres in caption.groups()] == [round(alone_m), round(together_m)]
