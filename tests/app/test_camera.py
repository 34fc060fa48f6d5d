"""The camera's buttons by themselves, in a real browser: each photo is sent until it is answered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests import REPOSITORY
from tests.bundles import photo

pytestmark = pytest.mark.slow
APP = REPOSITORY / "app"
# `draw(another)` draws a button and `ended[another]` ends it; `told` has the numbers of what was sent; `answer(number)`
# says that it arrived.
_CAMERA = """async ([camera, answered, body]) => {
  const address = (script) => URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
  const [draw, tell] = [(await import(address(camera))).default, (await import(address(answered))).default];
  document.body.innerHTML = `<div data-testid=stApp data-test-script-state=notRunning></div><div id=false>${body}</div>`
    + `<div id=true>${body}</div>`;
  window.told = [];
  window.ended = {};
  window.draw = (another) => void (ended[another] = draw({
    parentElement: document.getElementById(another), setTriggerValue: (_, { number }) => told.push(number),
    data: { another, texts: {}, max_bytes: 1e8, frame_px: 640, share_location: false },
  }));
  window.answer = (number) => tell({ data: { number: String(number) } });
}"""


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    page = browser.new_page()
    pictures, camera = (APP / path for path in ("collect/pages/pictures.js", "frontend/camera.js"))
    scripts = [pictures.read_text("utf-8") + camera.read_text("utf-8")]
    scripts += [(APP / "frontend" / name).read_text("utf-8") for name in ("answered.js", "camera.html")]
    page.evaluate(_CAMERA, scripts)
    yield page
    page.close()


def choose(page: Any, button: str = "false", *, sent: int) -> None:
    shot = {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": photo()}
    page.locator(f"[id={button}] .file").set_input_files(shot)
    page.wait_for_function("(sent) => new Set(told).size === sent", arg=sent)


def test_a_photo_is_sent_again_however_long_the_connection_was_away(page: Any) -> None:
    page.evaluate("draw(false); document.documentElement.classList.add('campus-lost')")
    choose(page, sent=1)
    page.evaluate("{ const now = Date.now; Date.now = () => now() + 180000; told.length = 0; }")
    page.evaluate("draw(false); document.documentElement.classList.remove('campus-lost')")
    page.wait_for_function("told.length > 0")


def test_a_photo_answered_while_its_button_was_away_is_not_sent_again(page: Any) -> None:
    page.evaluate("draw(false); draw(true)")
    choose(page, sent=1)
    page.evaluate("ended[false]()")
    choose(page, "true", sent=2)
    page.evaluate("[...new Set(told)].forEach(answer)")
    page.wait_for_function("!document.querySelector('.camera.another .take.busy')")
    page.evaluate("told.length = 0; draw(false)")
    page.wait_for_timeout(600)
    assert page.evaluate("told") == []
