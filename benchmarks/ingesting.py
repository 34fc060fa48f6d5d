"""`python -m train ingest` against a plain Pillow script that makes photos ready as the original did."""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

from benchmarks.photo_to_fix import decode_jpeg
from benchmarks.timing import PHOTOS, Effort, Finished, Section, Target, Times, run_program
from core.locate.localizer import DEMO_BUNDLE, Localizer
from train.dataset.ingest import DEFAULT_SIZE
from train.dataset.intake import REDUCED_SHARE
from train.dataset.workers import usable_cores

COUNT = 400  # photos; a walk has hundreds
INGEST, ONE, DECODER = "train ingest", "train ingest, one process", "only its decoder (libjpeg, reduced), one process"
SCRIPT = "plain Pillow script"


def photos_into(folder: Path, effort: Effort) -> tuple[int, str]:
    """Fill a folder with full-size photos; each file differs."""
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
    count = len(data) if effort.tiny else COUNT
    for number in range(count):
        # A byte after the picture's end changes no pixel; an import would leave a second copy of one file out.
        (folder / f"{number:04}.jpg").write_bytes(data[number % len(data)] + bytes(number // len(data)))
    return count, f"{count} photos ({len(data)} {source}{', repeated' if count > len(data) else ''})"


def run(effort: Effort) -> Section:
    """Each way over all photos from start to end, in turn."""
    taken: dict[str, list[Finished]] = {name: [] for name in (INGEST, ONE, SCRIPT)}
    decoding: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        photos, out = Path(folder) / "photos", Path(folder) / "out"
        count, source = photos_into(photos, effort)
        python = (sys.executable, "-m")
        ingest = (*python, "train", "ingest", photos, "--out", out, "--keep-wrong")
        for _ in range(1 if effort.tiny else 3):
            for name, command in {
                INGEST: ingest,
                ONE: (*ingest, "--workers", 1),
                SCRIPT: (*python, "benchmarks.original_photos", photos, out),
            }.items():
                taken[name].append(run_program(*command))
                shutil.rmtree(out)
            decoding.append(only_decode(photos))
    times = {name: Times(tuple(done.seconds for done in runs)) for name, runs in taken.items()}
    times[DECODER] = Times(tuple(decoding))
    section = Section(
        "Ingesting photos",
        f"{source[0].upper()}{source[1:]}, {usable_cores()} cores; each a program of its own from start to end. "
        f"`ingest` also reads every capture field, finds wrong positions and keeps about {DEFAULT_SIZE} px; the script "
        "keeps 224 x 224. Memory is the most that one process held; `ingest` has a worker for each core and a parent.",
    )
    section.keep("ingest", times)
    plain = times[SCRIPT].median
    section.tables.append(
        [("", "seconds (each run)", "photos/s", "against the script", "largest process")]
        + [
            (
                name,
                ", ".join(f"{second:.1f}" for second in value.seconds),
                f"{count / value.median:.1f}",
                f"{plain / value.median:.1f} x",
                f"{max(done.largest_mb for done in taken[name]):.0f} MB" if name in taken else "",
            )
            for name, value in times.items()
        ]
    )
    faster = {name: plain / value.median for name, value in times.items()}
    section.targets.append(
        Target(
            "8 x the plain script's photos a second",
            f"{faster[INGEST]:.1f} x",
            faster[INGEST] >= 8,
            f"In one process {faster[ONE]:.1f} x; libjpeg alone, which must read every bit of a photo, would be "
            f"{faster[DECODER]:.1f} x.",
        )
    )
    return section


def only_decode(photos: Path) -> float:
    """Seconds of what no program that decodes a whole JPEG can do without, at the scale that `ingest` asks for."""
    started = time.perf_counter()
    for photo in sorted(photos.iterdir()):
        decode_jpeg(photo.read_bytes(), int(REDUCED_SHARE * DEFAULT_SIZE))
    return time.perf_counter() - started
