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
from pathlib import Path
from string import Formatter
from typing import Any

import pytest
import tomllib
from streamlit import config

from app import campuses, cards, session_log, texts
from app.gate import BusyError, Gate
from app.language import Lang, language_of
from app.map.deck import Place
from app.map.shapes import DARK, LIGHT
from app.sighting import Sighting, locate
from app.texts import Texts
from app.widgets import shot_from
from core.campus.bundle import Bundle
from core.errors import BundleError, CampusError, PhotoError
from core.locate.fix import Candidate, Fix, ZoneOdds
from core.locate.localizer import Localizer
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
    english, hebrew = texts._ALL["en"], texts._ALL["he"]
    assert english.keys() == hebrew.keys()
    for key in english:
        blanks = [{field for _, field, _, _ in Formatter().parse(said[key]) if field} for said in (english, hebrew)]
        assert blanks[0] == blanks[1], key
        assert hebrew[key].strip()


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


@pytest.mark.parametrize(("metres", "shown"), [(0.44, "0.4"), (2.9, "2.9"), (2.96, "3"), (9.6, "10"), (123.4, "123")])
def test_metres(metres: float, shown: str) -> None:
    assert cards.metres(metres) == shown


@pytest.mark.parametrize(
    ("heading", "spread", "english", "hebrew"),
    [
        (44.6, 19.6, "Looking north-east (45° ± 20°)", "המבט לצפון־מזרח (\u206645° ± 20°\u2069)"),
        (359.7, None, "Looking north (0°)", "המבט לצפון (0°)"),
        (180.0, 5.0, "Looking south (180° ± 5°)", "המבט לדרום (\u2066180° ± 5°\u2069)"),
        (None, None, None, None),
        (90.0, 120.0, None, None),  # towards half the horizon is no direction
    ],
)
def test_the_answer_says_where_the_camera_looked(
    heading: float | None, spread: float | None, english: str | None, hebrew: str | None
) -> None:
    plain = sighting()
    seen = replace(plain, fix=replace(plain.fix, heading_deg=heading, heading_spread_deg=spread))
    spoken: dict[Lang, str | None] = {"en": english, "he": hebrew}
    for lang, said in spoken.items():
        answer = cards.answer(seen, Texts(lang))
        assert f"<p>{said}</p>" in answer if said else not re.search("Looking|המבט", answer)


def test_between_look_alike_places_no_direction_is_said() -> None:
    plain = sighting()
    twins = (Candidate(47.0, 8.4, 0.5), Candidate(47.001, 8.4, 0.4))
    seen = replace(plain, fix=replace(plain.fix, candidates=twins, heading_deg=10.0, heading_spread_deg=10.0))
    assert "Looking" not in cards.answer(seen, Texts("en"))


def test_cells_of_one_name_are_one_zone_in_the_details() -> None:
    zones = tuple(ZoneOdds(n, name, odds) for n, (name, odds) in enumerate([("A", 0.3), ("B", 0.25), ("A", 0.2)]))
    table = cards.zone_table(replace(sighting().fix, zones=zones), Texts("en"))
    assert re.findall(r"(\d+%).*?<bdi>(\w)</bdi>", table) == [("50%", "A"), ("25%", "B")]


def test_names_from_a_bundle_cannot_become_markup() -> None:
    hostile = replace(sighting(zone=HOSTILE).fix, campus=HOSTILE)
    shown = replace(sighting(), fix=hostile)
    elsewhere = replace(sighting(), fix=replace(hostile, on_campus=False))
    english = Texts("en")
    for said in (
        cards.answer(shown, english),
        cards.answer(elsewhere, english),
        cards.log([shown], english),
        cards.zone_table(hostile, english),
        cards.page_title(HOSTILE, HOSTILE),
    ):
        assert "<script" not in said


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


def test_the_log_is_bounded() -> None:
    log: list[Sighting] = []
    for _ in range(session_log.MAX_ENTRIES + 3):
        log = session_log.added(log, sighting())
    assert len(log) == session_log.MAX_ENTRIES


# the queue


def test_gate_lets_few_in_keeps_some_waiting_and_turns_the_rest_away() -> None:
    gate, release, inside = Gate(at_once=1, waiting=1), threading.Event(), []

    def enter() -> None:
        with gate.turn():
            inside.append(threading.current_thread().name)
            release.wait(5)

    first, second = threading.Thread(target=enter), threading.Thread(target=enter)
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
    release.set()
    first.join(5)
    second.join(5)
    assert len(inside) == 2
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
        at = data.index(b"Testfield") if b"Testfield" in data else len(data) // 3
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
    for theme, ground in ((LIGHT, "#f4f1ea"), (DARK, "#14181e")):
        for colour in (theme.fix, theme.truth, theme.zone, theme.candidate, theme.text):
            assert contrast("#{:02x}{:02x}{:02x}".format(*colour), ground) >= 4.5


def test_the_app_thanks_openstreetmap_for_its_map_and_nobody_without_one(tmp_path: Path) -> None:
    bundle = Bundle.load(make_bundle(tmp_path / "bare", with_map=False))
    assert cards.map_credit(bundle) == ""
    thanks = {"type": "FeatureCollection", "features": [], "attribution": "© OpenStreetMap <b>contributors</b>, ODbL"}
    changed = remapped(bundle, thanks, tmp_path / "thanked")
    assert "© OpenStreetMap bcontributors/b, ODbL" in cards.map_credit(changed)
