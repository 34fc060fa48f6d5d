"""No English sentence on a Hebrew page, whatever it shows; and the buttons stay readable after a photo."""

from __future__ import annotations

import pytest

from app.words_he import WORDS
from benchmarks.browser import throttle
from tests.app.harness import Open
from tests.bundles import Kind, photo

pytestmark = pytest.mark.slow

# Three Latin words in a row are a sentence; names of places, files and formats are shorter. What the campus itself says
# of itself, and commands to type, are in its own language.
SENTENCES = """() => {
  const found = [], sentence = /[A-Za-z]{2,}(?:[ ,]+[A-Za-z]{2,}){2,}/g;
  const look = (root) => {
    for (const element of root.querySelectorAll("*")) {
      if (element.shadowRoot) look(element.shadowRoot);
      if (element.closest("style, script, code, [dir=auto], noscript") || !element.checkVisibility()) continue;
      const own = [...element.childNodes].filter((node) => node.nodeType === 3).map((node) => node.data);
      const named = ["aria-label", "placeholder", "title", "alt"].map((name) => element.getAttribute(name) ?? "");
      for (const text of [...own, ...named]) found.push(...(text.match(sentence) ?? []));
    }
  };
  look(document.body);
  return found;
}"""
# Names of formats and of an engine.
NO_SENTENCE = {"JPEG, PNG, WebP", "ONNX Runtime FP"}


def test_every_state_of_a_hebrew_page_is_in_hebrew(visit: Open) -> None:
    seen = visit(lang="he")
    page = seen.page
    page.locator(".camera .take").first.wait_for()
    seen.rests()
    said = {"home": page.evaluate(SENTENCES)}
    kinds: tuple[Kind, ...] = ("good", "wide", "split", "elsewhere")
    for kind in kinds:
        seen.upload(photo(kind, east_m=20, north_m=10, at=(47.0006, 8.3993)), name=f"{kind}.jpg")
        page.locator(f"section.answer{'' if kind == 'good' else f'.{kind}'}").wait_for()
        said[kind] = page.evaluate(SENTENCES)
    for name, data in (("damaged", photo()[:500]), ("empty", b""), ("no photo", b"words")):
        seen.upload(data, name=f"{name.replace(' ', '-')}.jpg")
        page.locator("[data-testid=stAlert]").wait_for()
        said[name] = page.evaluate(SENTENCES)
    for number, name in ((1, "log"), (2, "campus")):
        seen.turn_to(number)
        page.locator(".logged" if number == 1 else "dl.facts").first.wait_for()
        if number == 1:
            page.locator("summary").filter(has_text=WORDS["columns"]).click()
            page.locator("dl.columns").wait_for()
        said[name] = page.evaluate(SENTENCES)
    english = {state: set(found) - NO_SENTENCE for state, found in said.items()}
    assert {state: found for state, found in english.items() if found} == {}


# Near-black on blue, as Streamlit colours the button of a gallery that holds a photo.
UNREADABLE = "html .st-key-gallery section button::after { color: #1b1f24 !important; }"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_while_and_after_a_first_upload_the_buttons_are_as_readable_as_before(visit: Open, dark: bool) -> None:
    seen = visit(dark=dark)
    page = seen.page
    button = page.locator(".st-key-gallery section button").last
    button.wait_for()
    devtools = page.context.new_cdp_session(page)
    devtools.send("Network.enable")
    throttle(devtools, 0.001, 400)  # so that the upload lasts until everything has been looked at
    seen.gallery(photo(east_m=-52, north_m=68, size=(4000, 3000)), name="first.jpg")
    page.locator(".st-key-gallery [data-testid=stFileChip]").wait_for(state="attached")
    assert seen.poor_contrast() == []
    style = page.add_style_tag(content=UNREADABLE)
    assert [said.partition(":")[0] for said in seen.poor_contrast()] == ["Gallery"], "words of the style are read"
    style.evaluate("(one) => one.remove()")
    throttle(devtools, 100, 0)
    page.locator("section.answer").wait_for()
    page.locator(".st-key-gallery [data-testid=stFileChip]").wait_for(state="detached")
    seen.rests()
    button.hover()
    assert seen.poor_contrast() == []
    assert "rgb(11, 87, 208)" in button.evaluate("(one) => getComputedStyle(one).backgroundColor")
    seen.clean()


def test_the_keyboard_s_first_stop_skips_to_the_content_in_hebrew(visit: Open) -> None:
    seen = visit(lang="he")
    page = seen.page
    page.locator(".camera .take").first.wait_for()
    seen.rests()
    page.keyboard.press("Tab")
    link = page.locator("[data-testid=stSkipToContent]:focus")
    assert link.inner_text() == WORDS["skip_to_content"]
    seen.screenshot("skip-link-he")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "stMain"
    seen.clean()
