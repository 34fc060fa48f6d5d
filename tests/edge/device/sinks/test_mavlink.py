"""pymavlink decodes what an autopilot is sent."""

from __future__ import annotations

import socket
from contextlib import closing
from typing import Any

import pytest

from benchmarks.serving import free_port
from core.errors import EngineError
from core.locate.fix import Fix
from edge.device.nmea_sentences import METRES_PER_HDOP
from edge.device.sinks import open_sink
from edge.device.sinks.mavlink import MavlinkSink, gps_input
from edge.device.sources import Frame
from tests.edge.device.sinks.receivers import START_S, frame

# GPS_INPUT_IGNORE_FLAGS of common.xml: altitude, VDOP, vertical velocity and accuracy; horizontal velocity and its.
UNKNOWN, VELOCITY = 1 | 4 | 16 | 128, 8 | 32


def test_pymavlink_decodes_what_an_autopilot_is_sent(fix: Fix, refused: Fix) -> None:
    mavutil = pytest.importorskip("pymavlink.mavutil")
    port = free_port()
    receiver = mavutil.mavlink_connection(f"udpin:127.0.0.1:{port}", dialect="ardupilotmega")
    sink = open_sink(f"mavlink:udp:127.0.0.1:{port}")
    assert isinstance(sink, MavlinkSink)
    with closing(receiver), closing(sink):
        sink.put(frame(), fix)
        sink.put(frame(1), refused)
        held = receiver.recv_match(type="GPS_INPUT", blocking=True, timeout=90)
        lost = receiver.recv_match(type="GPS_INPUT", blocking=True, timeout=90)
    assert (held.lat, held.lon) == (round(fix.lat * 1e7), round(fix.lon * 1e7))
    assert held.horiz_accuracy == pytest.approx(fix.radius68_m, abs=1e-3)
    assert held.fix_type == 3  # ArduPilot's filter takes nothing below
    assert held.hdop * METRES_PER_HDOP == pytest.approx(fix.radius68_m, abs=1e-3)
    assert held.time_usec == START_S * 1e6
    assert (held.vn, held.ve) == (pytest.approx(0, abs=1e-6), pytest.approx(1.25))
    assert held.ignore_flags == UNKNOWN
    # Of a refused photo an autopilot that looks at no more than one field must not take a position either.
    assert (lost.fix_type, lost.lat, lost.lon, lost.satellites_visible) == (1, 0, 0, 0)
    assert (lost.horiz_accuracy, lost.hdop) == (9999.0, 99.0)
    assert lost.ignore_flags == UNKNOWN | VELOCITY


@pytest.mark.parametrize("host", ["::1", "[::1]", "autopilot.invalid", "a" * 64])
def test_an_autopilot_without_an_ipv4_address_is_one_line(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pymavlink")
    resolve = socket.getaddrinfo

    def without_network(name: str, *rest: Any) -> Any:
        if name.endswith(".invalid"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return resolve(name, *rest)

    monkeypatch.setattr(socket, "getaddrinfo", without_network)
    with pytest.raises(EngineError, match=r"mavlink:udp:.*: give a host's name or its IPv4 address"):
        open_sink(f"mavlink:udp:{host}:14550")


def test_gps_time_counts_weeks_since_1980() -> None:
    # 2017-01-01 00:00:00 UTC is GPS week 1930, second 18, the first with 18 leap seconds.
    fields = gps_input(Frame("x", None, 1483228800.0), _nowhere())
    assert (fields["time_week"], fields["time_week_ms"]) == (1930, 18000)


def _nowhere() -> Any:
    return Fix(0.0, 0.0, None, None, (), (), False, 1.0, "", {})  # type: ignore[arg-type, unused-ignore]
