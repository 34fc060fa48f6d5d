"""The strip of samples by itself, in a real browser: a finger that is on one stays on it."""

from __future__ import annotations

from typing import Any

import pytest

from tests import REPOSITORY

pytestmark = pytest.mark.slow
# `drawn(chosen, ...names)` draws it; `picked` has the names of what was tapped.
_STRIP = """async (script) => {
  const { default: draw } = await import(URL.createObjectURL(new Blob([script], { type: "text/javascript" })));
  document.body.innerHTML = "<div id=root><div class=strip></div></div>";
  window.picked = [];
  const parentElement = document.getElementById("root"), setTriggerValue = (_, name) => picked.push(name);
  const of = (names) => names.map((name) => ({ name, url: "data:,", label: `Sample ${name}` }));
  window.drawn = (chosen, ...names) =>
    void draw({ parentElement, setTriggerValue, data: { items: of(names), label: "Samples", chosen } });
}"""


def test_a_finger_or_the_keyboard_on_a_sample_stays_there_while_the_strip_is_drawn_anew(browser: Any) -> None:
    page = browser.new_page()
    page.evaluate(_STRIP, (REPOSITORY / "app/frontend/samples.js").read_text("utf-8"))
    page.evaluate("drawn(null, 'a', 'b', 'c')")
    sample = page.get_by_role("button", name="Sample b")
    sample.hover()
    page.mouse.down()
    page.evaluate("drawn(null, 'a', 'b', 'c')")
    page.mouse.up()
    assert page.evaluate("picked") == ["b"]
    page.evaluate("drawn('b', 'a', 'b')")
    assert page.evaluate("document.activeElement.ariaLabel") == "Sample b"
    pressed = "[...document.querySelectorAll('.strip button')].map((one) => [one.ariaLabel, one.ariaPressed])"
    assert page.evaluate(pressed) == [["Sample a", "false"], ["Sample b", "true"]]
    page.evaluate("drawn(null, 'd', 'e', 'f')")  # another campus
    assert page.evaluate(pressed) == [[f"Sample {name}", "false"] for name in "def"]
    page.close()
