"""A Fix as OGC GeoPose 1.0 Basic-Quaternion (OGC 21-056r11), and as OpenArCloud's GeoPoseProtocol, which has accuracy.

A GeoPose needs a height and an orientation. A fix knows no height, so the caller gives it (`h`, metres above the
ellipsoid, 0 by default). The orientation is that of the camera's viewing direction as the x axis in the local frame of
east, north and up; where no heading is known it is the identity, and the protocol's accuracy says 180 degrees.
"""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

from core.locate.fix import Fix

MEDIA_TYPE = "application/geopose+json"
UNKNOWN_DEG = 180.0


def basic_quaternion(fix: Fix, height_m: float) -> dict[str, Any]:
    """The Basic-Quaternion data unit; the quaternion has unit length."""
    return {
        "position": {"lat": fix.lat, "lon": fix.lon, "h": height_m},
        "quaternion": _about_up(0.0 if fix.heading_deg is None else math.radians(90.0 - fix.heading_deg)),
    }


def protocol_answer(fix: Fix, height_m: float, request_id: str, time_utc: datetime) -> dict[str, Any]:
    """The GeoPoseProtocol's response; accuracies are 68 % bounds in metres and degrees. `fix` must be on campus."""
    spread_deg = UNKNOWN_DEG if fix.heading_spread_deg is None else fix.heading_spread_deg
    return {
        "id": request_id,
        "timestamp": int(time_utc.timestamp() * 1000),
        "type": "geopose",
        "accuracy": {"position": fix.radius68_m, "orientation": spread_deg},
        "geopose": basic_quaternion(fix, height_m),
    }


def _about_up(angle_rad: float) -> dict[str, float]:
    return {"x": 0.0, "y": 0.0, "z": math.sin(angle_rad / 2), "w": math.cos(angle_rad / 2)}
