"""What the tests of ingesting share: photos of a walk, and what became of them."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from train.dataset.ingest_report import IngestReport

LAT, LON = 31.262, 34.803


METRE = 1 / 111_000  # of latitude, in degrees


def photo(
    path: Path,
    number: int,
    *,
    lat: float | None = LAT,
    lon: float = LON,
    size: tuple[int, int] = (64, 48),
    time_local: str | None = "2024:06:01 12:00:00",
    **tags: Any,
) -> Path:
    """A JPEG unlike every other number's, with GPS unless `lat` is None; Jerusalem summer time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[271], exif[272] = "Acme", tags.get("model", "Cam")
    exif[274] = tags.get("orientation", 1)
    if time_local:
        exif.get_ifd(0x8769).update({36867: time_local, 36881: "+03:00"})
    if lat is not None:
        gps = {1: "N" if lat >= 0 else "S", 2: (abs(lat), 0.0, 0.0), 3: "E", 4: (lon, 0.0, 0.0)}
        exif.get_ifd(0x8825).update(gps)
    pixels = np.random.default_rng(number).integers(0, 255, (4, 5, 3), np.uint8)
    Image.fromarray(pixels).resize(size).save(path, exif=exif)
    return path


def walk(folder: Path, count: int = 12) -> Path:
    """A walk of `count` photos, 10 m and a minute apart."""
    start = datetime(2024, 6, 1, 12)
    for number in range(count):
        moment = f"{start + timedelta(minutes=number):%Y:%m:%d %H:%M:%S}"
        photo(folder / f"IMG_{number:04}.jpg", number, lat=LAT + 10 * number * METRE, time_local=moment)
    return folder


def contents(dataset: Path) -> dict[str, bytes]:
    """Every file of a dataset and its bytes."""
    return {p.relative_to(dataset).as_posix(): p.read_bytes() for p in sorted(dataset.rglob("*")) if p.is_file()}


def reasons(report: IngestReport) -> dict[str, str]:
    return {note.file: note.reason for note in report.left_out}
