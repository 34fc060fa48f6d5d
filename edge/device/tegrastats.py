"""Power and clocks of a Jetson while something runs, from its own program `tegrastats`."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import fmean
from tempfile import TemporaryFile


@dataclass
class Load:
    """Means over the time measured; None where the board does not say. Megahertz, watts, °C, share of the GPU."""

    samples: int = 0
    gpu_share: float | None = None
    gpu_mhz: float | None = None
    cpu_mhz: float | None = None
    power_w: float | None = None
    warmest_c: float | None = None
    lines: list[str] = field(default_factory=list, repr=False)


def parse(line: str) -> dict[str, float]:
    """One line of tegrastats -> what it says: gpu_share 0..1, gpu_mhz, cpu_mhz (fastest core), power_w, warmest_c."""
    found: dict[str, float] = {}
    if gpu := re.search(r"GR3D_FREQ (\d+)%(?:@\[?(\d+))?", line):
        found["gpu_share"] = int(gpu[1]) / 100
        if gpu[2]:
            found["gpu_mhz"] = float(gpu[2])
    if cores := re.search(r"CPU \[([^\]]*)\]", line):
        clocks = [int(mhz) for mhz in re.findall(r"%@(\d+)", cores[1])]
        if clocks:
            found["cpu_mhz"] = float(max(clocks))
    # The whole board's input: VDD_IN on Orin NX and Nano, the sum of its rails elsewhere.
    rails = {name: int(mw) for name, mw in re.findall(r"(\w+) (\d+)mW/\d+mW", line)}
    if rails:
        found["power_w"] = rails.get("VDD_IN", sum(rails.values())) / 1000
    if temperatures := re.findall(r"\w+@([\d.]+)C", line):
        found["warmest_c"] = max(map(float, temperatures))
    return found


@contextmanager
def measured(interval_ms: int = 200) -> Iterator[Load]:
    """Measure while the block runs; without tegrastats the Load stays empty."""
    load = Load()
    if shutil.which("tegrastats") is None:
        yield load
        return
    command = ["tegrastats", "--interval", str(interval_ms)]
    # Into a file: a pipe that nobody reads meanwhile is full after half a minute.
    with TemporaryFile("w+", errors="replace") as said:
        process = subprocess.Popen(command, stdout=said, stderr=subprocess.DEVNULL)
        try:
            yield load
            time.sleep(interval_ms / 1000)  # so that a short block has one line at least
        finally:
            process.terminate()
            process.wait()
            said.seek(0)
            load.lines = said.read().splitlines()
            _summarise(load)


def _summarise(load: Load) -> None:
    parsed = [values for values in map(parse, load.lines) if values]
    load.samples = len(parsed)
    for name in ("gpu_share", "gpu_mhz", "cpu_mhz", "power_w"):
        values = [line[name] for line in parsed if name in line]
        if values:
            setattr(load, name, fmean(values))
    warmest = [line["warmest_c"] for line in parsed if "warmest_c" in line]
    load.warmest_c = max(warmest) if warmest else None
