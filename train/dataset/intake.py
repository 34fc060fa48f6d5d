"""Photos into upright JPEGs of dataset size, each with a record of what was found: in parallel, and resumable.

A finished photo is two files in the work folder: the JPEG, then its record, each written to a temporary file and
renamed. A run that was killed leaves finished photos and stray temporary files; the next one keeps the first and
ignores the rest.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, as_completed
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from core.errors import MissingDecoder, PhotoError
from core.io.files import read_regular, write_atomically
from core.photo.capture import Capture
from core.photo.load import MAX_FILE_BYTES, load_photo
from train.dataset.workers import process_pool, usable_cores

JPEG_QUALITY = 95  # the original's
RECIPE = 3  # raise it when the images come out otherwise, so that work left by an older version is made anew
# The shorter side, as a share of `size`, from which a JPEG decoded at a reduced scale is large enough: phones' photos
# of 4032 x 3024 then come as 504 x 378 from the decoder itself, in half the time of shrinking twice that to 512.
REDUCED_SHARE = 2 / 3
_MIN_PARALLEL = 16  # below it, starting processes costs more than they save


@dataclass(frozen=True)
class PhotoTask:
    """One photo to take in: `source` is its path within the photo folder, as text with forward slashes."""

    photos: Path
    source: str
    work: Path
    size: int

    @property
    def key(self) -> str:
        """A file name for the photo's work, the same in every run."""
        return hashlib.sha256(self.source.encode("utf-8", "surrogateescape")).hexdigest()[:24]


@dataclass(frozen=True)
class Record:
    """What became of one photo: its content's hash and what the camera recorded, or why it is unreadable.

    `fatal`: the problem is this machine's, not the photo's, and every photo of its kind would have it.
    """

    source: str
    problem: str | None = None
    fatal: bool = False
    sha256: str = ""
    lat_deg: float | None = None
    lon_deg: float | None = None
    error_m: float | None = None
    time_utc: str | None = None
    local_time: str | None = None
    device: str | None = None
    heading_deg: float | None = None

    @property
    def capture(self) -> Capture:
        """What the camera recorded."""
        return Capture(
            lat_deg=self.lat_deg,
            lon_deg=self.lon_deg,
            error_m=self.error_m,
            time_utc=datetime.fromisoformat(self.time_utc) if self.time_utc else None,
            local_time=datetime.fromisoformat(self.local_time) if self.local_time else None,
            device=self.device,
            heading_deg=self.heading_deg,
        )


def image_file(work: Path, key: str) -> Path:
    """Where a finished photo's JPEG lies in the work folder."""
    return work / "photos" / f"{key}.jpg"


def take_in_all(tasks: list[PhotoTask], workers: int | None = None) -> Iterator[Record]:
    """Take in every photo, in any order, over `workers` processes (None: one for each usable core)."""
    workers = usable_cores() if workers is None else max(1, workers)
    if workers == 1 or len(tasks) < _MIN_PARALLEL:
        yield from map(take_in, tasks)
        return
    again = "run the same command again with --workers 1, the photos done so far are kept"
    with process_pool(min(workers, len(tasks)), again) as pool:
        yield from _results(pool.submit(take_in, task) for task in tasks)


def take_in(task: PhotoTask) -> Record:
    """Read one photo, write its JPEG (upright, aspect kept, longest side at most `size`) and its record.

    An unreadable photo gives a record with its `problem`; OSError is raised where the work folder cannot be
    written.
    """
    from PIL import Image

    source = task.photos / task.source
    record_path = task.work / "records" / f"{task.key}.json"
    try:
        status = source.stat()
        stamp = [status.st_size, status.st_mtime_ns, task.size, JPEG_QUALITY, RECIPE]
        done = _read_record(task, record_path, stamp)
        if done is not None:
            return done
        data = read_regular(source, MAX_FILE_BYTES + 1)
    except OSError as error:
        return Record(task.source, problem=f"cannot be read ({error.strerror or error}); check the file")
    named = io.BytesIO(data)
    named.name = task.source  # what messages call it
    try:
        photo = load_photo(named, min_side=int(REDUCED_SHARE * task.size))
    except MissingDecoder as error:
        return Record(task.source, problem=str(error), fatal=True)
    except PhotoError as error:
        return Record(task.source, problem=str(error.replace(path="")))
    image = Image.fromarray(photo.rgb)
    image.thumbnail((task.size, task.size), Image.Resampling.LANCZOS, reducing_gap=3.0)
    jpeg = io.BytesIO()
    image.save(jpeg, "JPEG", quality=JPEG_QUALITY)
    write_atomically(image_file(task.work, task.key), jpeg.getvalue())
    found = photo.capture
    record = Record(
        task.source,
        sha256=hashlib.sha256(data).hexdigest(),
        lat_deg=found.lat_deg,
        lon_deg=found.lon_deg,
        error_m=found.error_m,
        time_utc=found.time_utc.isoformat() if found.time_utc else None,
        local_time=found.local_time.isoformat() if found.local_time else None,
        device=found.device,
        heading_deg=found.heading_deg,
    )
    text = json.dumps({"stamp": stamp, "jpeg_bytes": len(jpeg.getvalue()), "record": asdict(record)})
    write_atomically(record_path, text.encode())
    return record


def _read_record(task: PhotoTask, path: Path, stamp: list[int]) -> Record | None:
    """The record of an earlier run, if it is whole and of this very photo and size."""
    try:
        held = json.loads(path.read_bytes())
        whole = held["stamp"] == stamp and held["record"]["source"] == task.source
        whole = whole and image_file(task.work, task.key).stat().st_size == held["jpeg_bytes"]
        return Record(**held["record"]) if whole else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _results(futures: Iterable[Future[Record]]) -> Iterator[Record]:
    for future in as_completed(list(futures)):
        yield future.result()
