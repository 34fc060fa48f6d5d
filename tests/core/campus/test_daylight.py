"""Day or night, held against the astral package's sun."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from random import Random

import pytest
from astral import Observer
from astral.sun import elevation

from core.campus.daylight import NIGHT_SUN_DEG, is_night, nights, sun_deg

MIDSUMMER = datetime(2024, 6, 21, 12, tzinfo=timezone.utc)


def test_the_sun_stands_where_astral_has_it() -> None:
    rng, near = Random(1), 0
    for _ in range(2000):
        lat_deg, lon_deg = rng.uniform(-84, 84), rng.uniform(-180, 180)
        time = datetime(1990, 1, 1, tzinfo=timezone.utc) + timedelta(days=rng.uniform(0, 365 * 60))
        wanted_deg = elevation(Observer(lat_deg, lon_deg), time)
        if -20 < wanted_deg < -1:
            near += 1
            assert sun_deg(lat_deg, lon_deg, time) == pytest.approx(wanted_deg, abs=0.02)
        if abs(wanted_deg - NIGHT_SUN_DEG) > 0.02:
            assert is_night(lat_deg, lon_deg, time) == (wanted_deg < NIGHT_SUN_DEG)
    assert near > 100


def test_a_week_has_seven_nights_and_a_polar_summer_none() -> None:
    found = nights(47.0, 8.4, MIDSUMMER, MIDSUMMER + timedelta(days=7))
    assert len(found) == 7
    for begin, end in found:
        assert is_night(47.0, 8.4, begin)
        assert not is_night(47.0, 8.4, end)
        assert timedelta(hours=5) < end - begin < timedelta(hours=8)
    assert nights(78.2, 15.6, MIDSUMMER, MIDSUMMER + timedelta(days=7)) == []
    winter = MIDSUMMER + timedelta(days=183)
    assert nights(78.2, 15.6, winter, winter + timedelta(days=1)) == [(winter, winter + timedelta(days=1))]
