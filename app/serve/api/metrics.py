"""What the HTTP interface counts, in the text format that Prometheus reads."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Counters of one server, in a registry of their own."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self.requests = Counter(
            "campus_gps_requests", "Answers given, by route and status.", ["route", "status"], registry=registry
        )
        self.photos = Counter("campus_gps_photos", "Photos located.", registry=registry)
        self.refused = Counter(
            "campus_gps_off_campus", "Answers that recognised nothing of this campus.", registry=registry
        )
        self.locating = Gauge("campus_gps_in_progress", "Requests that are being located.", registry=registry)
        self.seconds = Histogram(
            "campus_gps_locate_seconds",
            "Seconds from a request's last byte to its fix.",
            buckets=(0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
            registry=registry,
        )

    def text(self) -> bytes:
        """All of them, as Prometheus scrapes them."""
        return generate_latest(self._registry)
