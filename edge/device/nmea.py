"""A Fix as the sentences of a GPS receiver: NMEA 0183 GGA (position) and GST (error), so that GPS software takes it."""

from __future__ import annotations

from datetime import datetime, timezone
from importlib import import_module

from core.errors import MissingDependency
from core.locate.fix import Fix

# Quality 6, "estimated (dead reckoning)": the position comes from no satellite, and software that needs one can tell.
ESTIMATED, NO_FIX = 6, 0
# The 68 % radius of a circular Gaussian is 1.51 times its standard deviation along one axis: sqrt(-2 ln 0.32).
RADIUS68_PER_SIGMA = 1.5096
TALKER = "GP"


def sentences(fix: Fix, taken_s: float) -> list[str]:
    """The GGA and GST sentence of a fix, each ending in CR LF. Raises MissingDependency without pynmea2.

    A photo that does not look like the campus gives quality 0, which GPS software takes as "no position".
    """
    quality = ESTIMATED if fix.on_campus else NO_FIX
    at = datetime.fromtimestamp(taken_s, timezone.utc)
    clock = f"{at:%H%M%S}.{at.microsecond // 10_000:02d}"
    sigma = f"{fix.radius68_m / RADIUS68_PER_SIGMA:.2f}"
    position = (*degrees_minutes(fix.lat, 2, "NS"), *degrees_minutes(fix.lon, 3, "EW"))
    # A horizontal dilution of 1 beside the true error in GST; height and geoid are unknown and stay empty.
    gga = (clock, *position, str(quality), "00", "1.0", "", "M", "", "M", "", "")
    gst = (clock, "", sigma, sigma, "0.0", sigma, sigma, "")
    return [_sentence("GGA", gga), _sentence("GST", gst)]


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
