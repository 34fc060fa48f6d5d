"""Requests a second of the HTTP interface, and how long they take, with 1, 20 and 60 clients."""

from __future__ import annotations

import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median, quantiles

from benchmarks.app_load import PHONE_PX, phone_photos
from benchmarks.serving import Served, start
from benchmarks.timing import Effort, Section, Target
from campus_gps_client import Campus
from core.campus.bundle import Bundle
from core.locate.localizer import DEMO_BUNDLE

CLIENTS = (1, 20, 60)
WORKERS = (1, 2)
SECONDS = 20.0
GOAL = 1.8


class Waits:
    """How often clients were told to ask again."""

    def __init__(self) -> None:
        self.count, self._lock = 0, threading.Lock()

    def __call__(self, seconds: float) -> None:
        with self._lock:
            self.count += 1
        time.sleep(seconds)


def ask_for(
    served: Served, authority: Path, clients: int, photos: list[bytes], seconds: float
) -> tuple[list[float], int]:
    """Seconds of each answer, with the waits that the server asked for, and how many those were.

    Each client asks again as soon as it is answered, until time is up.
    """
    waits, until = Waits(), time.perf_counter() + seconds

    def client(number: int) -> list[float]:
        taken: list[float] = []
        with Campus(served.home, served.key, authority, patience_s=300.0, sleep=waits) as campus:
            while not taken or time.perf_counter() < until:
                started = time.perf_counter()
                campus.locate(photos[(number + len(taken)) % len(photos)])
                taken.append(time.perf_counter() - started)
        return taken

    with ThreadPoolExecutor(clients) as pool:
        return [each for taken in pool.map(client, range(clients)) for each in taken], waits.count


def run(effort: Effort) -> Section:
    """Servers of one and of two processes, each asked by few and by many clients."""
    bundle = Bundle.load(DEMO_BUNDLE)
    photos = phone_photos(bundle, (320, 240) if effort.tiny else PHONE_PX, 8)
    seconds, numbers = (0.0, CLIENTS[:2]) if effort.tiny else (SECONDS, CLIENTS)
    section = Section(
        "Requests over HTTP",
        f"`POST /v1/locate` over https, photos of {PHONE_PX[0]} x {PHONE_PX[1]}, each client asking again once it is "
        "answered, by campus_gps_client.py on the same cores. Beyond 26 photos at once the server says 429 and when to "
        "ask again; such waits are within the times.",
    )
    rows: list[tuple[str, ...]] = []
    a_second: dict[tuple[int, int], float] = {}
    for workers in WORKERS:
        with tempfile.TemporaryDirectory() as folder:
            served = start(Path(folder) / "keys", bundle.path, "--workers", str(workers))
            try:
                authority = Path(folder) / "authority.pem"
                authority.write_bytes(served.ask("/campus-gps-ca.pem", secure=False).body)
                ask_for(served, authority, workers, photos, 0.0 if effort.tiny else 3.0)  # processes start with a photo
                for clients in numbers:
                    started = time.perf_counter()
                    taken, waits = ask_for(served, authority, clients, photos, seconds)
                    a_second[workers, clients] = len(taken) / (time.perf_counter() - started)
                    section.raw[f"http: {workers} processes, {clients} clients"] = tuple(taken)
                    p99 = quantiles(taken, n=100, method="inclusive")[98] if len(taken) > 1 else taken[0]
                    rows.append(
                        (
                            str(workers), str(clients), str(len(taken)), f"{a_second[workers, clients]:.1f}",
                            f"{1e3 * median(taken):.0f} ms", f"{1e3 * p99:.0f} ms", str(waits),
                        )
                    )  # fmt: skip
            finally:
                served.stop()
    section.tables.append(
        [("processes", "clients", "answers", "a second", "median", "p99", "told to ask again"), *rows]
    )
    ratio = a_second[2, 20] / a_second[1, 20]
    section.targets.append(
        Target(
            f"two processes: {GOAL} x one, 20 clients", f"{ratio:.2f} x", ratio >= GOAL,
            "Clients, TLS and the server's own loop share the same cores.",
        )
    )  # fmt: skip
    return section
