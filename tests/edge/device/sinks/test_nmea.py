"""gpsd and its decoder take the sentences: mode, position, time, error and motion."""

from __future__ import annotations

import json
import os
import pty
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from typing import Any

import pytest

from benchmarks.serving import free_port
from core.locate.fix import Fix
from edge.device.nmea_sentences import sentences
from edge.device.sink import Sink
from edge.device.sinks.nmea import NmeaSerial, NmeaTcp
from tests.edge.device.sinks.receivers import START_S, frame, program

REPORTS = 400  # of gpsd, in some two hundred seconds of a walk


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
    reports = [json.loads(line) for line in decoded.stdout.splitlines()]
    fixes = [report for report in reports if report["class"] == "TPV"]
    assert {report["mode"] for report in fixes} == {1}  # it read them, and has no fix of them
    assert not any("lat" in report for report in reports)


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
        self.process.wait()


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
        reports = islice(gpsd.reports(lambda _: sink.put(frame(), fix)), REPORTS)
        modes = [report["mode"] for report in reports]
    assert len(modes) == REPORTS
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
        reports = islice(gpsd.reports(lambda second: sink.put(frame(second), refused)), REPORTS)
        modes = [report["mode"] for report in reports if "lat" not in report]
    assert len(modes) == REPORTS
    assert max(modes) < 2
