"""The app in a real browser, with all network beyond this machine blocked."""

from __future__ import annotations

import pytest

from tests.app.harness import DESKTOP, PHONE, Open, Visit

pytestmark = pytest.mark.slow

LOOKS = [
    pytest.param(size, dark, lang, id=f"{size[0]}-{'dark' if dark else 'light'}-{lang}")
    for size in (PHONE, DESKTOP)
    for dark in (False, True)
    for lang in ("en", "he")
]
SAMPLES = {"en": "Samples", "he": "דוגמאות"}
GALLERY = {"en": "Gallery", "he": "גלריה"}


def upload(seen: Visit, data: bytes, name: str = "photo.jpg", kind: str = "image/jpeg", lang: str = "en") -> None:
    seen.page.get_by_role("radio", name=GALLERY[lang]).click()
    field = seen.page.locator("[data-testid=stFileUploaderDropzoneInput]")
    field.wait_for(state="attached")
    field.set_input_files({"name": name, "mimeType": kind, "buffer": data})


@pytest.mark.parametrize(("size", "dark", "lang"), LOOKS)
def test_a_sample_gives_a_place_and_a_map(visit: Open, size: tuple[int, int], dark: bool, lang: str) -> None:
    seen = visit(size, dark, lang)
    name = f"{size[0]}-{'dark' if dark else 'light'}-{lang}"
    page = seen.page
    page.locator(".camera .take").wait_for()
    seen.screenshot(f"{name}-start")
    assert page.evaluate("document.documentElement.dir") == ("rtl" if lang == "he" else "ltr")
    page.get_by_role("radio", name=SAMPLES[lang]).click()
    page.locator(".strip button").nth(1).click()
    answer = page.locator("section.answer")
    answer.wait_for()
    assert "Library" in answer.inner_text()
    seen.map_drawn()
    seen.screenshot(f"{name}-answer")
    # On a phone the map's height leaves room to scroll, and nothing is wider than the screen.
    assert page.locator("[data-testid=stDeckGlJsonChart]").bounding_box()["height"] <= 400
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    seen.clean()
