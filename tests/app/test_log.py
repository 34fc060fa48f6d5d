"""The log in a browser: names and notes that the visitor writes, through reloads and restarts of the server."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from app.language import Lang
from app.texts import Texts
from tests.app.harness import CAMERA, DESKTOP, PHONE, SMALL, Open, start_app, two_views
from tests.bundles import photo

pytestmark = pytest.mark.slow
KEPT = "Object.entries(localStorage).filter(([name]) => name.startsWith('campus-gps-log-1/')).map(([, line]) => line)"

# Leaves no room in this browser's storage, to the last letter.
FILL = """() => {
  for (let size = 1 << 22, at = 0; size >= 1; ) {
    try { localStorage.setItem(`other-${at++}`, "x".repeat(size)); } catch { size >>= 1; }
  }
}"""
# Where an element's letters stand, which may be less than its own box.
LETTERS = """(one) => {
  const letters = document.createRange();
  letters.selectNodeContents(one);
  return letters.getBoundingClientRect().toJSON();
}"""
# A day and a time as the browser's own clock has them.
THERE = "(time) => [new Date(time).toLocaleDateString('sv-SE'), new Date(time).toLocaleTimeString('en-GB')]"
TODAY = "new Date().toLocaleDateString('sv-SE')"


def downloaded(page: Any, kind: str, folder: Path) -> str:
    with page.expect_download() as download:
        page.get_by_role("button", name=kind, exact=True).click()
    download.value.save_as(folder / kind)
    return (folder / kind).read_text("utf-8")


@pytest.mark.parametrize("lang", ["en", "he"])
def test_a_name_and_a_note_are_written_kept_and_downloaded_and_a_restart_keeps_them(
    visit: Open, bundle: Path, tmp_path: Path, lang: str
) -> None:
    running = start_app({"CAMPUS_BUNDLE": str(bundle)})
    try:
        seen = visit(url=running.url, lang=lang)
        page = seen.page
        seen.upload(photo(east_m=-52, north_m=68), name="gate.jpg")
        page.locator("section.answer").wait_for()
        seen.turn_to(1)
        page.locator("[class*=st-key-annotate-] button").click()
        page.locator("[class*=st-key-title-] input").fill("שער דרום")
        page.locator("[class*=st-key-note-] textarea").fill("=lamp is broken")
        page.locator("[data-testid=stFormSubmitButton] button").click()
        page.locator(".logged .note").get_by_text("lamp is broken").wait_for()
        seen.rests()
        assert "שער דרום" in page.locator(".logged b").inner_text()
        title, file = (page.locator(f".logged {part}").evaluate(LETTERS) for part in ("b", ".file"))
        side = "right" if lang == "he" else "left"
        assert file[side] == pytest.approx(title[side], abs=2), "lines begin below one another"
        assert seen.poor_contrast() == []
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        seen.screenshot(f"log-note-{lang}")
        page.wait_for_function(f"{KEPT}.some((line) => line.includes('lamp is broken'))")
        running.stop()
        running = start_app({"CAMPUS_BUNDLE": str(bundle)}, port=int(running.url.rsplit(":", 1)[1]))
        page.reload()
        seen.turn_to(1)
        page.locator(".logged .note").get_by_text("lamp is broken").wait_for()
        (row,) = csv.DictReader(io.StringIO(downloaded(page, "CSV", tmp_path)))
        assert (row["photo"], row["name"], row["note"]) == ("gate.jpg", "שער דרום", "'=lamp is broken")
        assert row["zones"].startswith("Library 0.")
        (feature,) = json.loads(downloaded(page, "GeoJSON", tmp_path))["features"]
        assert (feature["properties"]["name"], feature["properties"]["note"]) == ("שער דרום", "=lamp is broken")
        gpx = downloaded(page, "GPX", tmp_path)
        assert "<name>שער דרום</name>" in gpx
        assert "<desc>=lamp is broken, " in gpx
    finally:
        running.stop()


def test_a_log_that_is_cleared_on_a_first_visit_stays_empty(visit: Open) -> None:
    seen = visit()
    page = seen.page
    seen.upload(photo(east_m=-52, north_m=68))
    page.locator("section.answer").wait_for()
    page.wait_for_function(f"{KEPT}.length === 1")
    seen.turn_to(1)
    page.locator(".logged").wait_for()
    page.get_by_role("button", name="Clear the log").click()
    page.get_by_role("button", name="Clear all lines").click()
    page.locator(".logged").wait_for(state="detached")
    page.wait_for_function(f"{KEPT}.length === 0")
    page.wait_for_timeout(2500)  # longer than what is kept takes to be told again
    assert page.locator(".logged").count() == 0
    seen.clean()


@pytest.mark.parametrize("lang", ["en", "he"])
def test_a_browser_whose_storage_is_full_says_so(visit: Open, lang: Lang) -> None:
    seen = visit(lang=lang)
    page = seen.page
    page.evaluate(FILL)
    seen.upload(photo(east_m=-52, north_m=68))
    page.locator("section.answer").wait_for()
    seen.turn_to(1)
    said = page.get_by_text(Texts(lang)["log_not_kept"])
    said.wait_for()
    expect(page.locator(".logged")).to_have_count(1)
    seen.rests()
    assert seen.poor_contrast() == []
    seen.screenshot(f"log-full-{lang}")
    page.evaluate("localStorage.clear()")
    page.get_by_role("button", name=Texts(lang)["annotate"]).click()
    said.wait_for(state="detached")
    page.wait_for_function(f"{KEPT}.length === 1")
    seen.clean()


def test_photos_of_a_standpoint_are_one_line_on_a_first_visit_too(visit: Open) -> None:
    seen = visit()
    page = seen.page
    views = [{"name": f"{n}.png", "mimeType": "image/png", "buffer": data} for n, data in enumerate(two_views(-52, 68))]
    seen.rests()
    page.locator(CAMERA).set_input_files(views[0])
    page.locator("section.answer").wait_for()
    page.wait_for_function(f"{KEPT}.length === 1")
    another = page.locator(".camera.another .file")
    another.wait_for(state="attached")
    seen.rests()  # a photo given to a button that is being drawn anew is lost with it
    another.set_input_files(views[1])
    page.get_by_text("2 photos:").wait_for()
    page.wait_for_timeout(2500)
    seen.turn_to(1)
    expect(page.locator(".logged")).to_have_count(1)
    seen.clean()


@pytest.mark.parametrize(
    ("size", "lang", "zone"),
    [(PHONE, "he", "Asia/Kathmandu"), (DESKTOP, "en", "America/St_Johns")],
    ids=["kathmandu", "st-johns"],
)
def test_the_log_tells_the_visitors_own_time_and_its_downloads_utc(
    visit: Open, tmp_path: Path, size: tuple[int, int], lang: str, zone: str
) -> None:
    seen = visit(size, lang=lang, zone=zone)
    page = seen.page
    seen.upload(photo(east_m=-52, north_m=68), name="gate.jpg")
    page.locator("section.answer").wait_for()
    today = [page.evaluate(TODAY)]
    seen.turn_to(1)
    shown = page.locator(".logged time").inner_text()
    today.append(page.evaluate(TODAY))
    seen.screenshot(f"log-time-{size[0]}-{lang}")
    (row,) = csv.DictReader(io.StringIO(downloaded(page, "CSV", tmp_path)))
    day, time = page.evaluate(THERE, row["time_utc"])
    assert shown.split() in [[time] if day == one else [day, time] for one in today], "a midnight may have passed"
    (feature,) = json.loads(downloaded(page, "GeoJSON", tmp_path))["features"]
    assert feature["properties"]["time_utc"] == row["time_utc"]
    assert f"<time>{row['time_utc']}</time>" in downloaded(page, "GPX", tmp_path)
    seen.clean()


@pytest.mark.parametrize(("size", "lang"), [(PHONE, "he"), (DESKTOP, "en")])
def test_file_names_of_several_photos_are_told_apart(
    visit: Open, tmp_path: Path, size: tuple[int, int], lang: str
) -> None:
    seen = visit(size, lang=lang)
    page = seen.page
    names, views = ["Photo 1.png", "Photo 2.png"], two_views(-52, 68)
    seen.upload(
        *({"name": name, "mimeType": "image/png", "buffer": view} for name, view in zip(names, views, strict=True))
    )
    page.locator("section.answer").wait_for()
    seen.turn_to(1)
    assert page.locator(".logged .file").inner_text() == "Photo 1.png, Photo 2.png"
    seen.screenshot(f"log-several-{size[0]}-{lang}")
    (row,) = csv.DictReader(io.StringIO(downloaded(page, "CSV", tmp_path)))
    assert row["photo"] == "Photo 1.png, Photo 2.png"
    (feature,) = json.loads(downloaded(page, "GeoJSON", tmp_path))["features"]
    assert feature["properties"]["photo"] == row["photo"]
    assert ", Photo 1.png, Photo 2.png</desc>" in downloaded(page, "GPX", tmp_path)
    seen.clean()


@pytest.mark.parametrize("lang", ["en", "he"])
def test_a_long_file_name_stays_in_its_line_and_is_whole_in_the_downloads(
    visit: Open, tmp_path: Path, lang: str
) -> None:
    seen = visit(SMALL, lang=lang)
    page = seen.page
    name = f"{'WhatsApp-Image-2026-11-28-at-18-33-07-' * 2}.jpg"
    seen.upload(photo(east_m=-52, north_m=68), name=name)
    page.locator("section.answer").wait_for()
    seen.turn_to(1)
    line = page.locator(".logged .file")
    line.wait_for()
    assert line.text_content() == name
    assert line.evaluate("(one) => one.scrollWidth > one.clientWidth"), "it is longer than its line"
    assert line.evaluate("(one) => getComputedStyle(one).textOverflow") == "ellipsis"
    box, button = line.bounding_box(), page.locator("[class*=st-key-annotate-] button").bounding_box()
    assert box["height"] < 30, "one line"
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= SMALL[0]
    beside = box["x"] + box["width"] <= button["x"] or button["x"] + button["width"] <= box["x"]
    assert beside, "it lies under no button"
    assert page.evaluate("document.documentElement.scrollWidth") <= SMALL[0]
    (row,) = csv.DictReader(io.StringIO(downloaded(page, "CSV", tmp_path)))
    assert row["photo"] == name
    seen.screenshot(f"log-long-{lang}")
    seen.clean()
