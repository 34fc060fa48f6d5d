"""The session's track: the filter knows how far people walk, and what it says is drawn and exported."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from xml.etree import ElementTree

import pytest
from streamlit.testing.v1 import AppTest

from app import session_log, widgets
from app.following import moved_on
from app.sighting import Sighting
from app.track import Track, place_of
from core.campus.frame import distance_m
from core.locate.fix import Fix
from core.locate.localizer import Localizer
from core.locate.reading import Reading
from tests.app.harness import Start, give, html, layers, two_views
from tests.bundles import Kind, photo


@pytest.fixture(scope="module")
def localizer(bundle: Path) -> Localizer:
    return Localizer.load(bundle)


def reading(localizer: Localizer, east_m: float, north_m: float, at_s: float | None = None, view: int = 1) -> Reading:
    """A photo read, taken at so many seconds since 1970, or with no time of its own."""
    read = localizer.read(photo(east_m=east_m, north_m=north_m, view=view))
    taken = None if at_s is None else datetime.fromtimestamp(at_s, timezone.utc)
    return replace(read, capture=replace(read.capture, time_utc=taken))


def apart_m(one: Fix, other: Fix) -> float:
    return float(distance_m(one.lat, one.lon, other.lat, other.lon))


def test_a_leap_that_nobody_walks_is_not_followed_and_a_long_walk_is(localizer: Localizer) -> None:
    track = Track(localizer)
    for second in (0, 2, 4):
        start = track.add(reading(localizer, -52 + second, 68, float(second), view=second + 1))
    leap = reading(localizer, 50, -34, 6.0, view=7)
    answer = localizer.fix_of(leap)
    assert apart_m(start, answer) > 100
    assert apart_m(start, track.add(leap)) < 30
    for minute in (10, 11):
        later = track.add(reading(localizer, 50, -34, 60.0 * minute, view=minute))
    assert apart_m(later, answer) < 30


def test_photos_of_an_earlier_hour_begin_another_walk_and_clocks_may_differ(localizer: Localizer) -> None:
    now = [10_000.0]
    track = Track(localizer, lambda: now[0])
    track.add(reading(localizer, -52, 68))
    close = track.add(reading(localizer, -50, 66, 9_990.0, view=2))  # the phone's clock is 10 s behind
    assert close.photos == 2
    earlier = track.add(reading(localizer, 50, -34, 1_000.0))
    assert earlier.photos == 1
    assert apart_m(earlier, localizer.fix_of(reading(localizer, 50, -34))) < 15


def test_a_photo_without_utc_is_of_its_camera_s_clock_once_that_is_known(localizer: Localizer) -> None:
    track = Track(localizer, lambda: 90_000.0)
    for second in (0, 2, 4):
        at = reading(localizer, -52 + second, 68, 10_000.0 + second, view=second + 1)
        clock = datetime.fromtimestamp(10_000.0 + second + 3 * 3600, timezone.utc).replace(tzinfo=None)
        here = replace(at.capture, local_time=clock, time_utc=None if second == 4 else at.capture.time_utc)
        start = track.add(replace(at, capture=here))
    leap = reading(localizer, 50, -34, 10_006.0, view=7)
    fix = track.add(leap)
    assert fix.photos == 4  # and no new walk
    assert apart_m(start, fix) < 30  # nobody walks so far in two seconds


def test_a_live_place_is_logged_each_ten_metres_and_a_refused_one_never(localizer: Localizer) -> None:
    def seen(east_m: float, kind: Kind = "good") -> Sighting:
        fix = localizer.locate(photo(kind, east_m=east_m, north_m=0))
        at = datetime(2026, 5, 1, tzinfo=timezone.utc)
        return Sighting(fix, at, "data:image/jpeg;base64,", walked=place_of(fix))

    assert moved_on([], seen(0))
    assert not moved_on([seen(0)], seen(5))
    assert moved_on([seen(0)], seen(20))
    assert not moved_on([], seen(20, "elsewhere"))


def test_each_walk_is_a_line_of_its_own_and_a_sample_is_on_none(localizer: Localizer) -> None:
    """The browser keeps lines of other days and other campuses."""
    fix = localizer.locate(photo(east_m=0, north_m=0))
    noon = datetime(2026, 5, 1, 12, tzinfo=timezone.utc)

    def line(minutes: float, campus: str = "Testfield", sample: bool = False) -> Sighting:
        walked = None if sample else place_of(fix)
        at = noon + timedelta(minutes=minutes)
        return Sighting(replace(fix, campus=campus), at, "data:image/jpeg;base64,", walked=walked)

    yesterday = [line(-1440), line(-1435)]
    log = [*yesterday, line(0), line(3, sample=True), line(5), line(8, "Hillside"), line(9)]
    gpx = ElementTree.fromstring(session_log.to_gpx(log))
    assert [len(segment) for segment in gpx.findall(".//{*}trkseg")] == [2, 2, 1, 1]
    assert len(gpx.findall("{*}wpt")) == len(log), "the sample is a place, and no part of a walk"
    assert ElementTree.fromstring(session_log.to_gpx([line(0, sample=True)])).find("{*}trk") is None


def drawn_track(app: AppTest) -> list[list[float]]:
    """(lon, lat) of the dots of the track on the page's map."""
    shown = json.loads(app.get("deck_gl_json_chart")[0].proto.json)
    return [row["at"] for layer in shown["layers"] if layer["id"] == "track" for row in layer["data"]]


def test_the_page_draws_and_exports_the_filtered_track(start: Start) -> None:
    app = start()
    for view, (east, north) in enumerate(((-52, 68), (50, -34)), start=1):
        data = photo(east_m=east, north_m=north, format="PNG", view=view)
        app.file_uploader[0].set_value([("a.png", data, "image/png")]).run()
    app.button_group(key="page").set_value("log").run()
    assert not app.exception
    log: list[Sighting] = app.session_state["log"]
    first, leap = log
    assert leap.walked is not None
    assert apart_m(first.fix, leap.fix) > 100, "the answer is the photo's own"
    assert float(distance_m(first.fix.lat, first.fix.lon, leap.walked.lat, leap.walked.lon)) < 60, "the track is not"
    assert drawn_track(app)[-1] == pytest.approx([leap.walked.lon, leap.walked.lat], abs=1e-5)
    gpx = ElementTree.fromstring(session_log.to_gpx(log))
    last = gpx.findall(".//{*}trkpt")[-1]
    assert float(last.get("lat", "")) == pytest.approx(leap.walked.lat, abs=1e-6)
    assert float(gpx.findall(".//{*}wpt")[-1].get("lat", "")) == pytest.approx(leap.fix.lat, abs=1e-6)
    assert f"{leap.walked.lat:.7f}".rstrip("0") in session_log.to_csv(log)


def test_a_refused_photo_leaves_no_dot_and_the_dots_of_earlier_ones_are_named(start: Start) -> None:
    app = give(start(), photo("elsewhere"))
    assert not {"track", "track_line"} & layers(app)
    assert "<ul class='legend'" not in html(app)
    give(app, photo(east_m=-52, north_m=68, view=1))
    give(app, photo("elsewhere", view=2))
    assert app.session_state["current"].place is None
    assert len(drawn_track(app)) == 1
    assert "earlier photos" in html(app)


def test_what_is_taken_out_of_an_answer_leaves_the_track(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    app = start()
    photos = [(name, data, "image/png") for name, data in zip(("a.png", "b.png"), two_views(-52, 68), strict=True)]
    app.file_uploader[0].set_value(photos).run()
    together = app.session_state["log"][-1].walked
    gone = frozenset({app.session_state["play"][0].key})
    monkeypatch.setattr(widgets, "taken_out", lambda: gone)
    app.run()
    alone = app.session_state["log"][-1].walked
    assert not app.exception
    assert alone is not None
    assert alone.error_m > together.error_m, "one photo says less than two"


def test_a_sample_is_in_no_track(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even where what was taken beside it is taken out again."""
    app = start()
    photos = [(name, data, "image/png") for name, data in zip(("a.png", "b.png"), two_views(-52, 68), strict=True)]
    app.file_uploader[0].set_value(photos).run()
    sample, own = app.session_state["play"]
    app.session_state["play"] = [replace(sample, own=False), own]
    monkeypatch.setattr(widgets, "taken_out", lambda: frozenset({own.key}))
    app.run()
    assert not app.exception
    assert app.session_state["log"][-1].walked is None
    app.button_group(key="page").set_value("log").run()
    shown = json.loads(app.get("deck_gl_json_chart")[0].proto.json)
    assert not {"track", "track_line"} & {layer["id"] for layer in shown["layers"]}
