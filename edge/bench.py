"""Latency, throughput and memory of every backend on this machine, each measured in a process of its own."""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.campus.bundle import Bundle
from core.cli.campus import chosen_bundle
from core.engines.choose import AUTO, backends, open_engine
from core.engines.heads import Engine
from core.engines.onnx_engine import OnnxEngine
from core.errors import CampusError, EngineError, MissingDependency
from core.io.files import check_file_writable, written_atomically
from core.locate.localizer import DEMO_BUNDLE, Localizer
from core.program import running_pack
from edge.device.machine import describe_device, power_mode, resident_mb
from edge.device.tegrastats import measured
from edge.program import edge_program

TORCH = "torch"  # not on a device, and so no file of core/engines/backends/
SECONDS_APART = 3.0  # photos of a walker, for the cost of a walk's step
STAGES = ("decode", "preprocess", "network", "posterior", "end to end", "walk step")
BATCHES = (1, 2, 4, 8, 16)
WARM_UP = 5


@dataclass(frozen=True)
class Latency:
    """Milliseconds of one photo at a time."""

    p50_ms: float
    p95_ms: float
    p99_ms: float


@dataclass(frozen=True)
class Call:
    """Medians of one photo through the engine and through the bare onnxruntime call, in turn, in milliseconds."""

    engine_ms: float
    bare_ms: float


@dataclass(frozen=True)
class Report:
    """One backend. `photos_per_s` by batch size; `call` compares with ONNX Runtime's own call, None for others."""

    backend: str
    engine: str
    photos: int
    latency: dict[str, Latency]
    photos_per_s: dict[str, float]
    call: Call | None
    memory_mb: float
    load: dict[str, Any]

    @property
    def share_beside_network(self) -> float:
        """Preprocessing and posterior as a share of the network's time."""
        beside = self.latency["preprocess"].p50_ms + self.latency["posterior"].p50_ms
        return beside / self.latency["network"].p50_ms


def bench_engine(backend: str, bundle: Bundle) -> Engine:
    """The engine of a backend, torch as well. Raises EngineError or another CampusError where it is not here."""
    if backend == TORCH:
        try:
            from core.network.torch_engine import TorchEngine
            from core.network.weights import load_net
        except ImportError as error:
            raise MissingDependency("torch", "requirements-train.txt") from error
        return TorchEngine(load_net(bundle))
    return open_engine(bundle, backend)


def to_measure() -> tuple[str, ...]:
    """Every backend but the choice among them, and torch."""
    return (*(name for name in backends() if name != AUTO), TORCH)


def bench(backend: str, bundle: Bundle, photos: list[bytes], repeats: int) -> Report:
    """Measure one backend on encoded photos, `repeats` fixes of them in all, in turn."""
    localizer = Localizer(bundle, bench_engine(backend, bundle))
    size = bundle.manifest.image_size
    for number in range(WARM_UP):
        localizer.locate(photos[number % len(photos)])
    times: dict[str, list[float]] = {stage: [] for stage in STAGES}
    with measured() as load:
        for number in range(repeats):
            started = time.perf_counter()
            fix = localizer.locate(photos[number % len(photos)])
            times["end to end"].append(1e3 * (time.perf_counter() - started))
            for stage, taken_ms in fix.timings_ms.items():
                times.setdefault(stage, []).append(taken_ms)  # `second_look` where a photo was in doubt
        walk = localizer.walk(keep=0)
        for number in range(repeats):  # in place of a single photo's posterior, each fix by all photos so far
            step = walk.add(photos[number % len(photos)], SECONDS_APART * number)
            times["walk step"].append(step.timings_ms["posterior"])
        call = compare_with_bare(localizer.engine, size, repeats)
        throughput = {str(batch): photos_per_s(localizer.engine, batch, size) for batch in BATCHES}
    return Report(
        backend,
        localizer.engine.name,
        repeats,
        {stage: percentiles(values) for stage, values in times.items()},
        throughput,
        call,
        resident_mb(),
        {name: value for name, value in asdict(load).items() if name != "lines" and value is not None},
    )


def percentiles(times_ms: list[float]) -> Latency:
    """Of at least one time."""
    return Latency(*(float(value) for value in np.percentile(times_ms, (50, 95, 99))))


def compare_with_bare(engine: Engine, size: int, repeats: int) -> Call | None:
    """What this program adds to ONNX Runtime's own call; None for another engine.

    The two are timed in turn: a machine that slows down slows both alike.
    """
    if not isinstance(engine, OnnxEngine):
        return None
    image = np.random.default_rng(0).integers(0, 256, (1, size, size, 3), np.uint8)
    calls: tuple[Callable[[], object], ...] = (
        lambda: engine.run(image),
        lambda: engine.session.run(None, {"image": image}),
    )
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        for call, taken in zip(calls, times, strict=True):
            started = time.perf_counter()
            call()
            taken.append(1e3 * (time.perf_counter() - started))
    return Call(percentiles(times[0]).p50_ms, percentiles(times[1]).p50_ms)


def photos_per_s(engine: Engine, batch: int, size: int, least_s: float = 0.5) -> float:
    """Photos a second at a batch size, over at least `least_s` seconds and three calls."""
    images = np.random.default_rng(0).integers(0, 256, (batch, size, size, 3), np.uint8)
    engine.run(images)
    calls, started = 0, time.perf_counter()
    while calls < 3 or time.perf_counter() - started < least_s:
        engine.run(images)
        calls += 1
    return calls * batch / (time.perf_counter() - started)


def bench_apart(backend: str, bundle: Path, repeats: int) -> dict[str, Any]:
    """One backend's report from a process of its own, whose memory is then its alone.

    Raises EngineError with what that process wrote of its error, or the last line that it printed where it broke down.
    """
    pack = running_pack()
    program = [str(pack)] if pack else ["-m", "edge"]
    root = None if pack else Path(__file__).resolve().parent.parent
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "report.json"
        arguments = [
            "bench",
            str(bundle.resolve()),
            "--backend",
            backend,
            "--repeats",
            str(repeats),
            "--json",
            str(out),
        ]
        line = [sys.executable, *program, *arguments]
        done = subprocess.run(line, cwd=root, capture_output=True, text=True, errors="replace", check=False)
        if not out.is_file():
            lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
            raise EngineError(lines[-1])
        written = json.loads(out.read_text(encoding="utf-8"))
    if error := written["absent"].get(backend):
        raise EngineError(error["reason"], path=error["path"], remedy=error["remedy"])
    report: dict[str, Any] = written["backends"][0]
    return report


def table(report: dict[str, Any]) -> str:
    """A report as a person reads it."""
    lines = [f"{report['backend']}: {report['engine']}, {report['memory_mb']:.0f} MB at most"]
    for stage, latency in report["latency"].items():
        lines.append(
            f"  {stage:<12} p50 {latency['p50_ms']:8.2f} ms   p95 {latency['p95_ms']:8.2f} ms   "
            f"p99 {latency['p99_ms']:8.2f} ms"
        )
    rates = ", ".join(f"{batch}: {rate:.0f}" for batch, rate in report["photos_per_s"].items())
    lines.append(f"  photos a second by batch: {rates}")
    if call := report["call"]:
        lines.append(f"  one photo p50 {call['engine_ms']:.2f} ms, the bare onnxruntime call {call['bare_ms']:.2f} ms")
    lines.append(f"  preprocessing and posterior: {report['share_beside_network']:.0%} of the network's time")
    if report["load"].get("samples"):
        lines.append("  " + ", ".join(f"{name} {value:.4g}" for name, value in report["load"].items()))
    return "\n".join(lines)


def sample_bytes(bundle: Bundle) -> list[bytes]:
    """The encoded photos to measure with. Raises EngineError where the bundle carries none."""
    photos = [bundle.read(name) for name in bundle.samples]
    if not photos:
        raise EngineError(
            "carries no sample photos to measure with", path=bundle.path, remedy="bundle the run with samples"
        )
    return photos


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", nargs="?", type=Path, metavar="BUNDLE", help="default: $CAMPUS_BUNDLE, else the demo")
    parser.add_argument(
        "--backend", choices=to_measure(), help="measure this one, in this process (default: all in turn)"
    )
    parser.add_argument("--repeats", type=int, default=100, metavar="N", help="fixes to time (100)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there as JSON")


def main(args: argparse.Namespace) -> int:
    if args.repeats < 1:
        raise EngineError("must be at least 1", path=f"--repeats {args.repeats}")
    if args.json:
        check_file_writable(args.json)
    path = chosen_bundle(args.bundle) or DEMO_BUNDLE
    bundle = Bundle.load(path)
    photos = sample_bytes(bundle)
    reports: list[dict[str, Any]] = []
    absent: dict[str, CampusError] = {}
    for backend in (args.backend,) if args.backend else to_measure():
        try:
            if args.backend:
                made = bench(backend, bundle, photos, args.repeats)
                reports.append({**asdict(made), "share_beside_network": made.share_beside_network})
            else:
                reports.append(bench_apart(backend, path, args.repeats))
        except CampusError as error:
            absent[backend] = error
            if not args.backend:
                print(f"{backend}: not here: {error}")
            continue
        print(table(reports[-1]))
    machine = {"device": describe_device(), "python": platform.python_version(), "power_mode": power_mode()}
    if args.json:
        why = {name: {"path": e.path, "reason": e.reason, "remedy": e.remedy} for name, e in absent.items()}
        text = json.dumps({"machine": machine, "backends": reports, "absent": why}, indent=1) + "\n"
        with written_atomically(args.json) as temporary:
            temporary.write_text(text, encoding="utf-8")
    if args.backend and absent:
        raise absent[args.backend]
    if not reports:
        raise EngineError("no backend can run here", remedy=f"`{edge_program()} doctor` says what to install")
    return 0
