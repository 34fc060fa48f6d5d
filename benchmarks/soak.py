"""The app, its HTTP interface and `edge run --walk` side by side for hours: memory, handles and waits over the time.

A steady trickle, not a load: what leaks shows as a slope, and what is only busy does not.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from queue import Empty, Queue

import numpy as np

from benchmarks.app_load import PHONE_PX, Phone, phone_photos
from benchmarks.curves import WARM_UP, Curve, picture
from benchmarks.serving import Served, start
from benchmarks.timing import ROOT, Effort, Section, Target
from campus_gps_client import Campus
from core.campus.bundle import Bundle
from core.io.files import write_atomically
from core.locate.localizer import DEMO_BUNDLE

SECONDS = 600.0  # where the command line says nothing else
PICTURE = ROOT / "benchmarks" / "soak.png"
APP, EDGE = "app and HTTP", "edge run --walk"
PAGE, HTTP, FRAME = "a photo on the page", "a photo over HTTP", "a photo of edge run's walk"
ALLOWED_MB, ALLOWED_HANDLES = 20.0, 8.0
ALLOWED_SHARE = 0.25  # of the level of waits, which whatever else runs on the machine moves
VISIT = 40  # photos of one visitor, of one walk over HTTP: then the next comes
PATIENCE_S = 120.0
_WHY = "The picture tells a rise that goes on from one that falls back; `--hours 7` tells it surely."


@dataclass(frozen=True)
class Sample:
    """What a program and its children held: memory in MB and open handles, `seconds` from the start."""

    seconds: float
    memory_mb: float
    handles: int


@dataclass
class Record:
    """All that was seen: samples by program, and by kind of photo (seconds from the start, seconds waited)."""

    held: dict[str, list[Sample]] = field(default_factory=lambda: {APP: [], EDGE: []})
    waits: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: {PAGE: [], HTTP: [], FRAME: []})
    failures: list[str] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    def waited(self, kind: str, seconds: float) -> None:
        """Note a photo that has now been answered, after so long."""
        self.waits[kind].append((time.monotonic() - self.started, seconds))

    def shorter_than(self, seconds: float, least: int) -> bool:
        """Whether it has lasted less than that, or has fewer than `least` samples of a program or waits of a kind."""
        fewest = min(*map(len, self.held.values()), *map(len, self.waits.values()))
        return time.monotonic() - self.started < seconds or fewest < least

    def curves(self) -> list[Curve]:
        """Every curve, with what it may rise by."""
        found = []
        for program, samples in self.held.items():
            at = np.array([sample.seconds for sample in samples])
            memory, handles = (np.array([getattr(s, what) for s in samples]) for what in ("memory_mb", "handles"))
            found.append(Curve(f"{program}: memory", "MB", at, memory.astype(np.float64), ALLOWED_MB))
            found.append(Curve(f"{program}: handles", "open", at, handles.astype(np.float64), ALLOWED_HANDLES))
        for kind, waits in self.waits.items():
            at, ms = np.array(waits).T * [[1.0], [1e3]]
            found.append(Curve(kind, "ms", at, ms, ALLOWED_SHARE * float(np.median(ms))))
        return found


def family(pid: int) -> list[int]:
    """A process and all that descend from it (Linux). A process or a thread that ends meanwhile has none."""
    found = [pid]
    for parent in found:  # grows on the way
        tasks: list[str] = []
        with suppress(OSError):
            tasks = os.listdir(f"/proc/{parent}/task")
        for task in tasks:
            with suppress(OSError):
                found += map(int, Path(f"/proc/{parent}/task/{task}/children").read_text().split())
    return found


def look(pid: int, started: float) -> Sample:
    """What a process and its children hold now. One that ends meanwhile counts as nothing."""
    memory = handles = 0
    for member in family(pid):
        with suppress(OSError):
            memory += int(Path(f"/proc/{member}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
            handles += len(os.listdir(f"/proc/{member}/fd"))
    return Sample(time.monotonic() - started, memory / 1e6, handles)


@dataclass
class Walker:
    """`edge run --walk` on a watched folder, and what it writes."""

    process: subprocess.Popen[str]
    inbox: Path
    lines: Queue[str]

    def answer(self, name: str, patience_s: float = PATIENCE_S) -> float | None:
        """Wait for the fix of a photo of such a name (a pattern); all else is passed over.

        Gives the seconds that it says it took, from decoding on; None where none came.
        """
        until = time.monotonic() + patience_s
        with suppress(Empty):
            while line := self.lines.get(timeout=max(0.0, until - time.monotonic())):
                if line.startswith("{") and Path((told := json.loads(line))["photo"]).match(name):
                    return float(sum(told["timings_ms"].values())) / 1e3
        return None

    def wait_until_it_looks(self, photo: bytes) -> None:
        """What lies in a folder before it is watched is never located, so photos are put there until one is."""
        for number in range(int(PATIENCE_S)):
            self.put(f"knock-{number}.jpg", photo)
            if self.answer("knock-*.jpg", 1.0) is not None:
                return
        raise RuntimeError("edge run locates nothing")

    def put(self, name: str, photo: bytes) -> None:
        write_atomically(self.inbox / name, photo)


@contextmanager
def edge_run(bundle: Path, folder: Path) -> Iterator[Walker]:
    """`edge run --walk` that watches `folder`/in and writes JSON lines and NMEA, until the block ends."""
    (folder / "in").mkdir()
    words = ["run", "--bundle", str(bundle), "--watch", str(folder / "in"), "--walk", "--backend", "onnxruntime"]
    with (
        (folder / "edge.said").open("w") as said,
        subprocess.Popen(
            [sys.executable, "-m", "edge", *words, "--to", "json", "--to", "nmea"],
            cwd=ROOT, env={**os.environ, "PYTHONUNBUFFERED": "1"}, stdout=subprocess.PIPE, stderr=said, text=True,
        ) as process,
    ):  # fmt: skip
        walker = Walker(process, folder / "in", Queue())

        def read() -> None:
            assert process.stdout is not None
            for line in process.stdout:
                walker.lines.put(line)
            walker.lines.put("")

        reader = threading.Thread(target=read)
        reader.start()
        try:
            yield walker
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
            reader.join(30)


async def visit_pages(
    served: Served, photos: list[bytes], record: Record, over: Callable[[], bool], pause_s: float
) -> None:
    """Visitors of the page, one after the other: each sends photos, leaves, and the next opens a page of its own."""
    while not over():
        async with Phone(served.home, served.cookie(), served.trusting) as phone:
            for number in range(VISIT):
                message, since = phone.message(photos[number % len(photos)]), time.monotonic()
                answer = await phone.send(message)
                if answer.outcome in ("refused", "failed"):  # each photo is a good one
                    record.failures.append(f"{PAGE}: {answer.said}")
                record.waited(PAGE, time.monotonic() - since)
                await asyncio.sleep(pause_s)
                if over():
                    return


def ask_over_http(
    served: Served, authority: Path, photos: list[bytes], record: Record, over: Callable[[], bool], pause_s: float
) -> None:
    """Another program: single photos and walks in turn; each walk has a name of its own."""
    with Campus(served.home, served.key, authority, patience_s=PATIENCE_S) as campus:
        for number in count():
            if over():
                return
            turn, walks = divmod(number, 2)  # each photo is located both ways
            photo, since = photos[turn % len(photos)], time.monotonic()
            if walks:
                campus.walk(f"soak-walk-{turn // VISIT:06d}", photo)
            else:
                campus.locate(photo)
            record.waited(HTTP, time.monotonic() - since)
            time.sleep(pause_s)


def feed_edge(walker: Walker, photos: list[bytes], record: Record, over: Callable[[], bool], pause_s: float) -> None:
    """A camera that writes a photo into the watched folder, and takes it away once it has been answered.

    A photo took what its fix says: the wait until two looks into the folder found it whole is many times longer, and
    would hide a fix that grows slow.
    """
    for number in count():
        if over():
            return
        name = f"{number:07d}.jpg"
        walker.put(name, photos[number % len(photos)])
        if (took_s := walker.answer(name)) is None:
            record.failures.append(f"{FRAME}: no answer in {PATIENCE_S:.0f} s")
        record.waited(FRAME, PATIENCE_S if took_s is None else took_s)
        (walker.inbox / name).unlink()
        time.sleep(pause_s)


def soak(bundle: Path, seconds: float, pause_s: float = 1.0, every_s: float = 5.0, least: int = 12) -> Record:
    """Run all three for so long; `pause_s` after each answer, a look at memory and handles each `every_s`.

    Longer where a machine is so slow that there are fewer than `least` answers of a kind, or looks, by then.
    Raises what a client raises: nothing may fail. Linux only, where processes tell what they hold.
    """
    photos = phone_photos(Bundle.load(bundle), PHONE_PX, 8)
    with tempfile.TemporaryDirectory() as name:
        folder, stop = Path(name), threading.Event()
        served = start(folder / "keys", bundle, "--workers", "1", "--no-inbox")
        try:
            (folder / "authority.pem").write_bytes(served.ask("/campus-gps-ca.pem", secure=False).body)
            with ThreadPoolExecutor(3) as pool, edge_run(bundle, folder) as walker:
                walker.wait_until_it_looks(photos[0])
                record = Record()
                over = stop.is_set
                work = [
                    pool.submit(lambda: asyncio.run(visit_pages(served, photos, record, over, pause_s))),
                    pool.submit(ask_over_http, served, folder / "authority.pem", photos, record, over, pause_s),
                    pool.submit(feed_edge, walker, photos, record, over, pause_s),
                ]
                try:
                    while record.shorter_than(seconds, least) and not any(one.done() for one in work):
                        record.held[APP].append(look(served.process.pid, record.started))
                        record.held[EDGE].append(look(walker.process.pid, record.started))
                        time.sleep(every_s)
                finally:
                    stop.set()
                    for one in work:
                        one.result(PATIENCE_S)
        finally:
            served.stop()
    return record


def run(effort: Effort) -> Section:
    """The soak's page; its picture lies beside RESULTS.md."""
    seconds = 20.0 if effort.tiny else effort.seconds
    record = soak(DEMO_BUNDLE, seconds, pause_s=0.1 if effort.tiny else 1.0, every_s=min(5.0, seconds / 60))
    curves = record.curves()
    if not effort.tiny:
        write_atomically(PICTURE, picture(curves))
    photos = ", ".join(f"{len(waits)} x {kind}" for kind, waits in record.waits.items())
    section = Section(
        "For long",
        f"The demo campus for {seconds / 60:.0f} minutes: `app.serve` with a page open, asked over HTTP too, and "
        "`edge run --walk` with a watched folder, side by side, each asked again a second after its answer "
        f"({photos}; {len(record.failures)} failed). A photo of `edge run` takes what its fix says, without the wait "
        "for a look into the folder. Memory and handles are those of a program and its children. The "
        "line is Theil and Sen's through medians of twentieths of the time after the first "
        f"{100 * WARM_UP:.0f} %, with its 95 % interval.\n\n"
        "![Memory, handles and waits over the time](soak.png)",
    )
    trends = [(curve, curve.trend()) for curve in curves]
    section.tables.append(
        [("", "level", "rises an hour (95 %)", "over the measured time", "flat")]
        + [
            (
                curve.name, f"{trend.level:.0f} {curve.unit}",
                f"{trend.slope_per_h:+.1f} ({trend.low:+.1f} to {trend.high:+.1f})",
                f"{trend.slope_per_h * trend.hours:+.1f} of {curve.allowed:.0f} allowed", "yes" if curve.flat else "no",
            )
            for curve, trend in trends
        ]
    )  # fmt: skip
    section.raw |= {f"soak: {kind}": tuple(wait for _, wait in waits) for kind, waits in record.waits.items()}
    section.targets += [
        Target(f"soak, {curve.name}: flat", f"{trend.slope_per_h * trend.hours:+.1f} {curve.unit}", curve.flat, _WHY)
        for curve, trend in trends
    ]
    section.targets.append(Target("soak: no photo without its answer", f"{len(record.failures)}", not record.failures))
    return section
