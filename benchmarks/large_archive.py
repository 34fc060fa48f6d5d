"""An archive of 20,000 photos under kills, or on Ray with a node lost: `python -m benchmarks.large_archive`.

The photos are links to the demo's samples. Without --ray two shards are located one after the other by processes that
get SIGKILL at random times and go on by --resume; with it a cluster of two local nodes loses one in the middle.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.many_photos import two_nodes
from benchmarks.timing import ROOT, machine
from core.campus.bundle import Bundle
from core.locate.localizer import DEMO_BUNDLE

SHARDS = 2


def linked_photos(folder: Path, count: int) -> list[str]:
    """The names of `count` links to the demo's samples."""
    bundle = Bundle.load(DEMO_BUNDLE)
    folder.mkdir()
    originals = []
    for number, name in enumerate(bundle.samples):
        originals.append(folder.parent / f"{number}.jpg")
        originals[-1].write_bytes(bundle.read(name))
    links = [folder / f"{number:06}.jpg" for number in range(count)]
    for number, link in enumerate(links):
        link.symlink_to(originals[number % len(originals)])
    return [str(link) for link in links]


def killed_and_resumed(photos: Path, out: Path, kills: int, after_s: float) -> tuple[list[str], int]:
    """The photos that the shards located, and how often a process was killed before its end."""
    rng, killed = random.Random(0), 0
    rows: list[str] = []
    for shard in range(1, SHARDS + 1):
        file = out / f"{shard}.jsonl"
        line = [
            sys.executable,
            "predict.py",
            str(photos),
            "--out",
            str(file),
            "--shard",
            f"{shard}/{SHARDS}",
            "--resume",
        ]
        left = kills
        while True:
            process = subprocess.Popen(
                [*line, "--jobs", "2"], cwd=ROOT, stderr=subprocess.DEVNULL, start_new_session=True
            )
            try:
                if process.wait(after_s * rng.uniform(0.5, 1.5) if left else None):
                    raise SystemExit(f"error: predict.py ended with {process.returncode}")
                break
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                left, killed = left - 1, killed + 1
        rows += located(json.loads(row) for row in file.read_text("utf-8").splitlines())
    return rows, killed


def on_ray_with_a_node_lost(photos: Path, out: Path, after_s: float) -> list[str]:
    """The photos that the cluster located."""
    import pyarrow.parquet

    from core.archive.ray_cluster import locate_on_cluster

    with two_nodes() as lose_one:
        killer = threading.Timer(after_s, lose_one)
        killer.start()
        locate_on_cluster([str(photos)], DEMO_BUNDLE, str(out / "rows.parquet"), None)
        if killer.is_alive():
            raise SystemExit(f"error: done within {after_s:.0f} s, before a node was lost: give a smaller --after")
    return located(pyarrow.parquet.read_table(out / "rows.parquet").to_pylist())


def located(rows: Iterable[dict[str, Any]]) -> list[str]:
    """The photos of the rows that have a place: one with a reason instead, as of a lost process, is a photo lost."""
    return [str(row["photo"]) for row in rows if row["error"] is None]


def report(expected: Iterable[str], rows: list[str], seconds: float) -> int:
    """Print what became of the photos; 1 where one was lost or came twice."""
    wanted, found = {Path(name).name for name in expected}, Counter(Path(name).name for name in rows)
    lost, twice = wanted - found.keys(), sum(count > 1 for count in found.values())
    print(f"{len(wanted)} photos, {len(rows)} located: {len(lost)} lost, {twice} twice; {seconds:.0f} s; {machine()}")
    return 1 if lost or twice or len(found) != len(wanted) else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.large_archive", description=__doc__)
    parser.add_argument("--photos", type=int, default=20_000, metavar="N", help="how many (%(default)s)")
    parser.add_argument("--ray", action="store_true", help="on a Ray cluster of two local nodes, one of which is lost")
    parser.add_argument("--kills", type=int, default=3, help="of each shard (%(default)s)")
    parser.add_argument(
        "--after", type=float, default=30.0, metavar="SECONDS", help="until a kill, about (%(default)s)"
    )
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        photos, out = Path(folder) / "photos", Path(folder) / "out"
        names = linked_photos(photos, args.photos)
        out.mkdir()
        started = time.perf_counter()
        if args.ray:
            rows = on_ray_with_a_node_lost(photos, out, args.after)
        else:
            rows, killed = killed_and_resumed(photos, out, args.kills, args.after)
            print(f"killed {killed} times")
        return report(names, rows, time.perf_counter() - started)


if __name__ == "__main__":
    raise SystemExit(main())
