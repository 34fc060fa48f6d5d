"""Timing several ways of doing one thing in turn, and what a benchmark hands back."""

from __future__ import annotations

import os
import platform
import random
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles

ROOT = Path(__file__).resolve().parent.parent
PHOTOS = Path(os.environ.get("CAMPUS_DATA", ROOT / ".." / "shared" / "data")) / "penn" / "photos"


@dataclass(frozen=True)
class Effort:
    """How much is measured: about `seconds` for each comparison, `least` to `most` rounds; `tiny`: it runs."""

    seconds: float = 30.0
    least: int = 5
    most: int = 200
    tiny: bool = False


TINY = Effort(0.0, 1, 1, tiny=True)


@dataclass(frozen=True)
class Times:
    """Seconds of each round of one way."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return median(self.seconds)

    def __str__(self) -> str:
        """Median and spread in milliseconds, the spread from the 10th to the 90th percentile."""
        if len(self.seconds) < 2:
            return f"{1e3 * self.median:.3g} ms"
        tenths = quantiles(self.seconds, n=10, method="inclusive")
        return f"{_ms(self.median)} ms ({_ms(tenths[0])} – {_ms(tenths[-1])})"


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:.{0 if seconds >= 0.1 else 1 if seconds >= 0.01 else 2}f}"


def interleaved(
    ways: Mapping[str, Callable[[], object]],
    effort: Effort,
    clock: Callable[[], float] = time.perf_counter,
    again: bool = False,
) -> dict[str, Times]:
    """Time each way once a round, round after round, after one round that is not counted.

    Each round has an order of its own, the same in every run: what a way leaves behind would else always fall on the
    same next one. With `again` each is called twice and only the second counts, as of one that a program calls over and
    over: torch's and ONNX Runtime's threads spin on for milliseconds after a call, and slow whatever follows.
    `clock` may be `time.thread_time` for work on one thread: what others take of the core is then not counted at all.
    """
    names = list(ways)
    taken: dict[str, list[float]] = {name: [] for name in names}
    if not effort.tiny:
        for way in ways.values():
            way()
    order = random.Random(0)
    started, rounds = time.perf_counter(), 0
    while rounds < effort.least or (rounds < effort.most and time.perf_counter() - started < effort.seconds):
        for name in order.sample(names, len(names)):
            if again and not effort.tiny:
                ways[name]()
            before = clock()
            ways[name]()
            taken[name].append(clock() - before)
        rounds += 1
    return {name: Times(tuple(values)) for name, values in taken.items()}


@dataclass(frozen=True)
class Target:
    """A figure that was asked for, what was measured, and why where it falls short."""

    asked: str
    measured: str
    met: bool
    why: str = ""


@dataclass
class Section:
    """One benchmark's page: what was compared, tables (headings first), targets, and every round's seconds.

    `lacks`: what this machine has not, for which something is not measured.
    """

    title: str
    what: str
    tables: list[Sequence[Sequence[str]]] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    raw: dict[str, tuple[float, ...]] = field(default_factory=dict)
    lacks: list[str] = field(default_factory=list)

    def keep(self, group: str, times: Mapping[str, Times]) -> None:
        """Keep every round's seconds, for `--pyperf`."""
        self.raw |= {f"{group}: {name}": value.seconds for name, value in times.items()}


def machine() -> str:
    """Processor, cores, memory, system and versions, in one line; and how busy it was."""
    from importlib.metadata import version

    name = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    packages = ", ".join(f"{package} {version(package)}" for package in ("numpy", "pillow", "onnxruntime", "torch"))
    return (
        f"{name}, {os.cpu_count()} cores, {memory:.0f} GB, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}, {packages}; load average {os.getloadavg()[0]:.1f}"
    )


@dataclass(frozen=True)
class Finished:
    """A program that was run to its end."""

    seconds: float
    largest_mb: float  # the most memory that one of its processes held


# What a new process counts as its largest memory begins with its parent's, so a small one stands between.
_MEASURE = """
import resource, subprocess, sys, time
started = time.perf_counter()
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(done.returncode)
"""


def run_program(*command: object, **environment: str) -> Finished:
    """Run a program in the project's folder; raises CalledProcessError where it fails."""
    words = [sys.executable, "-c", _MEASURE, *map(str, command)]
    done = subprocess.run(
        words, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=True
    )
    seconds, largest_kb = done.stdout.split()
    return Finished(float(seconds), int(largest_kb) / 1024)
