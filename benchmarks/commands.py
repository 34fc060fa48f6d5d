"""Seconds of the commands that people wait for: `evaluate --report`, `bundle`, `edge export` and `edge pack`."""

from __future__ import annotations

import os
import random
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import CalledProcessError

from PIL import Image

from benchmarks.timing import Effort, Finished, Section, Target, Times, run_program
from benchmarks.training import SLICE
from core.locate.localizer import DEMO_BUNDLE
from train.bundle.xfeat import has_xfeat

EVALUATE, ONE_CORE, BUNDLE = "train evaluate --report", "train evaluate --report, one core", "train bundle"
EXPORT, PACK, PACK_BARE = "edge export", "edge pack", "edge pack --no-wheels"
MOST_S = {EVALUATE: 20.0, BUNDLE: 25.0, EXPORT: 100.0, PACK: 27.5}  # the last two once took 200 s and 55 s: half
GOAL = 1.8  # all cores, which are two, against one
PHOTOS, BUNDLED = 400, 52
SESSIONS = ("spring-morning", "summer-noon", "autumn-overcast", "winter-night")  # of the slice
SIZE = (640, 480)  # of the demo's samples; the slice's photos are enlarged to it
ROUNDS = 3
# A process has the cores of the one that started it.
_ON_ONE_CORE = """
import os, subprocess, sys
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
sys.exit(subprocess.run([sys.executable, "-m", *sys.argv[1:]]).returncode)
"""
Command = Callable[[Path], Sequence[object]]  # where it writes -> its words after `python`


@dataclass(frozen=True)
class Material:
    """What the commands work on: datasets of the demo's `samples` and of the `slice`, its run, an export."""

    folder: Path
    bundle: Path
    to_bundle: Sequence[str] = ()  # further options of `train bundle`

    def commands(self) -> dict[str, Command]:
        """Each command by its name."""
        evaluate = ("train", "evaluate", DEMO_BUNDLE, self.folder / "samples-dataset", "--report")
        pack = ("-m", "edge", "pack", self.bundle, self.folder / "export", "--out")
        return {
            EVALUATE: lambda out: ("-m", *evaluate, out),
            ONE_CORE: lambda out: ("-c", _ON_ONE_CORE, *evaluate, out),
            BUNDLE: lambda out: ("-m", "train", "bundle", self.folder / "run", *self.to_bundle, "--out", out),
            EXPORT: lambda out: ("-m", "edge", "export", self.bundle, "--out", out),
            PACK: lambda out: (*pack, out.with_suffix(".campus-edge")),
            PACK_BARE: lambda out: (*pack, out.with_suffix(".campus-edge"), "--no-wheels"),
        }


def material(folder: Path, effort: Effort) -> Material:
    """Make ready what the commands are timed on; tiny: few photos, and a small network to export."""
    sample_walks(folder / "samples", 16 if effort.tiny else PHOTOS)
    slice_walks(folder / "slice", 24 if effort.tiny else BUNDLED)
    for name in ("samples", "slice"):
        python("train", "ingest", folder / name, "--out", folder / f"{name}-dataset")
    size = ("--image-size", 64) if effort.tiny else ()
    python("train", "fit", folder / "slice-dataset", "--out", folder / "run", "--group-by", "session", *size)
    made = Material(folder, DEMO_BUNDLE)
    if effort.tiny:
        made = Material(folder, folder / "small", ("--no-second-look", "--samples", "2"))
        python(*made.commands()[BUNDLE](made.bundle)[1:])
    python("edge", "export", made.bundle, "--out", folder / "export")
    return made


def python(*words: object) -> None:
    """Run a command of the project; raises CalledProcessError where it fails."""
    run_program(sys.executable, "-m", *words)


def sample_walks(folder: Path, count: int) -> None:
    """So many photos: the demo's samples again and again, in a folder for each of their sessions."""
    samples = sorted((DEMO_BUNDLE / "samples").glob("*.jpg"))
    for number in range(count):
        sample = samples[number % len(samples)]
        walk = folder / sample.name.partition("-IMG")[0]
        walk.mkdir(parents=True, exist_ok=True)
        # A byte after the picture's end changes no pixel; an import would leave a second copy of one file out.
        (walk / f"{number:04}.jpg").write_bytes(sample.read_bytes() + bytes(number // len(samples)))


def slice_walks(folder: Path, count: int) -> None:
    """So many photos of the slice, as many of each session, enlarged to the samples' size."""
    for session in SESSIONS:
        (folder / session).mkdir(parents=True)
        for path in sorted((SLICE / session).glob("*.jpg"))[: count // len(SESSIONS)]:
            with Image.open(path) as photo:
                enlarged = photo.resize(SIZE, Image.Resampling.BICUBIC)
                enlarged.save(folder / session / path.name, quality=92, exif=photo.info["exif"])


def timed(commands: Mapping[str, Command], folder: Path, rounds: int) -> dict[str, list[Finished]]:
    """Each command as a process of its own, in a new order each round.

    Raises CalledProcessError where one fails, but for PACK, which is then left out: it alone needs the internet.
    """
    taken: dict[str, list[Finished]] = {name: [] for name in commands}
    order = random.Random(0)
    for _ in range(rounds):
        for name in order.sample(list(commands), len(commands)):
            if name not in taken:
                continue
            try:
                taken[name].append(run_program(sys.executable, *commands[name](folder / "out")))
            except CalledProcessError:
                if name != PACK:
                    raise
                del taken[PACK]
            for left in folder.glob("out*"):
                shutil.rmtree(left) if left.is_dir() else left.unlink()
    return taken


def run(effort: Effort) -> Section:
    """Every command in turn, on what is in the repository."""
    cores = len(os.sched_getaffinity(0))
    section = Section(
        "Commands that are waited for",
        f"{cores} cores; each a process of its own from start to end, without what it works on being made. `evaluate` "
        f"takes the demo bundle and {PHOTOS} photos, its 16 rendered samples again and again; `bundle` a run of the "
        f"default recipe on {BUNDLED} photos of the rendered slice that the tests use, enlarged to {SIZE[0]} x "
        f"{SIZE[1]}, four sessions; they stand in for real walks, whose photos `ingest` keeps at about the same size. "
        "`export` and `pack` take the demo bundle; `pack` fetches the wheels of two devices from pip's index.",
    )
    if not has_xfeat():
        section.lacks.append("bundle's second look: requirements-second-look.txt is not installed")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        commands = material(folder, effort).commands()
        if cores < 2:
            del commands[ONE_CORE]
            section.lacks.append("all cores against one: there is one")
        if effort.tiny:  # no test needs the internet, and an export was made already
            del commands[PACK], commands[EXPORT]
        taken = timed(commands, folder, 1 if effort.tiny else ROUNDS)
    if PACK not in taken and not effort.tiny:
        section.lacks.append("edge pack: pip's index of packages cannot be reached")
    tell(section, taken)
    return section


def tell(section: Section, taken: Mapping[str, Sequence[Finished]]) -> None:
    """Add what each command took, and whether it is what was asked for."""
    times = {name: Times(tuple(done.seconds for done in runs)) for name, runs in taken.items()}
    section.keep("commands", times)
    section.tables.append(
        [("", "seconds (each run)", "median", "largest process")]
        + [
            (
                name, ", ".join(f"{seconds:.1f}" for seconds in value.seconds), f"{value.median:.1f}",
                f"{max(done.largest_mb for done in taken[name]):.0f} MB",
            )
            for name, value in times.items()
        ]
    )  # fmt: skip
    for name, most_s in MOST_S.items():
        if name in times:
            seconds = times[name].median
            asked = f"{name} in at most {most_s:g} s"
            section.targets.append(Target(asked, f"{seconds:.1f} s", seconds <= most_s))
    if ONE_CORE in times:
        ratio = times[ONE_CORE].median / times[EVALUATE].median
        section.targets.append(
            Target(
                f"train evaluate on all cores: {GOAL} x one", f"{ratio:.2f} x", ratio >= GOAL,
                "Starting Python and drawing the report are one core's work.",
            )
        )  # fmt: skip
