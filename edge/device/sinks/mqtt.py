"""Fixes to an MQTT broker: OwnTracks' location messages, which Home Assistant's OwnTracks integration reads too."""

from __future__ import annotations

import json
import logging
from importlib import import_module
from threading import Condition
from typing import Any

from core.errors import EngineError, MissingDependency
from core.locate.fix import Fix
from edge.device.sink import MQTT_PASSWORD, SinkOptions
from edge.device.sources import Frame

log = logging.getLogger(__name__)

ADDRESSES = "mqtt:[USER@]HOST[:PORT]/TOPIC"
PORT = 1883
CONNECT_S = 10.0
CLOSING_S = 10.0  # for what still waits when the run ends
MOST_WAITING = 4096  # fixes for a broker that is away
TAKEN = "taken"  # the broker's answer, where it does not refuse


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

    standstill_s = CONNECT_S + CLOSING_S

    def __init__(self, host: str, port: int, topic: str, user: str = "", password: str | None = None) -> None:
        """Raises EngineError where no broker answers or it refuses, and MissingDependency without paho-mqtt."""
        try:
            mqtt = import_module("paho.mqtt.client")
        except ImportError as error:
            raise MissingDependency("paho-mqtt", "requirements-receivers.txt") from error
        self._name, self._topic = f"mqtt:{host}:{port}", topic
        self._news, self._answer, self._said, self._unsent = Condition(), "", "", 0
        self._sent, self._full = mqtt.MQTT_ERR_SUCCESS, mqtt.MQTT_ERR_QUEUE_SIZE
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        self._client.connect_timeout = CONNECT_S
        self._client.max_queued_messages_set(MOST_WAITING)
        self._client.on_connect, self._client.on_disconnect = self._answered, self._lost
        self._client.on_publish = self._taken
        if user:
            self._client.username_pw_set(user, password)
        try:
            self._client.connect(host, port)
        except OSError as error:
            raise EngineError(
                f"no broker answers ({error.strerror or error})", path=self._name, remedy="start it"
            ) from error
        self._client.loop_start()
        with self._news:  # the connection stands before the broker has said whether it takes us
            self._news.wait_for(lambda: self._answer, CONNECT_S)
        if self._answer != TAKEN:
            self._let_go()
            remedy = f"give mqtt:USER@HOST/TOPIC, and the password in ${MQTT_PASSWORD}" if self._answer else "start it"
            raise EngineError(self._answer or "no broker answers", path=self._name, remedy=remedy)

    def _answered(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        with self._news:
            self._answer = f"the broker refuses ({reason})" if reason.is_failure else TAKEN
            self._news.notify_all()
        if self._said:
            self._say("the broker is there again" if self._answer == TAKEN else self._answer)

    def _lost(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if self._answer == TAKEN and reason.is_failure:
            self._say("the broker is away; fixes wait for it")

    def _say(self, text: str) -> None:
        """Log a change, once: the library tries again for as long as the broker is away."""
        if text != self._said:
            log.warning("%s: %s", self._name, text)
        self._said = text

    def _taken(self, *_: Any) -> None:
        with self._news:
            self._unsent -= 1
            self._news.notify_all()

    def put(self, frame: Frame, fix: Fix) -> None:
        message = location(frame, fix)
        if message is None:
            return
        with self._news:
            self._unsent += 1
        # Quality of service 1: the broker says that it has it. What it is away for waits in the library's queue.
        sent = self._client.publish(self._topic, json.dumps(message), qos=1, retain=True)
        if sent.rc == self._full:
            raise EngineError(f"the broker is away and {MOST_WAITING} fixes wait for it")
        if sent.rc == self._sent:
            sent.wait_for_publish(CONNECT_S)

    def close(self) -> None:
        """Raises EngineError where the broker has not taken all within CLOSING_S."""
        with self._news:
            self._news.wait_for(lambda: not self._unsent, CLOSING_S)
            unsent = self._unsent
        self._let_go()
        if unsent:
            raise EngineError(f"the broker has not taken the last {unsent} of the fixes")

    def _let_go(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def open_sink(rest: str, options: SinkOptions) -> MqttSink | None:
    """`[USER@]HOST[:PORT]/TOPIC` -> the sink. Raises EngineError and MissingDependency."""
    place, _, topic = rest.partition("/")
    user, at, place = place.rpartition("@")
    host, _, port = place.partition(":")
    if not host or not topic or "#" in topic or "+" in topic or (port and not port.isdigit()):
        return None
    # A password in the address would stand in the list of processes.
    if not 0 < int(port or PORT) < 65536 or ":" in user or (at and not user):
        return None
    return MqttSink(host, int(port or PORT), topic, user, options.mqtt_password)
