"""An older photo keeps its own place and time; one just taken takes from its EXIF only what the phone did not know."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from app.collect.recorded import by_recorded
from core.campus.inbox import Sidecar
from core.photo.capture import Capture

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=timezone.utc)
TOLD = Sidecar(lat=47.0, lon=8.4, error_m=9.0, source="gps", time_utc=NOW, heading_deg=10.0)
ZONE = timedelta(hours=2)


def taken(time_utc: datetime | None, clock: datetime | None = None, *, placed: bool = True) -> Capture:
    seen = Capture(time_utc=time_utc, local_time=clock, heading_deg=200.0)
    return replace(seen, lat_deg=46.9, lon_deg=8.3, error_m=5.0) if placed else seen


def test_an_older_photo_has_its_own_place_time_and_heading() -> None:
    year = timedelta(days=365)
    found = by_recorded(TOLD, taken(NOW - year))
    assert (found.lat, found.lon, found.error_m, found.source) == (46.9, 8.3, 5.0, "photo")
    assert (found.time_utc, found.heading_deg) == (NOW - year, 200.0)
    bare = by_recorded(TOLD, Capture(time_utc=NOW - year))
    assert (bare.placed, bare.source, bare.time_utc, bare.heading_deg) == (False, "none", NOW - year, None)
    tapped = by_recorded(TOLD.changed(source="tap"), taken(NOW - year))
    assert (tapped.lat, tapped.source, tapped.time_utc) == (47.0, "tap", NOW - year)


@pytest.mark.parametrize(
    "seen",
    [
        taken(NOW - timedelta(seconds=50)),
        taken(NOW - timedelta(minutes=3), (NOW + ZONE).replace(tzinfo=None)),  # the time of the GPS's last fix
        taken(None, (NOW + ZONE - timedelta(seconds=20)).replace(tzinfo=None)),
        taken(None),
    ],
)
def test_a_photo_just_taken_stays_where_the_phone_was(seen: Capture) -> None:
    assert by_recorded(TOLD, seen, ZONE) == TOLD


def test_a_clock_without_its_zone_is_the_phone_s() -> None:
    clock = (NOW + ZONE - timedelta(hours=5)).replace(tzinfo=None)
    found = by_recorded(TOLD, taken(None, clock, placed=False), ZONE)
    assert (found.placed, found.time_utc) == (False, NOW - timedelta(hours=5))
    assert by_recorded(TOLD, taken(None, clock)) == TOLD, "without the zone nobody knows when that was"


def test_what_the_phone_did_not_know_comes_from_the_camera() -> None:
    found = by_recorded(Sidecar(time_utc=NOW), taken(NOW))
    assert (found.lat, found.source, found.heading_deg) == (46.9, "photo", 200.0)
    assert by_recorded(Sidecar(), taken(NOW)).time_utc == NOW
