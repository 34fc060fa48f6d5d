"""A Fix as the sentences of a GPS receiver, NMEA 0183 version 2.3 and later: RMC, GGA, GSA, GST, VTG, ZDA.

Nothing here saw a satellite, and the sentences say so where they can: the mode of RMC and VTG is E, *estimated*.
Programs want a quality and at least four satellites before they take a position, so GGA counts four. GSA names none:
where it names four, gpsd takes RMC alone for a fix in three dimensions.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from importlib import import_module

from core.errors import MissingDependency
from core.locate.fix import Fix

GPS_FIX, ESTIMATED, NO_FIX = 1, 6, 0
# ArduPilot and ROS's nmea_navsat_driver take 6, "estimated (dead reckoning)", for no fix at all; gpsd takes both.
QUALITIES = (GPS_FIX, ESTIMATED)
SATELLITES = 4  # what programs and autopilots ask of a receiver; none was seen
UNSEEN = ("",) * 12  # the satellites of GSA
# The 68 % radius of a circular Gaussian is 1.51 times its standard deviation along one axis: sqrt(-2 ln 0.32).
RADIUS68_PER_SIGMA = 1.5096
# gpsd reads a receiver's error from the dilution of precision alone, times 19 m (its `eph`), whatever GST says.
METRES_PER_HDOP = 19.0
KNOTS_PER_M_S, KMH_PER_M_S = 1.943844, 3.6
TALKER = "GP"


@dataclass(frozen=True)
class _Moment:
    """A time as the sentences have it."""

    clock: str
    date: str
    day: str
    month: str
    year: str

    @classmethod
    def of(cls, taken_s: float) -> _Moment:
        at = datetime.fromtimestamp(taken_s, timezone.utc)
        clock = f"{at:%H%M%S}.{at.microsecond // 10_000:02d}"
        return cls(clock, f"{at:%d%m%y}", f"{at:%d}", f"{at:%m}", f"{at:%Y}")


def sentences(fix: Fix, taken_s: float, quality: int = GPS_FIX) -> list[str]:
    """The sentences of a fix, each ending in CR LF; `quality` is GGA's. Raises MissingDependency without pynmea2.

    RMC comes first: programs take the date from it, and ArduPilot wants it within 150 ms of GGA. A photo that does not
    look like the campus is no fix in every sentence, and carries no position.
    """
    at = _Moment.of(taken_s)
    if fix.radius68_m is None:
        return _no_fix(at)
    position = (*degrees_minutes(fix.lat, 2, "NS"), *degrees_minutes(fix.lon, 3, "EW"))
    sigma = f"{fix.radius68_m / RADIUS68_PER_SIGMA:.2f}"
    hdop = f"{fix.radius68_m / METRES_PER_HDOP:.2f}"
    course = "" if fix.course_deg is None else f"{round(fix.course_deg, 1) % 360:.1f}"
    knots, kmh = ("" if fix.speed_m_s is None else f"{fix.speed_m_s * per:.2f}" for per in (KNOTS_PER_M_S, KMH_PER_M_S))
    # Height and geoid are unknown and stay empty.
    return [
        _sentence("RMC", (at.clock, "A", *position, knots, course, at.date, "", "", "E")),
        _sentence("GGA", (at.clock, *position, str(quality), f"{SATELLITES:02d}", hdop, "", "M", "", "M", "", "")),
        _sentence("GSA", ("A", "2", *UNSEEN, hdop, hdop, "")),
        _sentence("GST", (at.clock, "", sigma, sigma, "0.0", sigma, sigma, "")),
        _sentence("VTG", (course, "T", "", "M", knots, "N", kmh, "K", "E")),
        _zda(at),
    ]


def _no_fix(at: _Moment) -> list[str]:
    nowhere = ("", "", "", "")
    return [
        _sentence("RMC", (at.clock, "V", *nowhere, "", "", at.date, "", "", "N")),
        _sentence("GGA", (at.clock, *nowhere, str(NO_FIX), "00", "", "", "M", "", "M", "", "")),
        _sentence("GSA", ("A", "1", *UNSEEN, "", "", "")),
        _zda(at),
    ]


def _zda(at: _Moment) -> str:
    return _sentence("ZDA", (at.clock, at.day, at.month, at.year, "00", "00"))


def degrees_minutes(degrees: float, digits: int, hemispheres: str) -> tuple[str, str]:
    """47.5123 -> ("4730.73800", "N"): whole degrees in `digits` places, then minutes."""
    # Rounded before it is split, or 59.999999 minutes would print as 60.
    hundred_thousandths = round(abs(degrees) * 60 * 100_000)
    whole, rest = divmod(hundred_thousandths, 60 * 100_000)
    return f"{whole:0{digits}d}{rest / 100_000:08.5f}", hemispheres[degrees < 0]


def _sentence(kind: str, fields: tuple[str, ...]) -> str:
    try:
        pynmea2 = import_module("pynmea2")
    except ImportError as error:
        raise MissingDependency("pynmea2", "requirements-jetson.txt") from error
    sentence = getattr(pynmea2, kind)(TALKER, kind, fields)
    return f"{sentence}\r\n"
