"""mosquitto takes the fixes: away, guarded, absent, and for who comes later."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.serving import free_port
from core.errors import EngineError
from core.locate.fix import Fix
from edge.device.sink import MQTT_PASSWORD
from edge.device.sinks import open_sink
from edge.device.sinks.mqtt import MqttSink, location
from tests import REPOSITORY
from tests.bundles import photo
from tests.edge.device.sinks.receivers import START_S, frame, program


@pytest.fixture(autouse=True)
def _time_for_the_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test asks how fast a broker is: on a busy machine it may stand still for seconds."""
    monkeypatch.setattr("edge.device.sinks.mqtt.CONNECT_S", 90.0)
    monkeypatch.setattr("edge.device.sinks.mqtt.CLOSING_S", 90.0)


def test_owntracks_and_home_assistant_are_told_the_place_and_its_error(fix: Fix, refused: Fix) -> None:
    told = location(frame(7), replace(fix, radius68_m=12.4, radius95_m=31.0))
    assert told is not None
    assert (told["lat"], told["lon"]) == pytest.approx((fix.lat, fix.lon), abs=1e-7)
    assert (told["latitude"], told["longitude"]) == (told["lat"], told["lon"])
    assert told["acc"] == told["gps_accuracy"] == 12
    assert (told["tst"], told["inregions"]) == (START_S + 7, [fix.zone.name])
    still = location(frame(), replace(fix, radius68_m=0.2, speed_m_s=None, course_deg=None))
    assert still is not None
    assert still["acc"] == 1
    assert not {"vel", "cog"} & still.keys()
    assert location(frame(), refused) is None


def stop(broker: subprocess.Popen[bytes]) -> None:
    broker.terminate()
    broker.wait()


def start_broker(port: int, folder: Path, users: str = "allow_anonymous true") -> subprocess.Popen[bytes]:
    (folder / "mosquitto.conf").write_text(f"listener {port} 127.0.0.1\n{users}\nuser root\n")
    running = subprocess.Popen([program("mosquitto"), "-c", str(folder / "mosquitto.conf")], stderr=subprocess.DEVNULL)
    for _ in range(900):
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
    stop(running)


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
        # Else it waits twice as long after each failure, and for minutes where the machine stood still meanwhile.
        sink._client.reconnect_delay_set(max_delay=1)
        with closing(sink):
            sink.put(frame(), fix)
            stop(running)
            while sink._client.is_connected():
                time.sleep(0.05)
            for second in (1, 2):
                sink.put(frame(second), fix)
            running = start_broker(port, tmp_path)
            client.on_message = came
            client.connect("127.0.0.1", port)
            client.subscribe("campus", 1)
            client.loop_start()
            assert last.wait(90)
    finally:
        client.disconnect()
        client.loop_stop()
        stop(running)


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
    assert arrived.wait(90)
    client.disconnect()
    client.loop_stop()
    assert got == [location(frame(), fix)]
    assert got[0]["_type"] == "location"
    assert (got[0]["vel"], got[0]["cog"], got[0]["tst"]) == (4, 90, int(START_S))


def test_what_a_broker_never_took_is_said_and_its_leaving_once(
    fix: Fix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("paho.mqtt.client")
    monkeypatch.setattr("edge.device.sinks.mqtt.CLOSING_S", 0.1)
    monkeypatch.setattr("edge.device.sinks.mqtt.MOST_WAITING", 3)
    port = free_port()
    running = start_broker(port, tmp_path)
    sink = open_sink(f"mqtt:127.0.0.1:{port}/campus")
    assert isinstance(sink, MqttSink)
    sink.put(frame(), fix)
    stop(running)
    while sink._client.is_connected():
        time.sleep(0.05)
    for second in (1, 2, 3):
        sink.put(frame(second), fix)
    with pytest.raises(EngineError, match="3 fixes wait"):
        sink.put(frame(4), fix)
    with pytest.raises(EngineError, match="has not taken the last 4"):
        sink.close()
    assert [record.getMessage() for record in caplog.records] == [
        f"mqtt:127.0.0.1:{port}: the broker is away; fixes wait for it"
    ]


@pytest.fixture
def guarded_broker(tmp_path: Path) -> Iterator[int]:
    """A broker that knows one user."""
    known = tmp_path / "users"
    subprocess.run([program("mosquitto_passwd"), "-b", "-c", str(known), "robot", "secret"], check=True)
    port = free_port()
    running = start_broker(port, tmp_path, f"allow_anonymous false\npassword_file {known}")
    yield port
    stop(running)


@pytest.mark.parametrize(
    ("user", "password", "said"),
    [("robot@", "secret", ""), ("robot@", "guessed", "refuses"), ("robot@", None, "refuses"), ("", None, "refuses")],
)
def test_a_broker_that_asks_for_a_password_gets_it_or_ends_the_run(
    user: str, password: str | None, said: str, field: Path, guarded_broker: int
) -> None:
    pytest.importorskip("paho.mqtt.client")
    sink = f"mqtt:{user}127.0.0.1:{guarded_broker}/owntracks/robot/camera"
    done = subprocess.run(
        [sys.executable, "-m", "edge", "run", "-", "--bundle", str(field), "--to", sink],
        cwd=REPOSITORY,
        env={name: value for name, value in os.environ.items() if name != MQTT_PASSWORD}
        | ({MQTT_PASSWORD: password} if password else {}),
        input=photo(),
        capture_output=True,
        check=False,
        timeout=60,
    )
    errors = [line for line in done.stderr.decode().splitlines() if line.startswith("error: ")]
    assert done.returncode == (2 if said else 0), done.stderr
    assert len(errors) == bool(said)
    if said:
        assert "the broker refuses (Not authorized)" in errors[0]
        assert MQTT_PASSWORD in errors[0]


def test_a_broker_that_is_not_there_is_said() -> None:
    pytest.importorskip("paho.mqtt.client")
    with pytest.raises(EngineError, match="no broker answers"):
        open_sink(f"mqtt:127.0.0.1:{free_port()}/topic")
