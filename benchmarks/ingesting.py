"""`python -m train ingest` against a plain Pillow script that makes photos ready as the original did."""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

from benchmarks.original_photos import preprocess
from benchmarks.timing import PHOTOS, Effort, Finished, Section, Target, Times, run_program
from core.localizer import DEMO_BUNDLE, Localizer
from train.intake import usable_cores

MOST = 400  # photos; a walk has hundreds


def photos_into(folder: Path, effort: Effort) -> tuple[int, str]:
    """Fill a folder with as many full-size photos as the plain script makes ready in the time; each file differs."""
    folder.mkdir()
    real = [] if effort.tiny else sorted(PHOTOS.glob("*.jpg"))
    if real:
        data, source = [path.read_bytes() for path in real], "real phone photos of 12 megapixels"
    else:
        size = (320, 240) if effort.tiny else (4032, 3024)
        bundle, data, source = (
            Localizer.load(DEMO_BUNDLE).bundle,
            [],
            f"rendered photos of {size[0]} x {size[1]}",
        )
        for name in bundle.samples:
            sample = Image.open(io.BytesIO(bundle.read(name)))
            out = io.BytesIO()
            sample.resize(size).save(out, "JPEG", quality=92, exif=sample.info["exif"])
            data.append(out.getvalue())
    with tempfile.TemporaryDirectory() as aside:
        one = Path(aside) / "one.jpg"
        one.write_bytes(data[0])
        started = time.perf_counter()
        preprocess([one], Path(aside) / "out")
        each_s = time.perf_counter() - started
    count = len(data) if effort.tiny else max(len(data), min(MOST, int(2 * effort.seconds / each_s)))
    for number in range(count):
        # A byte after the picture's end changes no pixel; an import would leave a second copy of one file out.
        (folder / f"{number:04}.jpg").write_bytes(data[number % len(data)] + bytes(number // len(data)))
    return count, f"{count} photos ({len(data)} {source}{', repeated' if count > len(data) else ''})"


def run(effort: Effort) -> Section:
    """Both as programs of their own, from start to end, in turn."""
    taken: dict[str, list[Finished]] = {"train ingest": [], "train ingest, one process": [], "plain Pillow script": []}
    with tempfile.TemporaryDirectory() as folder:
        photos, out = Path(folder) / "photos", Path(folder) / "out"
        count, source = photos_into(photos, effort)
        python = (sys.executable, "-m")
        ingest = (*python, "train", "ingest", photos, "--out", out, "--keep-wrong")
        for _ in range(1 if effort.tiny else 3):
            for name, command in {
                "train ingest": ingest,
                "train ingest, one process": (*ingest, "--workers", 1),
                "plain Pillow script": (*python, "benchmarks.original_photos", photos, out),
            }.items():
                taken[name].append(run_program(*command))
                shutil.rmtree(out)
    times = {name: Times(tuple(done.seconds for done in runs)) for name, runs in taken.items()}
    section = Section(
        "Ingesting photos",
        f"{source[0].upper()}{source[1:]}, {usable_cores()} cores; each a program of its own from start to end. "
        "`ingest` also reads every capture field, finds wrong positions and keeps 512 px, the script keeps 224 x 224. "
        "Memory is the most that one process held; `ingest` has a worker for each core and a parent.",
    )
    section.keep("ingest", times)
    plain = times["plain Pillow script"].median
    section.tables.append(
        [("", "seconds (each run)", "photos/s", "against the script", "largest process")]
        + [
            (
                name,
                ", ".join(f"{second:.1f}" for second in value.seconds),
                f"{count / value.median:.1f}",
                f"{plain / value.median:.1f} x",
                f"{max(done.largest_mb for done in taken[name]):.0f} MB",
            )
            for name, value in times.items()
        ]
    )
    ratio, one = plain / times["train ingest"].median, plain / times["train ingest, one process"].median
    section.targets.append(
        Target(
            "8 x the plain script's photos a second",
            f"{ratio:.1f} x",
            ratio >= 8,
            f"One process alone is {one:.1f} x as fast; the rest is how many of {usable_cores()} cores are free.",
        )
    )
    return section
