"""The log that a browser keeps: the same lines come back, and nothing else does."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from streamlit.testing.v1 import AppTest

from app.lasting_log import MAX_ENTRY_CHARS, as_json, from_json, with_kept
from app.map.deck import Place
from app.session_log import MAX_ENTRIES, to_csv
from app.sighting import Sighting
from core.locate.fix import Candidate, Fix, ZoneOdds
from tests.app.harness import Start


def sighting(minute: int = 0) -> Sighting:
    places = (Candidate(47.0, 8.4, 0.9),)
    fix = Fix(47.0, 8.4, 10.0, 25.0, (ZoneOdds(0, "ספרייה", 0.9),), places, True, 0.8, "Testfield", {"network": 5.0})
    at = datetime(2026, 5, 1, 12, tzinfo=timezone.utc) + timedelta(minutes=minute)
    return Sighting(
        fix, at, "data:image/jpeg;base64,AAAA", Place(47.1, 8.4, 5.0), "person", name="a.jpg", title="שער", note="a\nb"
    )


@pytest.mark.parametrize("on_campus", [True, False, None])
def test_a_line_comes_back_as_it_was(on_campus: bool | None) -> None:
    entry = sighting()
    radii_m = (None, None) if on_campus is False else (10.0, 25.0)
    fix = replace(entry.fix, on_campus=on_campus, heading_deg=359.0, outliers=(1,))
    fix = replace(fix, radius68_m=radii_m[0], radius95_m=radii_m[1])
    entry = replace(entry, fix=fix, walked=Place(47.0001, 8.4, 9.0) if on_campus else None)
    back = from_json(as_json(entry))
    assert back == entry
    assert back is not None
    assert back.key == entry.key
    assert to_csv([back]) == to_csv([entry])


def test_a_walk_of_an_hour_and_shares_rounded_above_one_are_kept() -> None:
    entry, more = sighting(), 1.0000002
    zones, places = (ZoneOdds(0, "Library", more),), (Candidate(47.0, 8.4, more),)
    entry = replace(entry, fix=replace(entry.fix, photos=3600, zones=zones, candidates=places))
    assert from_json(as_json(entry)) == entry


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("thumbnail", "https://elsewhere.example/pixel.png"),
        ("thumbnail", "data:image/jpeg;base64,' onerror='alert(1)"),
        ("key", "../other"),
        ("name", "x" * 1001),
        ("title", "x" * 61),
        ("note", "x" * 501),
        ("time_utc", "2026-05-01T12:00:00"),
        ("truth", {"lat": 200.0, "lon": 0.0, "error_m": None}),
        ("fix", {}),
        ("more", 1),
    ],
)
def test_what_a_browser_made_up_is_left_out(field: str, value: object) -> None:
    plain = json.loads(as_json(sighting()))
    assert from_json(json.dumps(plain)) is not None
    assert from_json(json.dumps(plain | {field: value})) is None


def test_no_number_is_infinite_and_no_zone_is_missing() -> None:
    text = as_json(sighting())
    assert from_json(text.replace("25.0", "1e999")) is None
    plain = json.loads(text)
    plain["fix"]["zones"] = []
    assert from_json(json.dumps(plain)) is None


@pytest.mark.parametrize("changed", [{"on_campus": False}, {"radius68_m": None}, {"radius95_m": None}])
def test_a_refused_photo_s_fix_has_no_radii_and_any_other_has_both(changed: dict[str, object]) -> None:
    plain = json.loads(as_json(sighting()))
    plain["fix"] |= changed
    assert from_json(json.dumps(plain)) is None


@pytest.mark.parametrize("text", [None, 3, "", "[", "{}", "[" * 50_000, "x" * (MAX_ENTRY_CHARS + 1)])
def test_what_is_no_line_is_none(text: object) -> None:
    assert from_json(text) is None


def test_kept_lines_come_before_those_of_now_each_once_and_in_order() -> None:
    early, late, now = sighting(1), sighting(2), sighting(3)
    kept = [as_json(now), "damaged", as_json(late), as_json(early), as_json(early)]
    assert [entry.key for entry in with_kept([now], kept)] == [early.key, late.key, now.key]
    assert with_kept([now], {"no": "list"}) == [now]
    assert len(with_kept([now], [as_json(sighting(minute)) for minute in range(MAX_ENTRIES + 5)])) == MAX_ENTRIES


def lines_sent(app: AppTest) -> set[str]:
    """The keys of the lines that a run gives the browser."""
    (log,) = (part.proto for part in app.get("bidi_component") if part.proto.component_name == "campus_log")
    return set(json.loads(log.json)["lines"])


def test_a_line_of_a_run_that_was_ended_goes_with_the_next_one_and_so_does_one_that_was_changed(
    start: Start,
) -> None:
    app = start()
    unsent, last = sighting(1), sighting(2)
    app.session_state["log"] = [unsent, last]  # as a tap leaves it that comes before the end of the run
    assert lines_sent(app.run()) == {unsent.key, last.key}
    app.run()
    assert lines_sent(app.run()) == set()
    app.session_state["log"] = [replace(unsent, note="corrected"), last]
    assert lines_sent(app.run()) == {unsent.key}
    assert not app.exception
