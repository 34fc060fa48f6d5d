"""Every state of the field app, run by Streamlit's own test driver."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest
from streamlit.testing.v1 import AppTest

from app import capture
from app.gate import Gate
from app.language import Lang
from app.texts import Texts
from tests.app.harness import Start, give, heat, html, layers, maps, position
from tests.app.test_trial import campus_with
from tests.bundles import make_bundle, photo


def test_before_a_photo_the_page_is_short_and_says_what_to_do(start: Start) -> None:
    app = start()
    assert "not a real place" in html(app)
    assert any("Photograph buildings" in caption.value for caption in app.caption)
    assert layers(app) == set()  # the map is there before the first photo: its scripts load while the page rests


@pytest.mark.parametrize("lang", ["en", "he"])
def test_a_campus_without_samples_says_so_and_takes_photos(start: Start, tmp_path: Path, lang: Lang) -> None:
    """As `train bundle` makes one unless it is asked for samples, since people may be in them."""
    app = start(make_bundle(tmp_path / "bare", samples=False), lang)
    said = Texts(lang)["no_samples"]
    assert said in [caption.value for caption in app.caption]
    give(app, photo(east_m=-52, north_m=68))
    assert "Library" in html(app)
    assert said not in [caption.value for caption in app.caption]


def test_a_sample_that_is_no_photo_is_a_sentence_and_photos_are_located(start: Start, tmp_path: Path) -> None:
    """In a campus that the operator put there: one that is sent is tried out first."""
    app = start(campus_with(tmp_path, samples0library__jpg=b"no photo"))
    assert "sample photos cannot be shown" in app.error[0].value
    assert "Library" in html(give(app, photo(east_m=-52, north_m=68)))


def test_a_clear_answer(start: Start) -> None:
    app = give(start(), photo(east_m=-52, north_m=68))
    said = html(app)
    assert "Library" in said
    assert "A clear answer" in said
    assert "Probably within 1" in said
    assert "almost surely within 3" in said
    assert len(maps(app)) == 1
    assert position(app) == pytest.approx((47.0006, 8.3993), abs=2e-4)


def test_a_wide_answer_says_so(start: Start) -> None:
    said = html(give(start(), photo("wide")))
    assert "Wide: anywhere in the circle" in said
    assert "Perhaps Cafeteria (16\u00a0%)" in said
    assert "Step back" in said


def test_a_split_answer_lists_the_places_and_claims_none(start: Start) -> None:
    app = give(start(), photo("split"))
    said = html(app)
    assert "2 places fit" in said
    assert "39\u00a0%" in said
    assert said.count("<li><span class='number'") == 2
    assert "class='position'" not in said, "nobody stands between them"
    assert "class='position'" in html(give(start(), photo()))
    assert not {"fix", "radius68"} & {layer["id"] for layer in maps(app)[0]["layers"]}
    assert app.get("deck_gl_json_chart")[0].proto.alt == "Map of Testfield: 2 places fit"


def test_another_place_is_not_pretended_to_be_this_campus(start: Start) -> None:
    app = give(start(), photo("elsewhere", east_m=20))
    assert "does not look like Testfield" in html(app)
    assert "within" not in html(app)
    assert layers(app) == set()
    app.button_group(key="page").set_value("log").run()
    assert "not this campus" in html(app)
    assert "within" not in html(app)


def test_the_photos_own_gps_is_shown_but_not_used(start: Start) -> None:
    there = (47.0003, 8.4)
    with_gps = give(start(), photo(east_m=0, north_m=0, at=there))
    without = give(start(), photo(east_m=0, north_m=0))
    assert "from the photo&#x27;s own GPS, outside the circle" in html(with_gps)
    assert "GPS" not in html(without).replace("Campus GPS", "")
    assert position(with_gps) == position(without)
    assert "truth" in {layer["id"] for layer in maps(with_gps)[0]["layers"]}


@pytest.mark.parametrize(
    ("format", "name", "kind"),
    [
        ("PNG", "p.png", "image/png"),
        ("WEBP", "p.webp", "image/webp"),
        ("HEIF", "p.heic", "image/heic"),
    ],
)
def test_formats(start: Start, format: str, name: str, kind: str) -> None:
    app = give(start(), photo(east_m=-52, north_m=68, format=format), name, kind)
    assert "Library" in html(app)


@pytest.mark.parametrize("data", [b"", b"not a photo", photo()[:500]])
def test_a_bad_photo_gives_one_clear_message_and_the_next_one_works(start: Start, data: bytes) -> None:
    app = give(start(), data)
    assert len(app.error) == 1
    assert "This photo cannot be used." in app.error[0].value
    assert "the photo:" not in app.error[0].value
    assert "fix" not in layers(app)
    give(app, photo())
    assert not app.error
    assert "fix" in layers(app)


def test_hebrew(start: Start) -> None:
    app = give(start(lang="he"), photo(east_m=50, north_m=-34))
    said = html(app)
    assert "כנראה כאן" in said  # its 95 % radius is 41 m
    assert "Gymnasium" in said
    app = give(start(lang="he"), photo(east_m=-70, north_m=0))
    assert "Law, צד צפון" in html(app)
    next(button for button in app.button if button.label == "English").click().run()
    assert "Law, north side" in html(app)


def test_the_log_lists_what_was_located(start: Start) -> None:
    app = give(start(), photo(east_m=-52, north_m=68, at=(47.0006, 8.3993)))
    give(app, photo("split"))
    app.button_group(key="page").set_value("log").run()
    assert not app.exception
    said = html(app)
    assert "Field test, photos with GPS: 1" in said
    assert said.index("several places") < said.index("Library")  # newest first
    assert "<b>2 places fit</b><span>several places</span>" in said
    assert [button.proto.label for button in app.get("download_button")] == ["CSV", "GeoJSON", "GPX"]
    next(button for button in app.button if button.label == "Clear all lines").click().run()
    assert any("No photos located yet" in caption.value for caption in app.caption)


def test_a_long_log_of_two_campuses_says_what_is_shown_and_what_is_counted(start: Start) -> None:
    app = give(start(), photo(east_m=-52, north_m=68, at=(47.0006, 8.3993)))
    (line,) = app.session_state["log"]
    others = [replace(line, fix=replace(line.fix, campus="Hillside"), key=f"{number:032x}") for number in range(50)]
    app.session_state["log"] = [*others, line]
    app.button_group(key="page").set_value("log").run()
    assert app.subheader[0].value == "Photos in this browser's log: 51"
    assert "The newest 50 are listed" in " ".join(caption.value for caption in app.caption)
    assert "Of 2 campuses together: Hillside, Testfield." in html(app)
    app.session_state["log"] = [line]
    app.run()
    assert "campuses together" not in html(app)
    assert "newest" not in " ".join(caption.value for caption in app.caption)


def test_an_empty_log_says_so(start: Start) -> None:
    app = start()
    app.button_group(key="page").set_value("log").run()
    assert any("No photos located yet" in caption.value for caption in app.caption)


def test_photos_are_kept_only_where_asked_and_the_page_says_so(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def captions(app: AppTest) -> str:
        return " ".join(caption.value for caption in app.caption)

    monkeypatch.delenv("CAMPUS_KEEP_PHOTOS", raising=False)
    assert "are not kept" in captions(start())
    folder = tmp_path / "kept"
    monkeypatch.setenv("CAMPUS_KEEP_PHOTOS", str(folder))
    app = start()
    assert "keeps the photos" in captions(app)
    assert "are not kept" not in captions(app)
    assert "שומרים את התמונות" in captions(start(lang="he"))
    given = photo(east_m=-52, north_m=68)
    give(app, given)
    assert "keeps the photos" in captions(app)
    assert [path.read_bytes() for path in folder.glob("*.jpg")] == [given]
    assert len(list(folder.glob("*.json"))) == 1
    give(app, b"no photo")
    assert len(list(folder.iterdir())) == 2


def test_a_folder_that_cannot_be_written_costs_no_answer(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("CAMPUS_KEEP_PHOTOS", str(tmp_path / "file"))
    app = give(start(), photo(east_m=-52, north_m=68))
    assert "Library" in html(app)
    assert not app.error


def test_the_time_told_is_of_decoding_too(start: Start) -> None:
    app = give(start(), photo(east_m=-52, north_m=68, size=(4000, 3000)))
    told = next(caption.value for caption in app.caption if "on the server" in caption.value)
    sighting = app.session_state["current"]
    assert sighting.fix.timings_ms["decode"] > 1
    assert told.startswith(f"{round(sum(sighting.fix.timings_ms.values()))} ms")


def test_a_full_queue_says_busy(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    app = start()
    full = Gate(at_once=0)
    full._line.extend(Event() for _ in range(capture.MOST_WAITING))
    monkeypatch.setattr(capture, "process_gate", lambda: full)
    give(app, photo())
    assert len(app.error) == 1
    assert "Busy" in app.error[0].value


def test_layers_are_drawn_only_where_asked_for_and_stay(start: Start) -> None:
    app = give(start(), photo(east_m=-52, north_m=68))
    assert not {"zones", "photos"} & layers(app)
    assert not heat(app)
    for name in ("zones", "heat", "photos"):
        app.toggle(key=f"layer_{name}").set_value(True).run()
    assert {"zones", "photos"} <= layers(app)
    assert heat(app)
    app.button_group(key="page").set_value("log").run()
    assert {"zones", "photos", "track"} <= layers(app)


def test_recentring_gives_the_page_another_view_of_the_same_place(start: Start) -> None:
    app = give(start(), photo(east_m=-52, north_m=68))
    before = maps(app)[0]["initialViewState"]
    app.button(key="recentre").click().run()
    after = maps(app)[0]["initialViewState"]
    for key in ("latitude", "longitude", "zoom"):
        assert before[key] != after[key]
        assert before[key] == pytest.approx(after[key], abs=1e-6)
