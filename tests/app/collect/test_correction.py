""" "No, I am here" under an answer: the state of the page, and in a real browser a tap on the map that is stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect
from streamlit.testing.v1 import AppTest

from app import widgets
from app.collect.inbox import Inbox, process_inbox
from app.collect.words import WORDS
from app.language import Lang
from app.map.deck import Place
from app.texts import Texts
from core.campus.frame import LocalFrame, distance_m
from core.locate.localizer import Localizer
from tests.app.harness import (
    DESKTOP,
    PHONE,
    Open,
    Server,
    Start,
    assert_nothing_cuts_a_name_of_a_small_map,
    give,
    start_app,
)
from tests.bundles import photo

FRAME = LocalFrame.about(47.0, 8.4)


@pytest.mark.parametrize(("inbox", "own", "offered"), [(True, True, True), (True, False, False), (False, True, False)])
def test_only_ones_own_photo_can_be_corrected_and_only_where_there_is_an_inbox(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inbox: bool, own: bool, offered: bool
) -> None:
    monkeypatch.setenv("CAMPUS_INBOX", str(tmp_path / "inbox") if inbox else "")
    app = start()
    app.file_uploader[0].set_value([("a.jpg", photo(east_m=20.0), "image/jpeg")]).run()
    if not own:  # as a sample leaves it
        app.session_state.play = [type(taken)(**{**vars(taken), "photo": b""}) for taken in app.session_state.play]
        app.run()
    assert not app.exception
    assert ("not_here" in [button.key for button in app.button]) is offered
    assert not (tmp_path / "inbox").exists()


def test_an_answer_whose_line_was_cleared_from_the_log_can_be_corrected(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAMPUS_INBOX", str(tmp_path / "inbox"))
    app = start()
    app.file_uploader[0].set_value([("a.jpg", photo(east_m=20.0), "image/jpeg")]).run()
    app.session_state["log"] = []
    there = Place(47.0001, 8.4001)
    monkeypatch.setattr(widgets, "place_on_map", lambda *_, **__: there)
    app.button(key="not_here").click().run()
    assert not app.exception
    assert app.session_state["log"] == []
    assert app.session_state["current"].truth == there
    assert any("Stored: thank you" in caption.value for caption in app.caption)


def corrected(
    start: Start, inbox: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, lang: str = "en"
) -> Callable[[], AppTest]:
    """Locate a photo; gives what taps the same place as its true one, each time it is called."""
    monkeypatch.setenv("CAMPUS_INBOX", str(inbox))
    app = give(start(lang=lang), data, "a.jpg")
    monkeypatch.setattr(widgets, "place_on_map", lambda *_, **__: Place(47.0001, 8.4001))

    def tap() -> AppTest:
        app.button(key="not_here").click().run()
        assert not app.exception
        return app

    return tap


def captions(app: AppTest) -> str:
    return " ".join(caption.value for caption in app.caption)


def test_what_is_said_of_a_correction_is_what_became_of_it(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tap = corrected(start, tmp_path / "inbox", monkeypatch, photo(east_m=20.0))
    assert "Stored: thank you. The field test counts it." in captions(tap())
    inbox = Inbox(tmp_path / "inbox")
    (entry,) = inbox.entries()
    inbox.change(entry.id, review="rejected")
    monkeypatch.setattr(widgets, "place_on_map", lambda *_, **__: Place(47.0002, 8.4002))
    said = captions(tap())
    assert "reviewed already: the inbox keeps it as it was. The field test counts it." in said
    assert "Stored" not in said
    assert inbox.entries()[0].sidecar.lat == 47.0001
    tap = corrected(start, tmp_path / "inbox", monkeypatch, photo("elsewhere", east_m=20.0))
    assert "Stored: thank you. The field test leaves it out." in captions(tap())


@pytest.mark.parametrize("lang", ["en", "he"])
def test_a_full_inbox_is_a_sentence_without_the_server_s_folder(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lang: Lang
) -> None:
    tap = corrected(start, tmp_path / "inbox", monkeypatch, photo(east_m=20.0), lang)
    inbox = process_inbox()
    assert inbox is not None
    inbox.most_bytes = 0
    app = tap()
    assert Texts(lang)["correct_no_room"] in app.error[0].value
    assert str(tmp_path) not in app.error[0].value


def test_a_photo_that_is_too_large_to_be_held_says_so(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAMPUS_INBOX", str(tmp_path / "inbox"))
    app = start()
    app.file_uploader[0].set_value([("a.jpg", photo(east_m=20.0) + bytes(9 << 20), "image/jpeg")]).run()
    assert "cannot be corrected: over 8 MB" in captions(app)
    assert "not_here" not in [button.key for button in app.button]


def test_of_several_photos_only_the_last_ones_file_is_held(start: Start) -> None:
    app = start()
    files = [(f"{view}.jpg", photo(east_m=20.0, view=view), "image/jpeg") for view in (1, 2, 3)]
    app.file_uploader[0].set_value(files).run()
    assert [bool(taken.photo) for taken in app.session_state.play] == [False, False, True]


@pytest.fixture(scope="module")
def inbox(tmp_path_factory: pytest.TempPathFactory) -> Inbox:
    return Inbox(tmp_path_factory.mktemp("sent") / "inbox")


@pytest.fixture(scope="module")
def correcting(bundle: Path, inbox: Inbox) -> Iterator[Server]:
    running = start_app({"CAMPUS_BUNDLE": str(bundle), "CAMPUS_INBOX": str(inbox.folder)})
    yield running
    running.stop()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "dark", "lang", "kind"),
    [(PHONE, False, "en", "good"), (DESKTOP, True, "he", "elsewhere")],
)
def test_a_tap_on_the_map_stores_photo_fix_and_true_place(
    visit: Open, correcting: Server, bundle: Path, inbox: Inbox, size: tuple[int, int], dark: bool, lang: str, kind: str
) -> None:
    seen = visit(size, dark, lang, url=correcting.url)
    page = seen.page
    data = photo(kind, east_m=20.0, north_m=10.0, size=(400 + size[0], 300))  # type: ignore[arg-type]
    seen.upload(data)
    page.locator("section.answer").wait_for()
    page.locator(".st-key-not_here button").click()
    seen.rests()
    ground = page.locator(".correct svg")
    ground.wait_for()
    assert WORDS["he" if lang == "he" else "en"]["faces_kept"] in page.locator(".st-key-correction").inner_text()
    how = "Two fingers move the map and zoom." if size == PHONE else "בגלגלת העכבר מגדילים."
    assert how in page.locator(".correct .how").inner_text(), "as the pointer is"
    ground.scroll_into_view_if_needed()
    box = ground.bounding_box()
    middle = box["x"] + 0.5 * box["width"], box["y"] + 0.5 * box["height"]
    if kind == "good":
        sign = ground.locator("g.mark circle").bounding_box()
        assert (sign["x"] + sign["width"] / 2, sign["y"] + sign["height"] / 2) == pytest.approx(middle, abs=2)
    page.mouse.click(middle[0], box["y"] + (0.05 if kind == "good" else 0.5) * box["height"])
    seen.screenshot(f"correct-{size[0]}-{'dark' if dark else 'light'}-{lang}")
    assert seen.poor_contrast() == []
    assert_nothing_cuts_a_name_of_a_small_map(ground)
    page.locator(".correct .store").click()
    page.get_by_text("Stored: thank you" if lang == "en" else "נשמר, תודה").wait_for()
    (entry,) = [entry for entry in inbox.entries() if entry.path.read_bytes() == data]
    told = entry.sidecar
    assert told.lat is not None
    assert told.lon is not None
    assert told.fix is not None
    if kind == "good":  # the answer and the land round it fill the map: its upper edge is near
        radius95_m = Localizer.load(bundle).locate(data).radius95_m
        assert radius95_m is not None
        reach_m = max(2.5 * radius95_m, radius95_m + 40)
        assert reach_m < 90, "of a campus 200 m long"
        assert distance_m(told.lat, told.lon, told.fix.lat, told.fix.lon) == pytest.approx(0.9 * reach_m, abs=2)
    else:  # the map's middle is the middle of the test campus's photos
        assert distance_m(told.lat, told.lon, *FRAME.to_latlon([0.0, 0.0]).tolist()) < 6
    assert (told.fix.radius68_m is None) == (kind == "elsewhere")
    assert (told.source, told.campus, told.review) == ("tap", "Testfield", "")
    if kind == "good":
        expect(page.locator("section.answer")).to_contain_text("from the place that you tapped")
        seen.turn_to(1)
        page.get_by_text("Field test").first.wait_for()
    seen.clean()
