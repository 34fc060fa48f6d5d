"""The photos in play: of one standpoint, one answer, and each can be taken out again."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from app import session_log, widgets
from app.gate import BusyError, Gate
from app.map.deck import Place
from tests import REPOSITORY
from tests.app.harness import Start, give, give_all, html, two_views
from tests.bundles import photo


@pytest.fixture
def app(start: Start) -> AppTest:
    return start()


def two_photos() -> list[tuple[str, bytes, str]]:
    """Two photos of one standpoint, as the gallery gives them."""
    names = ("one.png", "other.png")
    return [(name, data, "image/png") for name, data in zip(names, two_views(-52, 68), strict=True)]


def pictures_in_play(app: AppTest) -> list[dict[str, Any]]:
    """What the row of photos in play shows; empty where there is no row."""
    rows = [part.proto for part in app.get("bidi_component") if part.proto.component_name == "campus_play"]
    return [picture for row in rows for picture in json.loads(row.json)["photos"]]


def test_photos_of_one_standpoint_are_one_answer_and_each_can_be_taken_out(
    app: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_all(app, two_photos())
    assert [taken.name for taken in app.session_state["play"]] == ["one.png", "other.png"]
    together = app.session_state["current"].fix
    assert together.photos == 2
    assert len(app.session_state["log"]) == 1, "one standpoint is one line of the log"
    assert re.search(r"2 photos: \d+ m → \d+ m", html(app))
    shown = pictures_in_play(app)
    assert [picture["remove"] for picture in shown] == ["Remove photo 1", "Remove photo 2"]
    monkeypatch.setattr(widgets, "taken_out", lambda: frozenset({shown[0]["key"], "of another page"}))
    app.run()
    assert not app.exception
    alone = app.session_state["current"].fix
    assert alone.photos == 1
    assert alone.radius68_m >= together.radius68_m
    assert [taken.name for taken in app.session_state["play"]] == ["other.png"]
    assert pictures_in_play(app) == []
    assert len(app.session_state["log"]) == 1
    monkeypatch.setattr(widgets, "taken_out", lambda: frozenset({shown[1]["key"]}))
    app.run()
    assert app.session_state["current"] is None, "the last one is gone as well"


def test_what_was_said_of_a_standpoint_stays_as_its_photos_change(
    app: AppTest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CAMPUS_INBOX", str(tmp_path / "inbox"))
    there = Place(47.0006, 8.3994)
    give_all(app, two_photos())
    monkeypatch.setattr(widgets, "place_on_map", lambda *_, **__: there)
    app.button(key="not_here").click().run()
    app.button_group(key="page").set_value("log").run()
    (line,) = app.session_state["log"]
    app.button(key=f"annotate-{line.key}").click().run()
    app.text_input(key=f"title-{line.key}").set_value("Gate")
    app.text_area(key=f"note-{line.key}").set_value("lamp is broken")
    next(button for button in app.button if button.label == "Save").click().run()
    app.button_group(key="page").set_value("locate").run()
    gone = frozenset({pictures_in_play(app)[0]["key"]})
    monkeypatch.setattr(widgets, "taken_out", lambda: gone)
    app.run()
    assert not app.exception
    assert "from the place that you tapped" in html(app)
    (line,) = app.session_state["log"]
    assert (line.fix.photos, line.title, line.note, line.truth) == (1, "Gate", "lamp is broken", there)
    assert session_log.field_test([line]) is not None
    give(app, photo(east_m=50, north_m=68))
    later = app.session_state["log"][-1]
    assert (later.title, later.truth) == ("", None), "another standpoint is another line"


def test_a_full_queue_keeps_the_photos_that_were_to_be_taken_out(app: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    give_all(app, two_photos())
    gone = frozenset({pictures_in_play(app)[0]["key"]})
    monkeypatch.setattr(widgets, "taken_out", lambda: gone)
    with monkeypatch.context() as full:
        full.setattr(Gate, "turn", _no_turn)
        app.run()
        assert not app.exception
        assert "Busy" in app.error[0].value
        assert len(app.session_state["play"]) == 2
    app.run()
    assert [taken.name for taken in app.session_state["play"]] == ["other.png"]
    assert not app.error


def test_a_full_queue_costs_no_photo(app: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as full:
        full.setattr(Gate, "turn", _no_turn)
        give(app, photo())
        assert "kept for another try" in app.error[0].value
        assert app.session_state["current"] is None
    next(button for button in app.button if button.label == "Try again").click().run()
    (line,) = app.session_state["log"]
    assert not app.error
    assert "Try again" not in [button.label for button in app.button]
    app.run()
    assert app.session_state["log"] == [line]

    shot = widgets.Shot(photo(east_m=20.0), number="1764412345678")
    monkeypatch.setattr(widgets, "camera", lambda *_, another=False, **__: None if another else shot)
    with monkeypatch.context() as full:
        full.setattr(Gate, "turn", _no_turn)
        app.run()
        assert "answered" not in app.session_state, "so the camera sends it again"
    app.run()
    assert app.session_state["answered"] == shot.number
    assert len(app.session_state["log"]) == 2


def test_a_photo_that_is_read_as_one_turns_to_the_log_is_in_it(app: AppTest) -> None:
    """The tap ends the run that read it, and on the other pages there is no gallery."""
    app.file_uploader[0].set_value(two_photos()[:1])
    app.button_group(key="page").set_value("log").run()
    assert not app.exception
    assert "one.png" in html(app)
    assert len(app.session_state["log"]) == 1
    assert not app.file_uploader, "nor is there now"


def _no_turn(*_: Any, **__: Any) -> Any:
    raise BusyError(waiting=3)


def test_what_a_browser_says_was_tapped_away_is_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    for told in (None, "gone", {"gone": "abc"}, {"gone": None}, {}):
        monkeypatch.setattr(st, "session_state", {"in_play": told})
        assert widgets.taken_out() == frozenset()
    monkeypatch.setattr(st, "session_state", {"in_play": {"gone": ["a", 3, ["b"]]}})
    assert widgets.taken_out() == frozenset({"a"})


def test_of_several_photos_a_bad_one_is_named_and_the_others_are_used(app: AppTest) -> None:
    good = two_photos()
    give_all(app, [good[0], ("bad.png", b"no photo", "image/png"), good[1]])
    assert not app.exception
    assert [taken.name for taken in app.session_state["play"]] == ["one.png", "other.png"]
    assert "photo 2." in app.error[0].value
    assert "JPEG" in app.error[0].value, "and why"
    give_all(app, [("bad.png", b"no photo", "image/png"), ("empty.png", b"?", "image/png")])
    assert "This photo cannot be used" in app.error[0].value
    assert app.session_state["current"] is None


@pytest.mark.parametrize("ended", ["before the photo is in play", "before the camera is told"])
def test_a_photo_sent_again_after_its_run_was_ended_is_one_line_of_the_log(
    app: AppTest, monkeypatch: pytest.MonkeyPatch, ended: str
) -> None:
    """Streamlit ends a run at any look into its state, and the camera sends what was not answered once more."""
    shot = widgets.Shot(photo(east_m=20.0), number="1764412345678")
    monkeypatch.setattr(widgets, "camera", lambda *_, another=False, **__: None if another else shot)
    app.run()
    (line,) = app.session_state["log"]
    assert app.session_state["answered"] == shot.number
    if ended == "before the photo is in play":
        app.session_state["play"] = []
    app.session_state["answered"] = None
    app.run()
    assert not app.exception
    assert [entry.key for entry in app.session_state["log"]] == [line.key]
    assert len(app.session_state["play"]) == 1
    assert app.session_state["answered"] == shot.number


# The row by itself: `told` is what it told of the photos that were tapped away, each time.
_ROW = """async (script) => {
  const { default: draw } = await import(URL.createObjectURL(new Blob([script], { type: "text/javascript" })));
  const app = "<div data-testid=stApp data-test-script-state=notRunning></div>";
  document.body.innerHTML = `${app}<div id=root><div class=play></div></div>`;
  window.told = [];
  const of = (keys) => keys.map((key) => ({ key, url: "data:,", remove: `Remove ${key}`, outlier: false }));
  const parentElement = document.getElementById("root"), setStateValue = (_, gone) => told.push(gone);
  window.drawn = (...keys) => void draw({ parentElement, setStateValue, data: { photos: of(keys) } });
}"""


@pytest.mark.slow
def test_a_photo_that_stays_after_its_tap_is_told_again(browser: Any) -> None:
    page = browser.new_page()
    page.clock.install()
    page.evaluate(_ROW, (REPOSITORY / "app/frontend/play.js").read_text("utf-8"))
    page.evaluate("drawn('a', 'b')")
    button = page.get_by_role("button", name="Remove a")
    assert button.evaluate("(button) => (button.click(), told.map(([key]) => key))") == ["a"]
    page.evaluate("drawn('a', 'b')")  # the run that was to take it out was ended, or the server was busy
    page.clock.run_for(2500)
    assert page.evaluate("told.map(([key]) => key)") == ["a"] * 3
    state = "document.querySelector('[data-testid=stApp]').dataset.testScriptState"
    page.evaluate(f"{state} = 'running'")
    page.clock.run_for(2500)
    assert page.evaluate("told.length") == 3, "it is on its way"
    page.evaluate(f"drawn('b'); {state} = 'notRunning'")
    page.clock.run_for(2500)
    assert page.evaluate("told.length") == 3, "it was taken out"
    page.close()


def test_photos_beyond_the_most_of_a_standpoint_are_said_to_be_left_out(app: AppTest) -> None:
    good, other = two_photos()
    give_all(app, [good] * 10)
    assert len(app.session_state["play"]) == 8
    assert "left out: 2" in app.error[0].value
    give_all(app, [good, ("bad.png", b"no photo", "image/png"), *[other] * 7])
    assert "photo 2." in app.error[0].value
    assert "left out: 1" in app.error[0].value


def test_the_next_photo_is_a_standpoint_of_its_own(app: AppTest) -> None:
    give(give(app, photo(east_m=-52, north_m=68)), photo(east_m=50, north_m=68))
    assert len(app.session_state["play"]) == 1
    assert len(app.session_state["log"]) == 2


def test_the_same_picture_again_is_said_to_add_nothing(app: AppTest) -> None:
    same = photo(east_m=-52, north_m=68)
    give_all(app, [("a.jpg", same, "image/jpeg"), ("b.jpg", same, "image/jpeg")])
    assert "the same picture" in html(app)
    give_all(app, [("a.jpg", same, "image/jpeg"), ("b.jpg", photo("elsewhere", east_m=20), "image/jpeg")])
    assert "the same picture" not in html(app)
    assert "Photo 2 was not recognised and does not count." in html(app)
    assert "contradicts" not in html(app)
