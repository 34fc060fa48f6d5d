"""Requests a second of the HTTP interface, and how long they take, with 1, 20 and 60 clients."""

from __future__ import annotations

import http.client
import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import astuple, dataclass
from pathlib import Path
from statistics import median, quantiles

from benchmarks.app_load import PHONE_PX, phone_photos
from benchmarks.serving import Served, start
from benchmarks.soak import family
from benchmarks.timing import Effort, Section, Target
from core.campus.bundle import Bundle
from core.locate.localizer import DEMO_BUNDLE

CLIENTS = (1, 20, 60)
WORKERS = (1, 2)
SECONDS = 20.0
GOAL = 1.8


class Client:
    """One kept connection, by the standard library alone: a client's own work is to cost little beside the server's."""

    def __init__(self, served: Served) -> None:
        self._http = http.client.HTTPSConnection("localhost", served.port, timeout=300, context=served.trusting)
        self._headers = {"Authorization": f"Bearer {served.key}", "Content-Type": "application/octet-stream"}

    def locate(self, photo: bytes) -> int:
        """Ask until the photo is located; how often the server said that it shall be asked again."""
        waits = 0
        while True:
            self._http.request("POST", "/v1/locate", photo, self._headers)
            answer = self._http.getresponse()
            body = answer.read()
            if answer.status == 200:
                return waits
            if answer.status != 429:
                raise RuntimeError(f"{answer.status}: {body[:200]!r}")
            time.sleep(float(answer.headers["Retry-After"]))
            waits += 1

    def close(self) -> None:
        """End the connection."""
        self._http.close()


def ask_for(served: Served, clients: int, photos: list[bytes], seconds: float) -> tuple[list[float], int]:
    """Seconds of each answer, with the waits that the server asked for, and how many those were.

    Each client asks again as soon as it is answered, until time is up.
    """
    until = time.perf_counter() + seconds

    def ask(number: int) -> list[tuple[float, int]]:
        taken: list[tuple[float, int]] = []
        with closing(Client(served)) as client:
            while not taken or time.perf_counter() < until:
                started = time.perf_counter()
                waits = client.locate(photos[(number + len(taken)) % len(photos)])
                taken.append((time.perf_counter() - started, waits))
        return taken

    with ThreadPoolExecutor(clients) as pool:
        answers = [each for taken in pool.map(ask, range(clients)) for each in taken]
    return [seconds for seconds, _ in answers], sum(waits for _, waits in answers)


@dataclass(frozen=True)
class Processor:
    """Seconds of processor time: of the clients (this process), the server's own process, and its workers."""

    clients: float
    server: float
    workers: float

    @classmethod
    def now(cls, served: Served) -> Processor:
        """What each has taken so far (Linux)."""
        server, *workers = (_processor_s(pid) for pid in family(served.process.pid))
        return cls(time.process_time(), server, sum(workers))

    def until(self, later: Processor, answers: int) -> Processor:
        """What each took from here to a later moment, for one of so many answers."""
        taken = zip(astuple(self), astuple(later), strict=True)
        return Processor(*((end - begin) / answers for begin, end in taken))


def _processor_s(pid: int) -> float:
    ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


def run(effort: Effort) -> Section:
    """Servers of one and of two processes, each asked by few and by many clients."""
    bundle = Bundle.load(DEMO_BUNDLE)
    photos = phone_photos(bundle, (320, 240) if effort.tiny else PHONE_PX, 8)
    seconds, numbers = (0.0, CLIENTS[:2]) if effort.tiny else (SECONDS, CLIENTS)
    section = Section(
        "Requests over HTTP",
        f"`POST /v1/locate` over https, photos of {PHONE_PX[0]} x {PHONE_PX[1]}, each client asking again once it is "
        "answered: threads of one process with the standard library's http.client, on the same cores. Where 24 photos "
        "wait the server says 429 and when to ask again; such waits are within the times. Processor: milliseconds of "
        "an answer, over all cores.",
    )
    rows: list[tuple[str, ...]] = []
    a_second: dict[tuple[int, int], float] = {}
    costs: dict[tuple[int, int], Processor] = {}
    for workers in WORKERS:
        with tempfile.TemporaryDirectory() as folder:
            served = start(Path(folder) / "keys", bundle.path, "--workers", str(workers))
            try:
                ask_for(served, workers, photos, 0.0 if effort.tiny else 3.0)  # processes start with a photo
                for clients in numbers:
                    started, before = time.perf_counter(), Processor.now(served)
                    taken, waits = ask_for(served, clients, photos, seconds)
                    a_second[workers, clients] = len(taken) / (time.perf_counter() - started)
                    costs[workers, clients] = before.until(Processor.now(served), len(taken))
                    section.raw[f"http: {workers} processes, {clients} clients"] = tuple(taken)
                    rows.append(
                        (
                            str(workers), str(clients), str(len(taken)), f"{a_second[workers, clients]:.1f}",
                            *_spread(taken), str(waits),
                            *(f"{1e3 * each:.1f} ms" for each in astuple(costs[workers, clients])),
                        )
                    )  # fmt: skip
            finally:
                served.stop()
    section.tables.append(
        [
            (
                "processes", "clients", "answers", "a second", "median", "p99", "told to ask again",
                "processor: clients", "the server itself", "its processes",
            ),
            *rows,
        ]
    )  # fmt: skip
    section.targets.append(_target(a_second[2, 20] / a_second[1, 20], costs[2, 20]))
    return section


def _spread(taken: list[float]) -> tuple[str, str]:
    """Median and 99th percentile in milliseconds."""
    p99 = quantiles(taken, n=100, method="inclusive")[98] if len(taken) > 1 else taken[0]
    return f"{1e3 * median(taken):.0f} ms", f"{1e3 * p99:.0f} ms"


def _target(ratio: float, cost: Processor) -> Target:
    """Two processes against one; on two cores, what the clients and the server take is not the processes' to use."""
    rest = cost.clients + cost.server
    return Target(
        f"two processes: {GOAL} x one, 20 clients", f"{ratio:.2f} x", ratio >= GOAL,
        f"Clients and the server's own TLS and HTTP take {100 * rest / (rest + cost.workers):.0f} % of the processor "
        f"time of an answer: two cores give at most {2 * cost.workers / (rest + cost.workers):.2f} times what one "
        "process gives that fills a core.",
    )  # fmt: skip
