"""python -m benchmarks [NAME ...]: measure, and write benchmarks/RESULTS.md.

Each benchmark runs in a process of its own and leaves its page in runs/benchmarks/, so one that fails or is stopped
costs only itself, and RESULTS.md always holds the last page of each, also those that another machine measured.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Collection
from dataclasses import asdict
from datetime import datetime, timezone
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.timing import ROOT, TINY, Effort, Section, machine
from core.cli.run import run_cli
from core.errors import CampusError
from core.io.files import write_atomically

NAMES = (
    "predicting", "photo_to_fix", "many_photos", "http_requests", "ingesting", "training", "growth", "edge_resnet50",
    "backbones", "attack",
)  # fmt: skip
ASKED_FOR = ("gpu", "soak", "app_visits", "commands")  # only by name: a GPU, hours, a browser, pip's index
LENGTH_S = {"soak": 600.0}  # where nothing else is said; the others have Effort's own
PREFACE, RESULTS = ROOT / "benchmarks" / "PREFACE.md", ROOT / "benchmarks" / "RESULTS.md"
PAGES = ROOT / "runs" / "benchmarks"
IDLE_LOAD = 0.7  # of one core; what a desktop does by itself is below


def benchmark(name: str) -> Callable[[Effort], Section]:
    """The benchmark of that name."""
    run: Callable[[Effort], Section] = import_module(f"benchmarks.{name}").run
    return run


def measure(name: str, effort: Effort) -> dict[str, Any]:
    """One benchmark's page, as it is kept."""
    before = machine()
    section = benchmark(name)(effort)
    return {"machine": before, "when": f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC", **asdict(section)}


def page(name: str, kept: dict[str, Any]) -> str:
    """A kept page as Markdown."""
    lines = [f"## {kept['title']}", "", kept["what"], ""]
    for head, *rows in kept["tables"]:
        lines += [_row(head), _row(["---"] * len(head)), *map(_row, rows), ""]
    for target in kept["targets"]:
        why = f" {target['why']}" if target["why"] and not target["met"] else ""
        lines.append(f"- **{'met' if target['met'] else 'short'}**: {target['asked']}: {target['measured']}.{why}")
    lines += [f"- **not here**: {what}" for what in kept.get("lacks", ())]
    return "\n".join([*lines, "", f"`python -m benchmarks {name}`, {kept['when']}: {kept['machine']}.", ""])


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def results(pages: Path, before: str = "", measured: Collection[str] = (*NAMES, *ASKED_FOR)) -> str:
    """RESULTS.md: preface, all targets at a glance, the last page of every benchmark; those never run are named.

    `before` is what it said. Only the pages of those `measured` now take the place of what stands there: any other
    file of `pages` may be older than it, and one measured elsewhere is not among them.
    """
    files = {name: pages / f"{name}.json" for name in (*NAMES, *ASKED_FOR)}
    former = _sections(before)
    wanted = {name: path for name, path in files.items() if name in measured or name not in former}
    known = {name: json.loads(path.read_bytes()) for name, path in wanted.items() if path.is_file()}
    glance = [_row(["asked", "measured", ""]), _row(["---"] * 3)]
    parts = []
    for name in files:
        if name in known:
            parts.append(page(name, known[name]))
            glance += [
                _row([each["asked"], each["measured"], "met" if each["met"] else "short"])
                for each in known[name]["targets"]
            ]
        elif name in former:
            parts.append(former[name])
            asked = re.findall(r"^- \*\*(?:met|short)\*\*: (.*)", former[name], re.MULTILINE)
            glance += [
                row for row in re.findall(r"^\| .* \| (?:met|short) \|$", before, re.MULTILINE)
                if any(line.startswith(row.split(" | ")[0][2:] + ": ") for line in asked)
            ]  # fmt: skip
        elif name in NAMES:
            parts.append(f"## {name}\n\nNot measured: run `python -m benchmarks {name}`.\n")
    return "\n".join([PREFACE.read_text(encoding="utf-8"), "\n".join(glance) + "\n", *parts])


def _sections(text: str) -> dict[str, str]:
    """The pages in a RESULTS.md by the benchmark that wrote them, which each names at its end."""
    found = {}
    for section in re.split(r"^(?=## )", text, flags=re.MULTILINE)[1:]:
        if written := re.search(r"^`python -m benchmarks (\w+)`, ", section, re.MULTILINE):
            found[written[1]] = section.rstrip("\n") + "\n"
    return found


def save_pyperf(pages: Path, out: Path) -> None:
    """Every round's seconds as a pyperf suite, for `python -m pyperf stats`, `hist` and `compare_to`."""
    import pyperf

    suite = []
    for kept in (json.loads(path.read_bytes()) for path in sorted(pages.glob("*.json"))):
        for name, seconds in kept["raw"].items():
            run = pyperf.Run(seconds, metadata={"name": name, "unit": "second"}, collect_metadata=False)
            suite.append(pyperf.Benchmark([run]))
    pyperf.BenchmarkSuite(suite).dump(str(out), replace=True)


def length_s(name: str) -> float:
    """How long a benchmark takes where the command line says nothing."""
    return LENGTH_S.get(name, Effort.seconds)


def _seconds(each_s: float, text: str) -> float:
    """So many minutes or hours, in seconds."""
    return each_s * float(text)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)} (all), or {', '.join(ASKED_FOR)}"
    )
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--seconds", type=float, help=f"for each comparison ({Effort.seconds:.0f}), for a soak (600)")
    for name, each_s in (("minutes", 60.0), ("hours", 3600.0)):
        length.add_argument(
            f"--{name}", type=partial(_seconds, each_s), dest="seconds", metavar="N", help="the same, in " + name
        )
    parser.add_argument("--tiny", action="store_true", help="only see that it runs: print, write nothing")
    parser.add_argument("--pyperf", type=Path, metavar="FILE", help="also write every round's seconds for pyperf")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)  # one, in this process
    args = parser.parse_args()
    if unknown := [name for name in args.names if name not in (*NAMES, *ASKED_FOR)]:
        parser.error(f"no benchmark {', '.join(unknown)}: choose of {', '.join((*NAMES, *ASKED_FOR))}")
    if not args.here and (load := os.getloadavg()[0]) > IDLE_LOAD:
        print(
            f"load average {load:.1f}: other work runs, and would flatter this program; measure when idle",
            file=sys.stderr,
        )
    if args.here or args.tiny:
        for name in args.names or NAMES:
            kept = measure(name, TINY if args.tiny else Effort(args.seconds or length_s(name)))
            if not args.tiny:
                write_atomically(PAGES / f"{name}.json", json.dumps(kept, indent=1).encode())
            print(page(name, kept))
        return 0
    PAGES.mkdir(parents=True, exist_ok=True)
    failed = []
    for name in args.names or NAMES:
        words = [sys.executable, "-m", "benchmarks", name, "--here", "--seconds", str(args.seconds or length_s(name))]
        if subprocess.run(words, cwd=ROOT, check=False).returncode:
            failed.append(name)
            continue
        before = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else ""
        write_atomically(RESULTS, results(PAGES, before, [name]).encode())  # at once: the next may be stopped
    if args.pyperf:
        save_pyperf(PAGES, args.pyperf)
    if failed:
        raise CampusError(f"{', '.join(failed)}: failed as said above; {RESULTS} keeps what was measured before")
    return 0


if __name__ == "__main__":
    sys.exit(run_cli(main))
