"""Fixes to an MQTT broker: OwnTracks' location messages, which Home Assistant's OwnTracks integration reads too."""

from __future__ import annotations

import json
from importlib import import_module
from typing import Any

from core.errors import EngineError, MissingDependency
from core.locate.fix import Fix
from edge.device.sink import SinkOptions
from edge.device.sources import Frame

ADDRESSES = "mqtt:HOST[:PORT]/TOPIC"
PORT = 1883
CONNECT_S = 10.0
MOST_WAITING = 4096  # fixes for a broker that is away; more of them are lost


def location(frame: Frame, fix: Fix) -> dict[str, Any] | None:
    """OwnTracks' `location` message, which Home Assistant's device trackers take as well; None for a refused photo.

    `acc` is the 68 % radius in whole metres, at least 1; `tst` seconds since 1970; `vel` km/h and `cog` degrees where a
    walk knows them. latitude, longitude and gps_accuracy are Home Assistant's own names for the same.
    """
    if fix.radius68_m is None:
        return None
    accuracy_m = max(1, round(fix.radius68_m))
    message: dict[str, Any] = {
        "_type": "location",
        "lat": round(fix.lat, 7),
        "lon": round(fix.lon, 7),
        "acc": accuracy_m,
        "tst": int(frame.taken_s),
        "tid": "CG",
        "latitude": round(fix.lat, 7),
        "longitude": round(fix.lon, 7),
        "gps_accuracy": accuracy_m,
        "inregions": [fix.zone.name],
    }
    if fix.speed_m_s is not None:
        message["vel"] = round(fix.speed_m_s * 3.6)
    if fix.course_deg is not None:
        message["cog"] = round(fix.course_deg) % 360
    return message


class MqttSink:
    """Publishes each fix, retained, to one topic; the library connects again where the broker was away."""

    def __init__(self, host: str, port: int, topic: str) -> None:
        """Raises EngineError where no broker answers, and MissingDependency without paho-mqtt."""
        try:
            mqtt = import_module("paho.mqtt.client")
        except ImportError as error:
            raise MissingDependency("paho-mqtt", "requirements-receivers.txt") from error
        self._topic = topic
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        self._client.connect_timeout = CONNECT_S
        self._client.max_queued_messages_set(MOST_WAITING)
        self._sent = mqtt.MQTT_ERR_SUCCESS
        try:
            self._client.connect(host, port)
        except OSError as error:
            raise EngineError(
                f"no broker answers ({error.strerror or error})", path=f"mqtt:{host}:{port}", remedy="start it"
            ) from error
        self._client.loop_start()

    def put(self, frame: Frame, fix: Fix) -> None:
        message = location(frame, fix)
        if message is not None:
            # Quality of service 1: the broker says that it has it. What it is away for waits in the library's queue.
            sent = self._client.publish(self._topic, json.dumps(message), qos=1, retain=True)
            if sent.rc == self._sent:
                sent.wait_for_publish(CONNECT_S)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def open_sink(rest: str, _options: SinkOptions) -> MqttSink | None:
    """`HOST[:PORT]/TOPIC` -> the sink. Raises EngineError and MissingDependency."""
    place, _, topic = rest.partition("/")
    host, _, port = place.partition(":")
    if not host or not topic or "#" in topic or "+" in topic or (port and not port.isdigit()):
        return None
    if not 0 < int(port or PORT) < 65536:
        return None
    return MqttSink(host, int(port or PORT), topic)
