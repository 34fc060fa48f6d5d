"""The session log: its files, its figures, and what it leaves out."""

from __future__ import annotations

import csv
import io
import json
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from html import escape
from pathlib import Path

import pytest
import streamlit as st

from app import cards, session_log
from app.language import Lang
from app.map.deck import Place
from app.shared import time_zone
from app.sighting import Sighting
from app.texts import Texts
from core.locate.localizer import Localizer
from tests.app.harness import HOSTILE, locate, sighting
from tests.bundles import photo


@pytest.mark.parametrize("lang", ["en", "he"])
def test_each_column_of_the_downloads_has_a_note(lang: Lang) -> None:
    header = next(csv.reader(io.StringIO(session_log.to_csv([sighting()]))))
    noted = [name for _, names in session_log.COLUMN_NOTES for name in names]
    assert sorted(noted) == sorted(header)
    said = cards.columns(Texts(lang))
    assert all(escape(Texts(lang)[key]) in said for key, _ in session_log.COLUMN_NOTES)


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
    assert f"<time><bdi>2026-05-01</bdi> {shown}</time>" in cards.logged(sighting(), Texts("en"), time_zone())


def test_field_test_by_hand() -> None:
    # 1e-4 degrees of latitude are 11.1 m: one of three lies inside the radius of 10 m.
    log = [sighting(truth=Place(47.0 + north, 8.4)) for north in (5e-5, 1e-4, 2e-4)] + [sighting()]
    figures = session_log.field_test(log)
    assert figures is not None
    assert figures.gps.count == 3
    assert figures.gps.mean_m == pytest.approx(12.97, abs=0.02)
    assert figures.gps.median_m == pytest.approx(11.12, abs=0.02)
    assert figures.gps.inside68 == pytest.approx(1 / 3)
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
