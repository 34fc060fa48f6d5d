from __future__ import annotations

import json
import os
import resource
import socket
import sys
import termios
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pynmea2
import pytest

from core.errors import EngineError, MissingDependency
from core.locate.fix import Fix
from core.locate.localizer import Localizer
from edge.device.nmea_sentences import (
    ESTIMATED,
    GPS_FIX,
    METRES_PER_HDOP,
    RADIUS68_PER_SIGMA,
    degrees_minutes,
    sentences,
)
from edge.device.sink import SinkOptions
from edge.device.sinks import open_sink
from edge.device.sinks.nmea import MAX_UNSENT_BYTES, NmeaTcp
from edge.device.sources import Frame
from tests.bundles import photo

NOON = 1772366400.25  # 2026-03-01 12:00:00.25 UTC


def parsed(fix: Fix, quality: int = GPS_FIX) -> dict[str, Any]:
    """The sentences of a fix by kind, read by a library that did not write them all."""
    lines = sentences(fix, NOON, quality)
    assert all(line.endswith("\r\n") for line in lines)
    assert all(len(line) <= 82 for line in lines)  # NMEA 0183's limit
    return {line[3:6]: pynmea2.parse(line, check=True) for line in lines}


def test_nmea_says_position_error_time_and_that_it_is_estimated(localizer: Localizer) -> None:
    fix = localizer.locate(photo(east_m=-30, north_m=10))
    said = parsed(fix)
    assert list(said) == ["RMC", "GGA", "GSA", "GST", "VTG", "ZDA"]
    for kind in ("RMC", "GGA"):
        assert said[kind].latitude == pytest.approx(fix.lat, abs=2e-7)
        assert said[kind].longitude == pytest.approx(fix.lon, abs=2e-7)
    assert (said["RMC"].status, said["RMC"].mode_indicator, str(said["RMC"].datestamp)) == ("A", "E", "2026-03-01")
    assert (said["GGA"].gps_qual, said["GGA"].num_sats, str(said["GGA"].timestamp)[:11]) == (1, "04", "12:00:00.25")
    assert parsed(fix, ESTIMATED)["GGA"].gps_qual == 6
    assert float(said["GST"].std_dev_latitude) * RADIUS68_PER_SIGMA == pytest.approx(fix.radius68_m, abs=0.02)
    assert said["GST"].std_dev_longitude == said["GST"].std_dev_latitude
    assert float(said["GGA"].horizontal_dil) * METRES_PER_HDOP == pytest.approx(fix.radius68_m, abs=0.1)
    assert (said["VTG"].true_track, said["VTG"].spd_over_grnd_kts) == (None, None)


def test_nmea_says_course_and_speed_of_a_walk(localizer: Localizer) -> None:
    said = parsed(replace(localizer.locate(photo()), course_deg=123.4, speed_m_s=1.5))
    assert float(said["RMC"].true_course) == 123.4
    assert float(said["RMC"].spd_over_grnd) == pytest.approx(2.92, abs=0.01)
    assert float(said["VTG"].spd_over_grnd_kmph) == pytest.approx(5.4)


def test_nmea_s_course_is_below_360_degrees(localizer: Localizer) -> None:
    said = parsed(replace(localizer.locate(photo()), course_deg=359.96, speed_m_s=1.5))
    assert (float(said["RMC"].true_course), float(said["VTG"].true_track)) == (0.0, 0.0)


def test_a_photo_of_a_campus_that_cannot_tell_is_a_position(localizer: Localizer) -> None:
    fix = localizer.locate(photo())
    assert parsed(replace(fix, on_campus=None))["GGA"].gps_qual == parsed(fix)["GGA"].gps_qual == 1


def test_a_photo_of_elsewhere_is_no_position(localizer: Localizer) -> None:
    fix = localizer.locate(photo("elsewhere"))
    assert not fix.on_campus
    said = parsed(fix)
    assert (said["GGA"].gps_qual, said["RMC"].status, said["GSA"].mode_fix_type) == (0, "V", "1")
    assert said["GGA"].lat == said["RMC"].lat == ""
    assert "GST" not in said


@pytest.mark.parametrize(
    ("degrees", "digits", "hemispheres", "wanted"),
    [
        (47.5123, 2, "NS", ("4730.73800", "N")),
        (-8.25, 3, "EW", ("00815.00000", "W")),
        (0.0, 2, "NS", ("0000.00000", "N")),
        (9.99999999999, 2, "NS", ("1000.00000", "N")),
        (-179.5, 3, "EW", ("17930.00000", "W")),
    ],
)
def test_degrees_and_minutes(degrees: float, digits: int, hemispheres: str, wanted: tuple[str, str]) -> None:
    assert degrees_minutes(degrees, digits, hemispheres) == wanted


def connected(sink: NmeaTcp, count: int, holds_bytes: int | None = None) -> list[socket.socket]:
    """Clients of a sink, once it has taken them in; the system holds about so much for each that does not read."""
    clients = [socket.socket() for _ in range(count)]
    for client in clients:
        if holds_bytes:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, holds_bytes)
        client.connect(("127.0.0.1", sink.port))
    while sink.clients < count:
        time.sleep(0.01)
    return clients


def test_a_tcp_client_gets_the_sentences_and_one_that_left_does_no_harm(localizer: Localizer) -> None:
    sink = NmeaTcp("127.0.0.1", 0)
    fix = localizer.locate(photo())
    try:
        leaver, reader = connected(sink, 2)
        leaver.close()
        for _ in range(3):
            sink.put(Frame("x", None, NOON), fix)
        with reader, reader.makefile() as lines:
            assert pynmea2.parse(lines.readline()).sentence_type == "RMC"
            assert pynmea2.parse(lines.readline()).sentence_type == "GGA"
    finally:
        sink.close()


def test_clients_that_never_read_are_let_go_without_a_wait(localizer: Localizer) -> None:
    sink = NmeaTcp("127.0.0.1", 0)
    fix, frame = localizer.locate(photo()), Frame("x", None, NOON)
    deaf = connected(sink, 100, holds_bytes=4096)
    try:
        # As after an hour without reading: what the system holds for them is full. Of a fixed size, it stays so.
        for taken in sink._clients:
            taken._connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        for _ in range(5):
            for taken in sink._clients:
                with suppress(BlockingIOError):
                    while taken._connection.send(b"x" * 65536):
                        pass
            time.sleep(0.05)
        honest = socket.create_connection(("127.0.0.1", sink.port))
        while sink.clients < 101:
            time.sleep(0.01)
        for taken in sink._clients:  # any wait for one of them would raise
            assert not taken._connection.getblocking()
        with honest, honest.makefile() as lines:
            sink.put(frame, fix)
            assert pynmea2.parse(lines.readline()).sentence_type == "RMC"
            sentence_bytes = len("".join(sentences(fix, NOON)))
            for _ in range(2 * MAX_UNSENT_BYTES // sentence_bytes):
                sink.put(frame, fix)
                assert lines.readline()
            assert sink.clients == 1
    finally:
        sink.close()
        for client in deaf:
            client.close()


def test_the_port_takes_clients_again_after_the_process_was_out_of_handles(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("WARNING", "edge")  # whatever a command line that ran before made of the loggers
    sink = NmeaTcp("127.0.0.1", 0)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    clients = [socket.socket() for _ in range(3)]
    taken: list[int] = []
    try:
        most = max(client.fileno() for client in clients)  # whatever else of this process is open
        resource.setrlimit(resource.RLIMIT_NOFILE, (most + 64, hard))
        with suppress(OSError):
            while True:
                taken.append(os.dup(0))
        for client in clients[:2]:  # the waiting `accept` has a handle for one of them
            client.connect(("127.0.0.1", sink.port))
        while "no client can connect now (Too many open files)" not in caplog.text:
            time.sleep(0.01)
        while taken:
            os.close(taken.pop())
        clients[2].connect(("127.0.0.1", sink.port))
        while sink.clients < 3:
            time.sleep(0.01)
        assert caplog.text.count("no client can connect now") == 1
    finally:
        for handle in taken:
            os.close(handle)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for client in clients:
            client.close()
        sink.close()


def test_no_more_clients_than_there_are_handles_for(
    localizer: Localizer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("edge.device.sinks.nmea.MAX_CLIENTS", 3)
    caplog.set_level("WARNING", "edge")
    sink = NmeaTcp("127.0.0.1", 0)
    clients = connected(sink, 3)
    try:
        sink._clients[1]._unsent = b"x"  # it has not read all
        for victim in (1, 0):  # who is behind, else who came first
            clients.append(socket.create_connection(("127.0.0.1", sink.port)))
            assert clients[victim].recv(1) == b""
        assert sink.clients == 3
        sink.put(Frame("x", None, NOON), localizer.locate(photo()))
        for served in (2, 3, 4):
            assert clients[served].recv(1) == b"$"
        assert caplog.text.count("3 clients are connected") == 1
    finally:
        sink.close()
        for client in clients:
            client.close()


def test_a_client_that_left_gives_its_place_to_the_next(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("edge.device.sinks.nmea.MAX_CLIENTS", 2)
    caplog.set_level("WARNING", "edge")
    sink = NmeaTcp("127.0.0.1", 0)
    clients = connected(sink, 2)
    try:
        stays, leaves = sink._clients
        clients[1].close()
        while not leaves.gone:
            time.sleep(0.01)
        clients.append(socket.create_connection(("127.0.0.1", sink.port)))
        while leaves in sink._clients or sink.clients < 2:
            time.sleep(0.01)
        assert stays in sink._clients
        assert not caplog.text
    finally:
        sink.close()
        for client in clients:
            client.close()


def test_a_pipe_without_a_reader_is_said_rather_than_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(EngineError, match="no program reads this pipe"):
        open_sink(f"json:{tmp_path / 'pipe'}")


def test_a_taken_port_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(EngineError) as caught:
        NmeaTcp("127.0.0.1", server.getsockname()[1])
    assert str(caught.value).startswith("nmea:tcp:127.0.0.1:")
    assert caught.value.remedy == "choose another port"


def test_an_address_of_another_machine_is_not_told_to_be_the_port_s_fault() -> None:
    with pytest.raises(EngineError, match=r"^nmea:tcp:192\.0\.2\.1:0: .*: give an address of this machine"):
        NmeaTcp("192.0.2.1", 0)


def test_a_serial_line_gets_the_sentences(localizer: Localizer) -> None:
    ours, theirs = os.openpty()
    sink = open_sink(f"nmea:{os.ttyname(theirs)}:4800")
    assert termios.tcgetattr(theirs)[4:6] == [termios.B4800] * 2
    sink.put(Frame("x", None, NOON), localizer.locate(photo()))
    with os.fdopen(ours, "rb") as lines:
        assert pynmea2.parse(lines.readline().decode()).sentence_type == "RMC"
    sink.close()
    os.close(theirs)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("nmea:/dev/absent", "No such file"),
        ("nmea:/dev/null", "/dev/null"),
        ("nmea:/dev/null:123", "no such speed"),
        ("nmea:/dev/null:0", "^nmea:/dev/null:0: no such speed"),
        ("nmea:tcp:99999", "not one of"),
        ("geojson", "not one of"),
        ("nmea:COM1", "not one of"),
    ],
)
def test_a_wrong_sink_is_said(address: str, said: str) -> None:
    with pytest.raises(EngineError, match=said):
        open_sink(address)


def test_without_pynmea2_the_remedy_is_said_before_the_first_photo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynmea2", None)
    with pytest.raises(MissingDependency, match=r"requirements-jetson\.txt"):
        open_sink("nmea")


@pytest.mark.parametrize("to", ["nmea", "nmea:tcp:0", "nmea:{line}"])
def test_the_quality_that_is_asked_for_goes_to_every_sink_of_nmea(
    localizer: Localizer, capfd: pytest.CaptureFixture[str], to: str
) -> None:
    ours, theirs = os.openpty()
    sink = open_sink(to.format(line=os.ttyname(theirs)), SinkOptions(nmea_quality=ESTIMATED))
    clients = connected(sink, 2) if isinstance(sink, NmeaTcp) else []
    for client in clients:
        client.settimeout(60)
    sink.put(Frame("x", None, NOON), localizer.locate(photo()))
    said = [client.recv(4096).decode() for client in clients] if clients else [capfd.readouterr().out]
    if "line" in to:
        said = [os.read(ours, 4096).decode()]
    for one in said:
        assert [pynmea2.parse(line).gps_qual for line in one.splitlines() if "GGA" in line] == [ESTIMATED]
    sink.close()
    for client in clients:
        client.close()
    os.close(ours)
    os.close(theirs)


def test_json_goes_on_in_its_file(localizer: Localizer, tmp_path: Path) -> None:
    for _ in range(2):
        sink = open_sink(f"json:{tmp_path / 'fixes.jsonl'}")
        sink.put(Frame("x", None, NOON), localizer.locate(photo()))
        sink.close()
    lines = (tmp_path / "fixes.jsonl").read_text().splitlines()
    assert [json.loads(line)["time_utc"] for line in lines] == ["2026-03-01T12:00:00.250Z"] * 2


def test_json_after_a_line_that_the_power_cut_short_begins_a_new_one(localizer: Localizer, tmp_path: Path) -> None:
    out = tmp_path / "fixes.jsonl"
    out.write_text('{"photo": "a", "lat": 47.')
    sink = open_sink(f"json:{out}")
    sink.put(Frame("b", None, NOON), localizer.locate(photo()))
    sink.close()
    assert json.loads(out.read_text().splitlines()[1])["photo"] == "b"


@pytest.mark.parametrize(
    "address",
    [
        "mqtt:",
        "mqtt:host",
        "mqtt:host/#",
        "mqtt:@host/t",
        "mqtt:robot:secret@host/t",
        "mqtt:host:x/t",
        "mqtt:host:0/t",
        "mqtt:host:65536/t",
        "mavlink:udp:h",
        "mavlink:x",
        "mcap:",
    ],
)
def test_a_wrong_address_is_one_line(address: str) -> None:
    with pytest.raises(EngineError, match="not one of geojson:FILE, json, "):
        open_sink(address)
