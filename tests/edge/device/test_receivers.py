"""Programs that no one here wrote take the fixes: gpsd, mosquitto, pymavlink, rosbags."""

from __future__ import annotations

import json
import math
import os
import pty
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.serving import free_port
from core.errors import EngineError, OccupiedError
from core.locate.fix import Fix
from core.locate.localizer import Localizer
from edge.device.nmea_sentences import sentences
from edge.device.sink import Sink
from edge.device.sinks import open_sink
from edge.device.sinks.mavlink import MavlinkSink, gps_input
from edge.device.sinks.mcap import FIX_TOPIC, PATH_TOPIC, McapSink
from edge.device.sinks.mqtt import MqttSink, location
from edge.device.sinks.nmea import NmeaSerial, NmeaTcp
from edge.device.sources import Frame
from tests.bundles import photo

START_S = time.time() // 1


def program(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    if found is None:
        pytest.skip(f"{name} is not installed: apt-get install gpsd gpsd-clients mosquitto")
    return found


@pytest.fixture(scope="module")
def fix(localizer: Localizer) -> Fix:
    return replace(localizer.locate(photo(east_m=-30, north_m=10)), probability=None, course_deg=90.0, speed_m_s=1.25)


@pytest.fixture(scope="module")
def refused(localizer: Localizer) -> Fix:
    return replace(localizer.locate(photo("elsewhere")), probability=None)


def frame(second: float = 0.0) -> Frame:
    return Frame("photo.jpg", None, START_S + second)


@pytest.mark.parametrize("quality", [1, 6])
def test_gpsdecode_reads_mode_position_time_error_and_motion(fix: Fix, quality: int) -> None:
    text = "".join(line for second in range(4) for line in sentences(fix, START_S + second, quality))
    decoded = subprocess.run([program("gpsdecode"), "-j"], input=text, capture_output=True, text=True, check=True)
    reports = [json.loads(line) for line in decoded.stdout.splitlines()]
    last = [report for report in reports if report["class"] == "TPV"][-1]
    assert last["mode"] == 2
    assert last["status"] == 5  # estimated, by dead reckoning: no satellite is claimed for it
    assert last["lat"] == pytest.approx(fix.lat, abs=1e-6)
    assert last["lon"] == pytest.approx(fix.lon, abs=1e-6)
    assert last["eph"] == pytest.approx(fix.radius68_m, abs=0.2)
    assert last["track"] == pytest.approx(90.0)
    assert last["speed"] == pytest.approx(1.25, abs=0.01)
    assert last["time"].startswith(time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(START_S + 3)))


def test_gpsdecode_has_no_fix_of_a_refused_photo(refused: Fix) -> None:
    text = "".join(line for second in range(4) for line in sentences(refused, START_S + second))
    decoded = subprocess.run([program("gpsdecode"), "-j"], input=text, capture_output=True, text=True, check=True)
    for line in decoded.stdout.splitlines():
        report = json.loads(line)
        assert report.get("mode", 0) < 2
        assert "lat" not in report


class Gpsd:
    """A running gpsd that reads one device, and a client of it."""

    def __init__(self, device: str) -> None:
        self.port = free_port()
        # -n: read the device though nobody asks yet; -N: stay in the foreground; -b: write nothing to the device.
        line = [program("gpsd"), "-N", "-n", "-b", "-S", str(self.port), device]
        self.process = subprocess.Popen(line, stderr=subprocess.DEVNULL)

    def reports(self, feed: Any, wanted: str = "TPV", timeout_s: float = 40.0) -> Iterator[dict[str, Any]]:
        """Reports of a kind, while `feed(second)` is called again and again."""
        until = time.monotonic() + timeout_s
        with self._connected(until) as client:
            client.sendall(b'?WATCH={"enable":true,"json":true}\n')
            client.settimeout(0.3)
            second, rest = 0, b""
            while time.monotonic() < until:
                feed(second)
                second += 1
                try:
                    rest += client.recv(65536)
                except TimeoutError:
                    continue
                *lines, rest = rest.split(b"\n")
                for line in lines:
                    report = json.loads(line)
                    if report.get("class") == wanted:
                        yield report

    def _connected(self, until: float) -> socket.socket:
        while True:
            try:
                return socket.create_connection(("127.0.0.1", self.port), timeout=5)
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.1)

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(10)


def check_gpsd_fix(gpsd: Gpsd, sink: Sink, fix: Fix) -> None:
    for report in gpsd.reports(lambda second: sink.put(frame(second), fix)):
        if report.get("mode", 0) >= 2 and "eph" in report and "time" in report:
            assert report["lat"] == pytest.approx(fix.lat, abs=1e-6)
            assert report["lon"] == pytest.approx(fix.lon, abs=1e-6)
            assert report["eph"] == pytest.approx(fix.radius68_m, abs=0.2)
            return
    pytest.fail("gpsd reported no fix")


def test_a_running_gpsd_has_a_fix_over_tcp(fix: Fix) -> None:
    with closing(NmeaTcp("127.0.0.1", 0)) as sink, closing(Gpsd(f"tcp://127.0.0.1:{sink.port}")) as gpsd:
        check_gpsd_fix(gpsd, sink, fix)


def test_a_running_gpsd_never_has_three_dimensions_of_photos_of_one_second(fix: Fix) -> None:
    """A phone's EXIF has whole seconds: before the second of them has gone by, gpsd knows no cycle yet."""
    with closing(NmeaTcp("127.0.0.1", 0)) as sink, closing(Gpsd(f"tcp://127.0.0.1:{sink.port}")) as gpsd:
        modes = [report["mode"] for report in gpsd.reports(lambda _: sink.put(frame(), fix), timeout_s=6)]
    assert set(modes[-5:]) == {2}
    assert 3 not in modes


def test_a_running_gpsd_has_a_fix_over_a_serial_line(fix: Fix) -> None:
    ours, theirs = pty.openpty()
    leader, follower = pty.openpty()

    def carry() -> None:  # two pseudo terminals back to back are a cable
        try:
            while data := os.read(ours, 4096):
                os.write(leader, data)
        except OSError:
            return

    threading.Thread(target=carry, daemon=True).start()
    with closing(NmeaSerial(os.ttyname(theirs), 9600)) as sink, closing(Gpsd(os.ttyname(follower))) as gpsd:
        check_gpsd_fix(gpsd, sink, fix)


def test_a_running_gpsd_has_no_fix_of_refused_photos(refused: Fix) -> None:
    with closing(NmeaTcp("127.0.0.1", 0)) as sink, closing(Gpsd(f"tcp://127.0.0.1:{sink.port}")) as gpsd:
        seen = 0
        for report in gpsd.reports(lambda second: sink.put(frame(second), refused), timeout_s=6):
            assert report["mode"] < 2
            assert "lat" not in report
            seen += 1
        assert seen


def start_broker(port: int, folder: Path) -> subprocess.Popen[bytes]:
    (folder / "mosquitto.conf").write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nuser root\n")
    running = subprocess.Popen([program("mosquitto"), "-c", str(folder / "mosquitto.conf")], stderr=subprocess.DEVNULL)
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except OSError:
            time.sleep(0.1)
    return running


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[int]:
    port = free_port()
    running = start_broker(port, tmp_path)
    yield port
    running.terminate()
    running.wait(10)


def test_a_broker_that_was_away_gets_the_fixes_of_meanwhile(fix: Fix, tmp_path: Path) -> None:
    mqtt = pytest.importorskip("paho.mqtt.client")
    port = free_port()
    running = start_broker(port, tmp_path)
    got: list[int] = []
    last = threading.Event()

    def came(_client: Any, _data: Any, message: Any) -> None:
        got.append(json.loads(message.payload)["tst"] - int(START_S))
        if got[-1] == 2:
            last.set()

    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
    try:
        sink = open_sink(f"mqtt:127.0.0.1:{port}/campus")
        assert isinstance(sink, MqttSink)
        with closing(sink):
            sink.put(frame(), fix)
            running.terminate()
            running.wait(10)
            while sink._client.is_connected():
                time.sleep(0.05)
            for second in (1, 2):
                sink.put(frame(second), fix)
            running = start_broker(port, tmp_path)
            client.on_message = came
            client.connect("127.0.0.1", port)
            client.subscribe("campus", 1)
            client.loop_start()
            assert last.wait(30)
    finally:
        client.disconnect()
        client.loop_stop()
        running.terminate()
        running.wait(10)


def test_a_mosquitto_broker_keeps_the_last_fix_for_who_comes_later(fix: Fix, refused: Fix, broker: int) -> None:
    mqtt = pytest.importorskip("paho.mqtt.client")
    sink = open_sink(f"mqtt:127.0.0.1:{broker}/owntracks/campus/robot")
    assert isinstance(sink, MqttSink)
    with closing(sink):
        sink.put(frame(), fix)
        sink.put(frame(1), refused)  # is no location: the last one stays
    got: list[dict[str, Any]] = []
    arrived = threading.Event()

    def came(_client: Any, _data: Any, message: Any) -> None:
        got.append(json.loads(message.payload))
        arrived.set()

    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
    client.on_message = came
    client.connect("127.0.0.1", broker)
    client.subscribe("owntracks/#", 1)
    client.loop_start()
    assert arrived.wait(10)
    client.disconnect()
    client.loop_stop()
    assert got == [location(frame(), fix)]
    assert got[0]["_type"] == "location"
    assert (got[0]["vel"], got[0]["cog"], got[0]["tst"]) == (4, 90, int(START_S))


def test_a_broker_that_is_not_there_is_said() -> None:
    pytest.importorskip("paho.mqtt.client")
    with pytest.raises(EngineError, match="no broker answers"):
        open_sink(f"mqtt:127.0.0.1:{free_port()}/topic")


def test_pymavlink_decodes_what_an_autopilot_is_sent(fix: Fix, refused: Fix) -> None:
    mavutil = pytest.importorskip("pymavlink.mavutil")
    port = free_port()
    receiver = mavutil.mavlink_connection(f"udpin:127.0.0.1:{port}", dialect="ardupilotmega")
    sink = open_sink(f"mavlink:udp:127.0.0.1:{port}")
    assert isinstance(sink, MavlinkSink)
    with closing(receiver), closing(sink):
        sink.put(frame(), fix)
        sink.put(frame(1), refused)
        held = receiver.recv_match(type="GPS_INPUT", blocking=True, timeout=10)
        lost = receiver.recv_match(type="GPS_INPUT", blocking=True, timeout=10)
    assert (held.lat, held.lon) == (round(fix.lat * 1e7), round(fix.lon * 1e7))
    assert held.horiz_accuracy == pytest.approx(fix.radius68_m, abs=1e-3)
    assert held.fix_type == 2
    assert (held.vn, held.ve) == (pytest.approx(0, abs=1e-6), pytest.approx(1.25))
    assert held.ignore_flags & 8 == 0
    assert (lost.fix_type, lost.lat, lost.satellites_visible) == (1, 0, 0)


def test_gps_time_counts_weeks_since_1980() -> None:
    # 2017-01-01 00:00:00 UTC is GPS week 1930, second 18, the first with 18 leap seconds.
    fields = gps_input(Frame("x", None, 1483228800.0), _nowhere())
    assert (fields["time_week"], fields["time_week_ms"]) == (1930, 18000)


def _nowhere() -> Any:
    return Fix(0.0, 0.0, None, None, (), (), False, 1.0, "", {})  # type: ignore[arg-type, unused-ignore]


def test_rosbags_reads_fixes_with_covariance_and_the_path(fix: Fix, refused: Fix, tmp_path: Path) -> None:
    pytest.importorskip("rosbags")
    from rosbags.highlevel import AnyReader

    folder = tmp_path / "bag"
    sink = open_sink(f"mcap:{folder}")
    assert isinstance(sink, McapSink)
    with closing(sink):
        for second, one in enumerate((fix, refused, replace(fix, lat=fix.lat + 1e-4))):
            sink.put(frame(second), one)
    with AnyReader([folder]) as reader:
        read: list[tuple[str, Any]] = [(c.topic, reader.deserialize(raw, c.msgtype)) for c, _, raw in reader.messages()]
    fixes = [message for topic, message in read if topic == FIX_TOPIC]
    assert [message.status.status for message in fixes] == [0, -1, 0]
    assert fixes[0].latitude == fix.lat
    assert math.isnan(fixes[1].latitude)
    sigma_m = math.sqrt(fixes[0].position_covariance[0])
    assert sigma_m * math.sqrt(-2 * math.log(0.32)) == pytest.approx(fix.radius68_m, rel=1e-3)
    (path,) = [message for topic, message in read if topic == PATH_TOPIC]
    assert [round(pose.pose.position.y, 1) for pose in path.poses] == [0.0, pytest.approx(11.1, abs=0.1)]
    with pytest.raises(OccupiedError, match="exists already"):
        open_sink(f"mcap:{folder}")


def test_a_bag_may_fill_an_empty_folder_and_no_other(tmp_path: Path) -> None:
    pytest.importorskip("rosbags")
    folder = tmp_path / "bag"
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    with pytest.raises(OccupiedError, match="no ROS 2 bag"):
        open_sink(f"mcap:{folder}")
    (folder / "thesis.txt").unlink()
    open_sink(f"mcap:{folder}").close()
    assert (folder / "metadata.yaml").is_file()


@pytest.mark.parametrize(
    "address",
    [
        "mqtt:",
        "mqtt:host",
        "mqtt:host/#",
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
