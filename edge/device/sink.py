"""What a sink is: something that takes the fixes of `run`."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Protocol, TextIO

from core.locate.fix import Fix
from edge.device.nmea_sentences import GPS_FIX
from edge.device.sources import Frame

MQTT_PASSWORD = "CAMPUS_MQTT_PASSWORD"  # the variable that a command line reads it from


class Sink(Protocol):
    """Something that takes fixes, on a thread of its own (`SinkThread`), so that it may wait for a disk or a peer.

    One whose `newest_only` is true is given the newest fix when it is ready, and never those that came before it.
    One that may take nothing for longer than `sink_threads.STANDSTILL_S` at the end of a run, while it closes too, has
    that time as `standstill_s`.
    """

    def put(self, frame: Frame, fix: Fix) -> None:
        """Take one fix, which comes without its picture and map. Whatever this raises ends this sink alone."""
        ...

    def close(self) -> None:
        """Write what is held back and let go; called once."""
        ...


@dataclass(frozen=True)
class SinkOptions:
    """What the command line says to all sinks.

    `nmea_quality` is what NMEA's GGA says of a fix, `mqtt_password` that of the user in an MQTT address.
    """

    nmea_quality: int = GPS_FIX
    mqtt_password: str | None = field(default=None, repr=False)


def utc(seconds: float) -> str:
    """Seconds since 1970 -> ISO 8601 to the millisecond."""
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def standard_output() -> TextIO:
    """A handle of its own on standard output: a sink stuck in a write there must not hold what others print."""
    return open(os.dup(sys.stdout.fileno()), "w", encoding=sys.stdout.encoding, newline="")
