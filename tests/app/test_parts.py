"""The pure parts of the field app."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
import threading
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone
from html import escape
from pathlib import Path
from string import Formatter
from typing import Any

import pytest
import streamlit as st
import tomllib
from streamlit import config

from app import campuses, cards, session_log, words_en, words_he
from app.gate import BusyError, Gate
from app.language import Lang, language_of
from app.map.deck import Place
from app.map.shapes import DARK, LIGHT
from app.places import candidate_names
from app.reasons import reason
from app.shared import time_zone
from app.sighting import Sighting
from app.standpoint import locate
from app.texts import Texts
from app.widgets import shot_from
from core.campus import basemap
from core.campus.bundle import Bundle
from core.engines.vet import check_model
from core.errors import BundleError, CampusError, EngineError, PhotoError
from core.locate.fix import Candidate, Fix, ZoneOdds
from core.locate.localizer import Localizer
from core.photo.load import load_photo
from tests import REPOSITORY
from tests.bundles import make_bundle, photo
from train.dataset.zone_names import remapped

HOSTILE = "=cmd|' /C calc'!A0<script>alert(1)</script>"


def sighting(lat: float = 47.0, truth: Place | None = None, zone: str = "Library") -> Sighting:
    zones, places = (ZoneOdds(0, zone, 0.9),), (Candidate(lat, 8.4, 0.9),)
    fix = Fix(lat, 8.4, 10.0, 25.0, zones, places, True, 0.8, "Testfield", {"network": 5.0})
    return Sighting(fix, datetime(2026, 5, 1, 12, 0, tzinfo=timezone.utc), "data:image/jpeg;base64,", truth)


# texts


def test_both_languages_say_the_same_things_with_the_same_blanks() -> None:
    english, hebrew = words_en.WORDS, words_he.WORDS
    assert english.keys() == hebrew.keys()
    for key in english:
        blanks = [{field for _, field, _, _ in Formatter().parse(said[key]) if field} for said in (english, hebrew)]
        assert blanks[0] == blanks[1], key
        assert hebrew[key].strip()


@pytest.mark.parametrize(
    ("described", "english", "hebrew"),
    [
        (
            "by session (test: dusk, walk)",
            "by session, tested on dusk, walk",
            "לפי סיור צילום, נבחנו \u2066dusk, walk\u2069",
        ),
        (
            "by standpoint, fold 2 of 5, seed 7",
            "by standpoint, fold 2 of 5, seed 7",
            "לפי נקודת עמידה, חלק 2 מתוך 5, גרעין אקראי 7",
        ),
        (
            "at random (a random split: photos of one place fall on both sides), seed 0",
            "at random (a random split: photos of one place fall on both sides), seed 0",
            "באקראי (תמונות ממקום אחד נמצאות בשני הצדדים), גרעין אקראי 0",
        ),
        ("as it was published", "as it was published", "\u2066as it was published\u2069"),
    ],
)
def test_how_photos_were_held_out_is_said_in_the_pages_language(described: str, english: str, hebrew: str) -> None:
    assert Texts("en").split(described) == english
    assert Texts("he").split(described) == hebrew


@pytest.mark.parametrize(
    ("wanted", "browser", "expected"),
    [
        ("he", "en-US", "he"),
        ("en", "he", "en"),
        ("xx", "he", "he"),
        ("xx", "de-DE", "en"),
        (None, "he-IL", "he"),
        (None, "iw", "he"),
        (None, "iw-IL,he;q=0.9,en;q=0.8", "he"),
        (None, "he;q=1", "he"),
        (None, "en-US,he", "en"),
        (None, "hex", "en"),
        ("", "", "en"),
        (None, None, "en"),
    ],
)
def test_language_of(wanted: str | None, browser: str | None, expected: str) -> None:
    assert language_of(wanted, browser) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Library, north-east side", "Library, צד צפון־מזרח"),
        ("Zone 12", "אזור 12"),
        ("Library", "Library"),
        ("A, B, west side", "A, B, צד מערב"),
    ],
)
def test_zone_names_in_hebrew(name: str, expected: str) -> None:
    assert Texts("he").zone_name(name) == expected
    assert Texts("en").zone_name(name) == name


# what is shown


@pytest.mark.parametrize(
    ("metres", "shown"),
    [
        (0.1, "less than 1 m"),
        (2.9, "3 m"),
        (9.6, "10 m"),
        (123.4, "120 m"),
        (994, "990 m"),
        (1440, "1.4 km"),
        (76_030, "76 km"),
        (9_347_228, "9,300 km"),
    ],
)
def test_distances_are_said_as_people_say_them(metres: float, shown: str) -> None:
    assert Texts("en").distance(metres) == shown
    assert re.findall(r"[\d.,]+", Texts("he").distance(metres)) == re.findall(r"[\d.,]+", shown)


def shown_answer(seen: Sighting, bundle: Path, lang: Lang = "en") -> str:
    return cards.answer(seen, Bundle.load(bundle), Texts(lang))


@pytest.mark.parametrize(
    ("radius68_m", "radius95_m", "said", "tick"),
    [
        (7.0, 14.0, "Probably within 7 m", True),
        (8.3, 184.8, "Probably within 8 m", False),  # a sample of the demo, 219 m wrong
        (60.0, 120.0, "Probably within 60 m", False),
    ],
)
def test_a_tick_needs_both_radii_small(
    bundle: Path, radius68_m: float, radius95_m: float, said: str, tick: bool
) -> None:
    plain = sighting()
    answer = shown_answer(replace(plain, fix=replace(plain.fix, radius68_m=radius68_m, radius95_m=radius95_m)), bundle)
    assert said in answer
    assert ("✓" in answer) is tick
    assert ("A clear answer" in answer) is tick


def test_without_training_photos_around_the_photographer_is_not_blamed(bundle: Path) -> None:
    wide = replace(sighting().fix, radius68_m=60.0, radius95_m=120.0)
    inside = replace(sighting(), fix=wide)
    outside = replace(sighting(), fix=replace(wide, lat=47.002))
    assert "Step back" in shown_answer(inside, bundle)
    assert "no fault of yours" in shown_answer(outside, bundle)


def test_a_truth_of_another_place_is_said_to_be_one(bundle: Path) -> None:
    localizer = Localizer.load(bundle)
    near, far = (locate(localizer, photo(at=at)) for at in ((47.0003, 8.4), (47.6, 8.4)))
    assert near.truth_on_campus
    assert not far.truth_on_campus
    assert "67 km away, outside this campus" in shown_answer(far, bundle)
    assert session_log.field_test([far]) is None
    figures = session_log.field_test([near, far])
    assert figures is not None
    assert (figures.count, figures.left_out) == (1, 1)


def test_an_error_of_gps_that_means_nothing_is_not_said(bundle: Path) -> None:
    assert "±" not in shown_answer(sighting(truth=Place(47.0001, 8.4, 0.1)), bundle)
    assert "(GPS ± 5 m)" in shown_answer(sighting(truth=Place(47.0001, 8.4, 5.0)), bundle)


def test_places_of_one_name_are_told_apart(bundle: Path) -> None:
    plain = sighting(zone="Library")
    twins = (Candidate(47.0, 8.4, 0.7), Candidate(47.0007, 8.3993, 0.15))
    fix = replace(plain.fix, candidates=twins)
    (named,) = candidate_names(fix, Bundle.load(bundle), Texts("en"))
    assert re.fullmatch(r"Library, 9\d m to the north-west", named[0])
    (other,) = candidate_names(replace(fix, zones=(ZoneOdds(4, "Law", 0.9),)), Bundle.load(bundle), Texts("en"))
    assert other[0] == "Library"


@pytest.mark.parametrize("lang", ["en", "he"])
def test_each_column_of_the_downloads_has_a_note(lang: Lang) -> None:
    header = next(csv.reader(io.StringIO(session_log.to_csv([sighting()]))))
    noted = [name for _, names in session_log.COLUMN_NOTES for name in names]
    assert sorted(noted) == sorted(header)
    said = cards.columns(Texts(lang))
    assert all(escape(Texts(lang)[key]) in said for key, _ in session_log.COLUMN_NOTES)


@pytest.mark.parametrize("lang", ["en", "he"])
def test_several_photos_tell_their_states_by_sign_and_by_word(lang: Lang) -> None:
    texts = Texts(lang)
    states: list[cards.State] = ["read", "unusable", "reading", "waiting"]
    said = cards.reading(states, ["data:image/jpeg;base64,AA", "", "", ""], texts)
    assert texts.say("reading_number", number=3, count=4) in said
    for number, (state, sign) in enumerate(zip(states, ("✓", "✗", "…", ""), strict=True), start=1):
        item = said.split("<li ")[number]
        assert f"aria-label='{number}: {texts[f'state_{state}']}'" in item
        assert f">{sign}</i>" in item
        assert ("<img" in item) is (state == "read")


def refused_photo(data: bytes) -> CampusError:
    with pytest.raises(PhotoError) as refused:
        load_photo(data)
    return refused.value


def refused_shot(value: object) -> CampusError:
    with pytest.raises(PhotoError) as refused:
        shot_from(value)
    return refused.value


def refused_campus(path: Path) -> CampusError:
    with pytest.raises(CampusError) as refused:
        Bundle.load(path)
    return refused.value


@pytest.mark.parametrize("lang", ["en", "he"])
def test_reasons_are_sentences_of_the_page_s_language(lang: Lang, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = photo()
    with monkeypatch.context() as small:
        small.setattr("core.photo.load.MAX_JPEG_PIXELS", 100)
        large = refused_photo(whole)
    texts_ = Texts(lang)
    for error, key in (
        (refused_photo(whole[: len(whole) // 2]), "reason_damaged"),
        (refused_photo(b""), "reason_empty"),
        (large, "reason_too_big"),
        (refused_photo(b"<html>"), "reason_format"),
        (refused_shot(None), "reason_not_arrived"),
        (refused_shot({"url": ""}), "reason_not_arrived"),
        (refused_shot({"url": "data:,?"}), "reason_not_arrived"),
    ):
        assert reason(error, texts_) == texts_[key], str(error)


@pytest.mark.parametrize("lang", ["en", "he"])
def test_reasons_of_a_campus_name_the_part_at_fault(lang: Lang, tmp_path: Path) -> None:
    texts_ = Texts(lang)
    folder = make_bundle(tmp_path / "field")
    manifest = folder / "campus.json"
    plain = manifest.read_text("utf-8")
    said = [(refused_campus(tmp_path / "nowhere"), "reason_no_campus")]
    for text, key in (
        ("{", "reason_copy_campus"),
        (plain.replace('"schema_version": 1', '"schema_version": 999'), "reason_other_version"),
    ):
        assert text != plain
        manifest.write_text(text, "utf-8")
        said.append((refused_campus(folder), key))
    with pytest.raises(EngineError) as refused:
        check_model(b"no network")
    said.append((refused.value, "reason_make_campus"))
    for error, key in said:
        assert reason(error, texts_) == f"{texts_[key]} ({texts_.isolated(str(error))})"


def test_a_reason_is_chosen_by_its_kind_and_not_by_words_in_its_name() -> None:
    error = PhotoError("no such file", path="this is damaged, try again.jpg", remedy="check the path")
    assert reason(error, Texts("en")) == "No such file."


@pytest.mark.parametrize(
    ("heading", "spread", "english", "hebrew"),
    [
        (44.6, 19.6, "Looking north-east (45°\u00a0±\u00a020°)", "המבט לצפון־מזרח (\u206645°\u00a0±\u00a020°\u2069)"),
        (359.7, None, "Looking north (0°)", "המבט לצפון (0°)"),
        (180.0, 5.0, "Looking south (180°\u00a0±\u00a05°)", "המבט לדרום (\u2066180°\u00a0±\u00a05°\u2069)"),
        (None, None, None, None),
        (90.0, 120.0, None, None),  # towards half the horizon is no direction
    ],
)
def test_the_answer_says_where_the_camera_looked(
    bundle: Path, heading: float | None, spread: float | None, english: str | None, hebrew: str | None
) -> None:
    plain = sighting()
    seen = replace(plain, fix=replace(plain.fix, heading_deg=heading, heading_spread_deg=spread))
    spoken: dict[Lang, str | None] = {"en": english, "he": hebrew}
    for lang, said in spoken.items():
        answer = shown_answer(seen, bundle, lang)
        assert f"<p>{said}</p>" in answer if said else not re.search("Looking|המבט", answer)


def test_between_look_alike_places_no_direction_is_said(bundle: Path) -> None:
    plain = sighting()
    twins = (Candidate(47.0, 8.4, 0.5), Candidate(47.001, 8.4, 0.4))
    seen = replace(plain, fix=replace(plain.fix, candidates=twins, heading_deg=10.0, heading_spread_deg=10.0))
    assert "Looking" not in shown_answer(seen, bundle)


def test_cells_of_one_name_are_one_zone_everywhere(bundle: Path) -> None:
    zones = tuple(ZoneOdds(n, name, odds) for n, (name, odds) in enumerate([("A", 0.3), ("B", 0.25), ("A", 0.2)]))
    fix = replace(sighting().fix, zones=zones)
    table = cards.zone_table(fix, Texts("en"))
    assert re.findall(r"(\d+) %.*?<bdi>(\w)</bdi>", table) == [("50", "A"), ("25", "B")]
    row = next(csv.DictReader(io.StringIO(session_log.to_csv([replace(sighting(), fix=fix)]))))
    assert (row["zone"], row["zone_probability"]) == ("A", "0.5")
    wide = replace(sighting(), fix=replace(fix, radius68_m=60.0))
    assert "Perhaps A (50 %)" in shown_answer(wide, bundle)


def test_names_from_a_bundle_cannot_become_markup(bundle: Path) -> None:
    hostile = replace(sighting(zone=HOSTILE).fix, campus=HOSTILE)
    shown = replace(sighting(), fix=hostile, name=HOSTILE)
    elsewhere = replace(sighting(), fix=replace(hostile, on_campus=False, radius68_m=None, radius95_m=None))
    english = Texts("en")
    for said in (
        shown_answer(shown, bundle),
        shown_answer(elsewhere, bundle),
        cards.logged(shown, english),
        cards.zone_table(hostile, english),
        cards.page_title(HOSTILE, HOSTILE),
    ):
        assert "<script" not in said


@pytest.mark.parametrize(
    ("heading", "spread", "photos", "advice"),
    [
        (45.0, 20.0, 1, "behind you, to the south-west"),
        (45.0, 120.0, 1, "Turn towards something that only one of them has"),
        (None, None, 1, "Turn towards something that only one of them has"),
        (45.0, 20.0, 2, "Turn towards something that only one of them has"),
    ],
)
def test_look_alikes_are_told_apart_by_what_lies_behind_where_that_is_known(
    bundle: Path, heading: float | None, spread: float | None, photos: int, advice: str
) -> None:
    alike = (Candidate(47.0, 8.4, 0.5), Candidate(47.001, 8.4, 0.45))
    fix = replace(sighting().fix, candidates=alike, heading_deg=heading, heading_spread_deg=spread, photos=photos)
    assert advice in cards.answer(replace(sighting(), fix=fix), Bundle.load(bundle), Texts("en"))


@pytest.mark.parametrize(
    ("before_m", "after_m", "said"),
    [
        ((24.0, 60.0), (9.0, 18.0), "3 photos: 24 m → 9 m"),
        ((9.0, 100.0), (10.0, 20.0), "3 photos: almost surely 100 m → 20 m"),
        ((9.0, 20.0), (12.0, 30.0), "3 photos: 9 m → 12 m"),
    ],
)
def test_more_photos_tell_the_radius_that_shrank(
    before_m: tuple[float, float], after_m: tuple[float, float], said: str
) -> None:
    fix = replace(sighting().fix, radius68_m=after_m[0], radius95_m=after_m[1], photos=3)
    assert said in cards.together(replace(sighting(), fix=fix), before_m, Texts("en"))


# the session log


def test_csv_holds_every_fix_and_no_formula() -> None:
    log = [sighting(truth=Place(47.0001, 8.4, 5.0)), sighting(lat=-33.9, zone=HOSTILE)]
    rows = list(csv.DictReader(io.StringIO(session_log.to_csv(log))))
    assert rows[0]["lat"] == "47.0"
    assert float(rows[0]["error_m"]) == pytest.approx(11.1, abs=0.1)
    assert rows[1]["lat"] == "-33.9"  # a number stays one
    assert rows[1]["zone"] == "'" + HOSTILE
    assert rows[1]["error_m"] == ""


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "  ="])
def test_texts_that_would_start_a_formula_are_made_harmless(start: str) -> None:
    row = next(csv.DictReader(io.StringIO(session_log.to_csv([sighting(zone=start + "1+1")]), newline="")))
    assert row["zone"].startswith("'")


def test_geojson_and_gpx() -> None:
    log = [sighting(truth=Place(47.0001, 8.4)), sighting(lat=47.001, zone="<&\x00 name")]
    collection = json.loads(session_log.to_geojson(log))
    assert [f["geometry"]["coordinates"] for f in collection["features"]] == [[8.4, 47.0], [8.4, 47.001]]
    assert collection["features"][0]["properties"]["truth_lat"] == 47.0001
    assert "truth_lat" not in collection["features"][1]["properties"]
    gpx = ElementTree.fromstring(session_log.to_gpx(log))
    space = "{http://www.topografix.com/GPX/1/1}"
    assert [point.get("lat") for point in gpx.iter(f"{space}wpt")] == ["47.0000000", "47.0010000"]
    assert len(list(gpx.iter(f"{space}trkpt"))) == 2
    assert [name.text for name in gpx.iter(f"{space}name")] == ["Library", "<& name"]


def test_exports_of_an_empty_log_are_whole_files() -> None:
    assert session_log.to_csv([]).startswith("time_utc,")
    assert json.loads(session_log.to_geojson([]))["features"] == []
    assert ElementTree.fromstring(session_log.to_gpx([])).tag.endswith("gpx")


def test_a_campus_that_cannot_tell_other_places_says_so_and_claims_a_place(bundle: Path) -> None:
    known = sighting()
    untold = replace(known, fix=replace(known.fix, on_campus=None))
    assert "too few photos to tell other places" in shown_answer(untold, bundle)
    assert "too few photos to tell other places" not in shown_answer(known, bundle)
    told, unknown = csv.DictReader(io.StringIO(session_log.to_csv([known, untold])))
    assert (told["on_campus"], unknown["on_campus"]) == ("True", "")
    assert unknown["lat"] == told["lat"]


def test_refused_photos_are_marked_and_are_nowhere() -> None:
    refused = sighting(truth=Place(47.01, 8.4))
    nowhere = replace(refused.fix, on_campus=False, radius68_m=None, radius95_m=None)
    refused = replace(refused, fix=nowhere, name="stranger.jpg")
    assert refused.place is None
    assert refused.error_m is None
    log = [sighting(), refused]
    _, row = csv.DictReader(io.StringIO(session_log.to_csv(log)))
    assert (row["answer"], row["photo"]) == ("elsewhere", "stranger.jpg")
    assert not any(row[key] for key in ("lat", "lon", "radius68_m", "radius95_m", "zone", "error_m"))
    feature = json.loads(session_log.to_geojson(log))["features"][1]
    assert feature["geometry"] is None
    assert feature["properties"]["answer"] == "elsewhere"
    gpx = session_log.to_gpx(log)
    assert gpx.count("<wpt") == gpx.count("<trkpt") == 1
    assert session_log.field_test([refused]) is None
    listed = "".join(cards.logged(entry, Texts("en")) for entry in reversed(log))
    assert listed.count("within") == 1
    assert "not located: it does not look like Testfield" in listed


def test_the_log_holds_the_photo_s_name_and_the_heading() -> None:
    plain = sighting()
    entry = replace(plain, name="IMG_7.jpg", fix=replace(plain.fix, heading_deg=123.45, heading_spread_deg=20.0))
    row = next(csv.DictReader(io.StringIO(session_log.to_csv([entry]))))
    assert (row["photo"], row["heading_deg"], row["heading_spread_deg"]) == ("IMG_7.jpg", "123.5", "20.0")


@pytest.mark.parametrize(
    ("zone", "shown"),
    [
        ("Asia/Jerusalem", "15:00:00"),  # 12:00 UTC in May, when its summer time holds
        (None, "12:00:00 UTC"),
        ("", "12:00:00 UTC"),
        ("Europe", "12:00:00 UTC"),
        ("Etc/Unknown", "12:00:00 UTC"),
        ("../../etc/passwd", "12:00:00 UTC"),
    ],
)
def test_the_log_s_times_are_utc_and_say_so_where_the_browser_names_no_zone(
    zone: str | None, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(st.context), "timezone", zone)
    assert f"<time>{shown}</time>" in cards.logged(sighting(), Texts("en"), time_zone())


def test_field_test_by_hand() -> None:
    # 1e-4 degrees of latitude are 11.1 m: one of three lies inside the radius of 10 m.
    log = [sighting(truth=Place(47.0 + north, 8.4)) for north in (5e-5, 1e-4, 2e-4)] + [sighting()]
    figures = session_log.field_test(log)
    assert figures is not None
    assert figures.count == 3
    assert figures.mean_m == pytest.approx(12.97, abs=0.02)
    assert figures.median_m == pytest.approx(11.12, abs=0.02)
    assert figures.inside68 == pytest.approx(1 / 3)
    assert session_log.field_test([sighting()]) is None


def test_the_log_keeps_no_probability_maps(bundle: Path) -> None:
    located = locate(Localizer.load(bundle), photo())
    assert located.fix.probability is not None
    (entry,) = session_log.added([], located)
    assert entry.fix == located.fix
    assert entry.fix.probability is None


def test_the_log_says_how_many_photos_a_place_was_read_from() -> None:
    entry = replace(sighting(), fix=replace(sighting().fix, photos=3))
    assert next(csv.DictReader(io.StringIO(session_log.to_csv([entry]))))["photos"] == "3"
    assert json.loads(session_log.to_geojson([entry]))["features"][0]["properties"]["photos"] == 3


def test_the_log_is_bounded() -> None:
    log: list[Sighting] = []
    for _ in range(session_log.MAX_ENTRIES + 3):
        log = session_log.added(log, sighting())
    assert len(log) == session_log.MAX_ENTRIES


# the queue


def test_gate_lets_few_in_keeps_some_waiting_and_turns_the_rest_away() -> None:
    gate, release, inside = Gate(at_once=1, waiting=1), threading.Event(), []

    def enter(waiting: int | None = None) -> None:
        with gate.turn(waiting=waiting):
            inside.append(threading.current_thread().name)
            release.wait(5)

    first, second = threading.Thread(target=enter), threading.Thread(target=enter)
    patient = threading.Thread(target=enter, args=(2,))
    first.start()
    while not inside:
        time.sleep(0.005)
    second.start()
    while not gate._waiting:
        time.sleep(0.005)
    with pytest.raises(BusyError) as busy, gate.turn():
        pass
    assert busy.value.waiting == 1
    assert len(inside) == 1
    patient.start()  # where it waits, two may stand in line
    while gate._waiting < 2:
        time.sleep(0.005)
    release.set()
    for thread in (first, second, patient):
        thread.join(5)
    assert len(inside) == 3
    with gate.turn():
        pass


def test_gate_gives_up_after_a_while_and_frees_its_turn_after_an_error() -> None:
    gate = Gate(at_once=1, waiting=5)
    with gate.turn(), pytest.raises(BusyError), gate.turn(timeout_s=0.02):
        pass
    with pytest.raises(ValueError, match="ours"), gate.turn():
        raise ValueError("ours")
    with gate.turn(timeout_s=0.02):
        pass


def test_a_gate_that_is_widened_lets_one_in_that_waits_and_is_never_narrowed() -> None:
    gate, inside = Gate(at_once=1, waiting=5), threading.Event()

    def enter() -> None:
        with gate.turn(timeout_s=5):
            inside.set()

    second = threading.Thread(target=enter)
    with gate.turn():
        second.start()
        while not gate._waiting:
            time.sleep(0.005)
        gate.widen(2)
        assert inside.wait(5)
        second.join(5)
        gate.widen(1)
        with gate.turn(timeout_s=0.02), pytest.raises(BusyError), gate.turn(timeout_s=0.02):
            pass


# the camera's message


def message(data: bytes, **more: Any) -> dict[str, Any]:
    return {"url": "data:image/jpeg;base64," + base64.b64encode(data).decode(), "exif": None, "phone": None} | more


def test_a_shot_brings_photo_exif_and_position() -> None:
    original = photo(at=(47.1, 8.5))
    at = original.index(b"Exif\0\0")
    length = int.from_bytes(original[at - 2 : at], "big") - 2
    exif = base64.b64encode(original[at : at + length]).decode()
    shot = shot_from(message(photo(), exif=exif, phone={"lat": 47.0, "lon": 8.4, "error_m": 12}))
    assert shot.recorded is not None
    assert shot.recorded.lat_deg == pytest.approx(47.1, abs=1e-5)
    assert shot.phone == Place(47.0, 8.4, 12.0)


@pytest.mark.parametrize(
    "value",
    [None, 3, [], {}, {"url": ""}, {"url": "data:image/jpeg;base64,"}, {"url": "data:,!!!"}, {"url": "no comma"}],
)
def test_a_broken_message_is_a_photo_error(value: Any) -> None:
    with pytest.raises(PhotoError):
        shot_from(value)


@pytest.mark.parametrize(
    "phone",
    [None, 1, {}, {"lat": "47", "lon": 8, "error_m": 1}, {"lat": float("nan"), "lon": 8, "error_m": 1},
     {"lat": 147, "lon": 8, "error_m": 1}],
)  # fmt: skip
def test_a_broken_position_is_no_position(phone: Any) -> None:
    assert shot_from(message(photo(), phone=phone)).phone is None


def test_a_photos_own_gps_stands_before_the_phones(bundle: Path) -> None:
    localizer = Localizer.load(bundle)
    phone = Place(47.2, 8.6, 9.0)
    assert locate(localizer, photo(at=(47.1, 8.5)), phone=phone).truth_source == "photo"
    only_phone = locate(localizer, photo(), phone=phone)
    assert only_phone.truth == phone
    assert only_phone.truth_source == "phone"
    assert locate(localizer, photo()).error_m is None


# campuses


def test_a_packed_bundle_can_be_taken_in(bundle: Path, tmp_path: Path) -> None:
    data = campuses.packed(Bundle.load(bundle))
    path = campuses.taken_in(data, "testfield.campus")
    assert Bundle.load(path).manifest == Bundle.load(bundle).manifest
    assert campuses.taken_in(data, "again.campus") == path
    assert campuses.title(path) == "Testfield"
    assert campuses.packed(Bundle.load(path)) == data
    del tmp_path


@pytest.mark.parametrize("what", ["nonsense", "cut short", "changed byte"])
def test_a_bad_campus_file_is_refused_and_not_kept(what: str, bundle: Path) -> None:
    data = campuses.packed(Bundle.load(bundle))
    if what == "nonsense":
        data = b"not a zip"
    elif what == "cut short":
        data = data[: len(data) // 2]
    else:
        at = data.index(b"gallery.npz") + 200  # within the packed bytes of one file, not between two
        data = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
    before = sorted(Path(campuses._workshop().name).iterdir())
    with pytest.raises(CampusError) as error:
        campuses.taken_in(data, "mine.campus")
    assert sorted(Path(campuses._workshop().name).iterdir()) == before
    if isinstance(error.value, BundleError):
        assert "mine.campus" in str(error.value)


def test_installed_starts_with_the_default_and_skips_other_files(
    tmp_path: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_bundle(tmp_path / "b.campus", name="B", samples=False)
    make_bundle(tmp_path / "a", name="A", samples=False)
    (tmp_path / "notes.txt").write_text("no campus")
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("CAMPUS_BUNDLE", str(bundle))
    assert campuses.installed(tmp_path) == [bundle, tmp_path / "a", tmp_path / "b.campus"]
    monkeypatch.setenv("CAMPUS_BUNDLE", str(tmp_path / "a"))
    assert campuses.installed(tmp_path) == [tmp_path / "a", tmp_path / "b.campus"]


def test_file_name_is_safe(bundle: Path) -> None:
    manifest = Bundle.load(bundle).manifest
    hostile = Bundle(bundle, manifest.model_copy(update={"name": "../a b/<c>"}))
    assert campuses.file_name(hostile) == "a-b--c.campus"
    assert campuses.file_name(Bundle(bundle, manifest.model_copy(update={"name": "…"}))) == "campus.campus"


def test_uploaded_campuses_make_room_for_one_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campuses, "MAX_TAKEN_IN", 2)
    taken = []
    for name in ("A", "B", "C"):
        data = make_bundle(tmp_path / f"{name}.campus", name=name, samples=False, with_map=False).read_bytes()
        taken.append(campuses.taken_in(data, f"{name}.campus"))
    assert not taken[0].exists()
    assert taken[1].exists()
    assert taken[2].exists()


# how it looks


def _luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """The contrast ratio of WCAG 2.2 between two colours, 1 to 21."""
    light, dim = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dim + 0.05)


def test_contrast_formula() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_streamlit_knows_every_option_that_is_set() -> None:
    def options(table: dict[str, Any], under: str = "") -> Iterator[str]:
        for name, value in table.items():
            yield from options(value, f"{under}{name}.") if isinstance(value, dict) else [under + name]

    chosen = list(options(tomllib.loads((REPOSITORY / ".streamlit" / "config.toml").read_text())))
    assert "runner.postScriptGC" in chosen
    for option in chosen:  # one that an update dropped would be passed over with no more than a warning
        config.get_option(option)


@pytest.mark.parametrize("look", ["light", "dark"])
def test_texts_have_aa_contrast(look: str) -> None:
    theme = tomllib.loads((REPOSITORY / ".streamlit" / "config.toml").read_text())["theme"]
    colours = {**{key: value for key, value in theme.items() if isinstance(value, str)}, **theme[look]}
    css = (REPOSITORY / "app" / "frontend" / "page.css").read_text()
    blocks = re.findall(r":root \{([^}]*)\}", css)
    own = dict(re.findall(r"--campus-(\w+): (#[0-9a-f]{6})", blocks[0 if look == "light" else 1]))
    assert {"card", "soft", "bar"} <= own.keys()
    grounds = [colours["backgroundColor"], colours["secondaryBackgroundColor"], own["card"], own["bar"]]
    for ground in grounds:
        for text in (colours["textColor"], colours["primaryColor"], own["soft"]):
            assert contrast(text, ground) >= 4.5, (text, ground)
    assert contrast("#ffffff", "#0b57d0") >= 4.5  # the big button
    assert contrast(colours["borderColor"], colours["backgroundColor"]) >= 3.0  # what shows a control's edge


def test_signs_on_the_map_stand_out_from_its_ground() -> None:
    for theme, ground in ((LIGHT, basemap.LIGHT["ground"]), (DARK, basemap.DARK["ground"])):
        for colour in (theme.fix, theme.truth, theme.zone, theme.candidate, theme.text):
            assert contrast("#{:02x}{:02x}{:02x}".format(*colour), ground) >= 4.5


def test_the_app_thanks_openstreetmap_for_its_map_and_nobody_without_one(tmp_path: Path) -> None:
    bundle = Bundle.load(make_bundle(tmp_path / "bare", with_map=False))
    assert cards.map_credit(bundle) == ""
    thanks = {"type": "FeatureCollection", "features": [], "attribution": "© OpenStreetMap <b>contributors</b>, ODbL"}
    changed = remapped(bundle, thanks, tmp_path / "thanked")
    assert "© OpenStreetMap bcontributors/b, ODbL" in cards.map_credit(changed)
