"""Day or night at a place, by the sun."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from math import asin, atan2, cos, degrees, radians, sin, tan

# Night: the sun this far below the horizon. Civil twilight ends at -6 degrees; from about -4 on, street lamps
# and windows outshine the sky in a photo.
NIGHT_SUN_DEG = -4.0
_J2000 = datetime(2000, 1, 1, 12, tzinfo=timezone.utc)
_STEP = timedelta(minutes=10)


def sun_deg(lat_deg: float, lon_deg: float, time: datetime) -> float:
    """The sun's elevation above the horizon in degrees at an aware time, within 0.02 of it from 1950 to 2050.

    By the Astronomical Almanac's low-precision formulas (section C); below the horizon with NOAA's refraction.
    """
    days = (time - _J2000) / timedelta(days=1)
    anomaly = radians(357.528 + 0.9856003 * days)
    longitude = radians(280.460 + 0.9856474 * days + 1.915 * sin(anomaly) + 0.020 * sin(2 * anomaly))
    obliquity = radians(23.439 - 4e-7 * days)
    declination = asin(sin(obliquity) * sin(longitude))
    ascension = atan2(cos(obliquity) * sin(longitude), cos(longitude))
    hour = radians(280.46062 + 360.98564737 * days + lon_deg) - ascension
    lat = radians(lat_deg)
    height = asin(sin(lat) * sin(declination) + cos(lat) * cos(declination) * cos(hour))
    bent_deg = -20.774 / 3600 / tan(height) if degrees(height) < -0.575 else 0.0
    return degrees(height) + bent_deg


def is_night(lat_deg: float, lon_deg: float, time: datetime) -> bool:
    """Whether it was dark at an aware time."""
    return sun_deg(lat_deg, lon_deg, time) < NIGHT_SUN_DEG


def nights(lat_deg: float, lon_deg: float, first: datetime, last: datetime) -> list[tuple[datetime, datetime]]:
    """The nights between two aware times, to ten minutes: when each begins and ends."""
    found: list[tuple[datetime, datetime]] = []
    time, began = first, None
    while time <= last:
        dark = is_night(lat_deg, lon_deg, time)
        if dark and began is None:
            began = time
        elif not dark and began is not None:
            found.append((began, time))
            began = None
        time += _STEP
    return found if began is None else [*found, (began, last)]
