"""`edge run` for a long time: a camera that is faster than the device, breaks frames, gets lost and returns.

`python -m tests.edge.device.soak` runs 10,000 frames at 30 a second over the demo campus, about seven minutes, and
prints what became of them; `test_soak.py` runs a short form.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

import numpy as np

from core.campus.bundle import Bundle
from core.locate.localizer import DEMO_BUNDLE
from core.photo.load import load_photo
from tests import REPOSITORY

BROKEN_EVERY = 40
SAMPLES = 48  # of the memory over a run


@dataclass(frozen=True)
class Soak:
    """What a run did. `numbers` are the located frames' in the order of their fixes; memory in MB over the run."""

    delivered: int
    located: int
    skipped: int
    dropped: int
    openings: int  # of the camera, the first and each after a loss
    numbers: list[int]
    tracked: int  # points in the GeoJSON track
    age_ms: list[float]  # from the frame's picture to its fix on standard output
    memory_mb: list[float]
    exit_code: int
    seconds: float

    @property
    def growth_mb(self) -> float:
        """The median memory of the last quarter of the run over that of the second: the first still warms up."""
        parts = np.array_split(np.array(self.memory_mb), 4)
        return float(np.median(parts[3]) - np.median(parts[1]))

    def __str__(self) -> str:
        p50, p99 = np.percentile(self.age_ms, (50, 99))
        halves = np.array_split(np.array(self.age_ms), 2)
        return (
            f"{self.delivered} frames in {self.seconds:.0f} s, camera lost and reopened {self.openings - 1} times\n"
            f"{self.located} located, {self.skipped} unreadable and skipped, {self.dropped} dropped; exit code "
            f"{self.exit_code}\n"
            f"age of a frame at its fix: p50 {p50:.0f} ms, p99 {p99:.0f} ms; median of the first half "
            f"{np.median(halves[0]):.0f} ms, of the second {np.median(halves[1]):.0f} ms\n"
            f"memory: {np.median(self.memory_mb):.0f} MB, {max(self.memory_mb):.0f} MB at most, "
            f"{self.growth_mb:+.1f} MB from the second to the last quarter"
        )


def soak(bundle: Path, folder: Path, frames: int, per_s: float, lost_every: int) -> Soak:
    """Run `python -m edge run --camera 0` on `frames` frames of a camera that gives `per_s` of them, then SIGTERM.

    Raises RuntimeError where it did not come to its end.
    """
    delivered, go, track, said = (folder / name for name in ("delivered", "go", "track.geojson", "said.txt"))
    numbers: list[int] = []
    age_ms: list[float] = []
    started = time.monotonic()
    with said.open("w") as errors:
        process = _start(bundle, folder, track, errors, (frames, per_s, lost_every))

    def read() -> None:
        assert process.stdout is not None
        for text in process.stdout:
            fix = json.loads(text)
            numbers.append(int(fix["photo"].rpartition("#")[2]))
            taken_s = datetime.fromisoformat(fix["time_utc"].replace("Z", "+00:00")).timestamp()
            age_ms.append(1e3 * (time.time() - taken_s))
            go.touch()

    reader = threading.Thread(target=read)
    reader.start()
    try:
        # The last frame is never dropped: there is none newer.
        while frames not in numbers[-1:] and f"#{frames}: " not in said.read_text() and process.poll() is None:
            time.sleep(0.05)
        process.terminate()
        exit_code = process.wait()
    finally:
        process.kill()
        reader.join()
        if process.stdout is not None:
            process.stdout.close()
    text = said.read_text()
    counts = re.search(r"(\d+) located, (\d+) unreadable and skipped, (\d+) dropped", text)
    if counts is None or not delivered.exists():
        raise RuntimeError(f"edge run did not come to its end:\n{text}")
    located, skipped, dropped = (int(count) for count in counts.groups())
    given = json.loads(delivered.read_text())
    tracked = len(json.loads(track.read_text())["features"])
    return Soak(
        given["delivered"], located, skipped, dropped, given["openings"], numbers, tracked, age_ms,
        given["memory_mb"], exit_code, seconds=time.monotonic() - started,
    )  # fmt: skip


def _start(
    bundle: Path, folder: Path, track: Path, errors: IO[str], camera: tuple[int, float, int]
) -> subprocess.Popen[str]:
    """The program, in front of the counterfeit camera: `camera` holds its frames, their rate, and after how many it is
    lost."""
    frames, per_s, lost_every = camera
    campus, picture = Bundle.load(bundle), folder / "picture.npy"
    np.save(picture, load_photo(campus.read(campus.samples[0])).rgb[..., ::-1])
    told = {
        "picture": str(picture), "delivered": str(folder / "delivered"), "go": str(folder / "go"), "frames": frames,
        "per_s": per_s, "lost_every": lost_every, "broken_every": BROKEN_EVERY, "memory_every": frames // SAMPLES,
    }  # fmt: skip
    environment = {
        **os.environ,
        "PYTHONPATH": str(REPOSITORY / "tests" / "edge" / "camera"),
        "SOAK_CAMERA": json.dumps(told),
        "PYTHONUNBUFFERED": "1",
    }
    line = [sys.executable, "-m", "edge", "run", "--bundle", str(bundle.resolve()), "--camera", "0"]
    line += ["--backend", "onnxruntime", "--to", "json", "--to", f"geojson:{track}"]
    return subprocess.Popen(line, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", type=Path, default=DEMO_BUNDLE, help="campus bundle with samples")
    parser.add_argument("--frames", type=int, default=10_000)
    parser.add_argument("--per-s", type=float, default=30.0, help="frames that the camera gives in a second (30)")
    parser.add_argument("--lost-every", type=int, default=1000, help="frames until the camera is lost (1000)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(soak(args.bundle, Path(folder), args.frames, args.per_s, args.lost_every))


if __name__ == "__main__":
    main()
