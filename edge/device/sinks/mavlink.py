"""Fixes to an autopilot over MAVLink: GPS_INPUT, which ArduPilot takes as a GPS where its GPS type is MAV (14)."""

from __future__ import annotations

import math
import os
import socket
from importlib import import_module
from typing import Any

from core.errors import EngineError, MissingDependency
from core.locate.fix import Fix
from edge.device.nmea_sentences import METRES_PER_HDOP, SATELLITES
from edge.device.sink import SinkOptions
from edge.device.sources import Frame

ADDRESSES = "mavlink:udp:HOST:PORT"
GPS_EPOCH_S = 315964800  # 1980-01-06 in seconds since 1970
LEAP_S = 18  # GPS time is ahead of UTC by so much since 2017
WEEK_S = 604800
NO_FIX, FIX_3D = 1, 3  # ArduPilot's filter (NavEKF3) takes no position of a fix below 3D
UNKNOWN_M_S = 1.0  # the speed error that is claimed
# What the autopilot is told to ignore (GPS_INPUT_IGNORE_FLAGS): height, vertical dilution, vertical velocity and the
# height's error; the horizontal velocity and its error too, where no walk knows one.
IGNORE_ALWAYS = 1 | 4 | 16 | 128
IGNORE_VELOCITY = 8 | 32


def gps_input(frame: Frame, fix: Fix) -> dict[str, Any]:
    """The fields of MAVLink's GPS_INPUT (common.xml, message 232); a refused photo is no fix.

    Degrees times 1e7, metres, m/s; `horiz_accuracy` is the 68 % radius. The fix is called 3D, its height unknown.
    """
    held = not fix.refused
    since_s = frame.taken_s - GPS_EPOCH_S + LEAP_S
    week, second = divmod(since_s, WEEK_S)
    moving = fix.speed_m_s is not None and fix.course_deg is not None
    north = (fix.speed_m_s or 0.0) * math.cos(math.radians(fix.course_deg or 0.0))
    east = (fix.speed_m_s or 0.0) * math.sin(math.radians(fix.course_deg or 0.0))
    return {
        "time_usec": int(frame.taken_s * 1e6),
        "gps_id": 0,
        "ignore_flags": IGNORE_ALWAYS | (0 if moving else IGNORE_VELOCITY),
        "time_week_ms": int(second * 1000),
        "time_week": int(week),
        "fix_type": FIX_3D if held else NO_FIX,
        "lat": round(fix.lat * 1e7) if held else 0,
        "lon": round(fix.lon * 1e7) if held else 0,
        "alt": 0.0,
        "hdop": (fix.radius68_m or 0.0) / METRES_PER_HDOP if held else 99.0,
        "vdop": 99.0,
        "vn": north,
        "ve": east,
        "vd": 0.0,
        "speed_accuracy": UNKNOWN_M_S,
        "horiz_accuracy": (fix.radius68_m or 0.0) if held else 9999.0,
        "vert_accuracy": 9999.0,
        "satellites_visible": SATELLITES if held else 0,
    }


class MavlinkSink:
    """Sends each fix as a MAVLink 2 datagram; nothing is asked back."""

    def __init__(self, host: str, port: int) -> None:
        """Raises MissingDependency without pymavlink, and EngineError for a host that has no IPv4 address."""
        os.environ.setdefault("MAVLINK20", "1")  # pymavlink chooses its dialect's version by this when it is imported
        try:
            mavutil = import_module("pymavlink.mavutil")
        except ImportError as error:
            raise MissingDependency("pymavlink", "requirements-receivers.txt") from error
        # pymavlink keeps silent about a name without an address, and knows no IPv6.
        try:
            address = socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_DGRAM)[0][4][0]
            self._link = mavutil.mavlink_connection(
                f"udpout:{address}:{port}", source_system=42, dialect="ardupilotmega"
            )
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            place, remedy = f"mavlink:udp:{host}:{port}", "give a host's name or its IPv4 address"
            raise EngineError(reason, path=place, remedy=remedy) from error

    def put(self, frame: Frame, fix: Fix) -> None:
        self._link.mav.gps_input_send(**gps_input(frame, fix))

    def close(self) -> None:
        self._link.close()


def open_sink(rest: str, _options: SinkOptions) -> MavlinkSink | None:
    """`udp:HOST:PORT` -> the sink. Raises EngineError and MissingDependency."""
    host, _, port = rest.removeprefix("udp:").rpartition(":")
    if not rest.startswith("udp:") or not host or not port.isdigit() or int(port) > 65535:
        return None
    return MavlinkSink(host, int(port))
