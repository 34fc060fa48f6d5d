"""New photos of a campus, from wherever they come: a dataset, a folder of geotagged photos, or the app's inbox."""

from __future__ import annotations

import csv
import math
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.campus.bundle import Bundle
from core.campus.inbox import read_sidecar
from core.campus.seen import photo_digest
from core.errors import DatasetError
from core.photo.capture import as_utc, parse_iso_time, parse_local_time, utc_by_place
from train.dataset.columns import is_night
from train.dataset.dataset import Dataset
from train.dataset.ingest import find_photos, ingest
from train.grow.pixels import Wanted, read_pixels

_TIMES = ("time_utc", "local_time")
_COLUMNS = ("image_name", "lat", "lon", "error_m", "time_utc", "heading_deg", "session")


@dataclass(frozen=True, eq=False)
class Arrivals:
    """N photos with positions: images (N, S, S, 3) uint8 RGB, latlon (N, 2) degrees, heading_deg (N,) or NaN.

    `walk` says which photos were taken together: a session, or a person's day. `is_night` is False where unknown,
    `time_s` (N,) seconds since 1970, NaN where unknown. `digest` (N,) are the hashes of the files that were read,
    `source_digest` (N,) of those that they were made of, or the same where that is not told. `local`: each photo's
    local features, (n, 64) unit descriptors, for a campus with a second look, and `thumbnail` small JPEGs for one that
    has those; none where they were not asked for.
    """

    names: tuple[str, ...]
    images: NDArray[np.uint8]
    latlon: NDArray[np.float64]
    heading_deg: NDArray[np.float64]
    walk: tuple[str, ...]
    is_night: NDArray[np.bool_]
    time_s: NDArray[np.float64]
    digest: NDArray[np.uint64]
    source_digest: NDArray[np.uint64]
    local: tuple[NDArray[np.float32], ...] = ()
    thumbnail: tuple[bytes, ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    def at(self, rows: NDArray[np.intp]) -> Arrivals:
        """Some of them; of all in their order no copy is made, since images are large."""
        if np.array_equal(rows, np.arange(len(self))):
            return self
        return Arrivals(
            tuple(self.names[row] for row in rows),
            self.images[rows],
            self.latlon[rows],
            self.heading_deg[rows],
            tuple(self.walk[row] for row in rows),
            self.is_night[rows],
            self.time_s[rows],
            self.digest[rows],
            self.source_digest[rows],
            tuple(self.local[row] for row in rows) if self.local else (),
            tuple(self.thumbnail[row] for row in rows) if self.thumbnail else (),
        )


def read_arrivals(source: Path, image_size: int, bundle: Bundle | None = None, thumbnails: bool = False) -> Arrivals:
    """The photos of a dataset, of an inbox, or of a folder whose photos carry their position.

    Of an inbox only those of `bundle`'s campus. Their local features are read, too, where `bundle` has a second look;
    `thumbnails` asks for those. Raises DatasetError where there is none that can be used.
    """
    wanted = Wanted.by(image_size, bundle, thumbnails)
    if (source / "gt.csv").is_file():
        return _of_dataset(Dataset.load(source), wanted)
    if not source.is_dir():
        raise DatasetError("no such folder of photos", path=source)
    with tempfile.TemporaryDirectory() as folder:
        labels = Path(folder) / "inbox.csv"
        inbox = write_inbox_labels(source, labels, None if bundle is None else bundle.manifest.name)
        # A person looked at each photo of an inbox: no rule leaves it out again.
        report = ingest(source, Path(folder) / "dataset", labels if inbox else None, keep_wrong=inbox)
        print(report.summary())
        return _of_dataset(Dataset.load(Path(folder) / "dataset"), wanted, originals=source)


def write_inbox_labels(inbox: Path, labels: Path, campus: str | None = None) -> bool:
    """Write the accepted photos of an inbox (`core.campus.inbox`) as a CSV of positions; False where it is no inbox.

    An inbox may serve several campuses: with `campus` those of another are left out, and counted aloud. A walk is what
    one person sent on one day. Raises DatasetError where none is accepted, CampusError where a sidecar is damaged.
    """
    rows, sidecars, elsewhere = [], 0, 0
    for name in find_photos(inbox)[0]:
        told = read_sidecar((inbox / name).with_suffix(".json"))
        if told is None:
            continue
        sidecars += 1
        if told.review == "accepted" and campus is not None and not told.is_of(campus):
            elsewhere += 1
        elif told.review == "accepted":
            time = "" if told.time_utc is None else told.time_utc.isoformat()
            rows.append(
                {
                    "image_name": name,
                    "lat": told.lat,
                    "lon": told.lon,
                    "error_m": "" if told.error_m is None else told.error_m,
                    "time_utc": time,
                    "heading_deg": "" if told.heading_deg is None else told.heading_deg,
                    "session": f"{told.who or 'someone'} {time[:10]}".strip(),
                }
            )
    others = f"{elsewhere} accepted photos are of another campus" if elsewhere else ""
    if sidecars and not rows:
        raise DatasetError(
            f"none of its {sidecars} photos is accepted" + (f" for {campus}: {others}" if others else ""),
            path=inbox,
            remedy="review them on the app's Review page",
        )
    if others:
        print(f"{others}, and left out")
    with labels.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, _COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return bool(sidecars)


def _of_dataset(dataset: Dataset, wanted: Wanted, originals: Path | None = None) -> Arrivals:
    """A dataset's photos; `originals` is the folder that they were made of, whose files are the ones to know again."""
    files = dataset.image_paths
    if originals is not None and dataset.has("source"):
        files = [originals / source for source in dataset.column("source")]
        files = [file if file.is_file() else image for file, image in zip(files, dataset.image_paths, strict=True)]
    times = _times(dataset)
    night = dataset.is_night
    if not night.any():  # a table that does not tell is filled with False
        dark = [is_night(lat, lon, time) for (lat, lon), time in zip(dataset.latlon.tolist(), times, strict=True)]
        night = np.array(dark, np.bool_)
    digests = [photo_digest(file) for file in files]
    sources = [own if of is None else of for own, of in zip(digests, dataset.source_digests(), strict=True)]
    images = np.empty((len(dataset), wanted.image_size, wanted.image_size, 3), np.uint8)
    local, thumbnails = [], []
    for image, pixels in zip(images, read_pixels(dataset.image_paths, wanted), strict=True):
        image[...] = pixels.image
        local += [] if pixels.local is None else [pixels.local]
        thumbnails += [] if pixels.thumbnail is None else [pixels.thumbnail]
    return Arrivals(
        tuple(dataset.names),
        images,
        dataset.latlon,
        dataset.numbers("heading_deg"),
        tuple(walk_names(dataset)),
        night,
        np.array([math.nan if time is None else time.timestamp() for time in times]),
        np.array(digests, np.uint64),
        np.array(sources, np.uint64),
        tuple(local),
        tuple(thumbnails),
    )


def _times(dataset: Dataset) -> list[datetime | None]:
    """(N) when each photo was taken, aware, by its UTC or its camera's clock; None where neither is told."""
    utc, clock = (dataset.column(name) if dataset.has(name) else [""] * len(dataset) for name in _TIMES)
    found: list[datetime | None] = []
    for text, local_text, (_, lon) in zip(utc, clock, dataset.latlon.tolist(), strict=True):
        time, local = parse_iso_time(text), parse_local_time(local_text)
        by_place = None if local is None else utc_by_place(local, lon)
        found.append(by_place if time is None else as_utc(time))
    return found


def walk_names(dataset: Dataset) -> list[str]:
    """(N) which photos were taken together: by session, else by contributor, else all of them."""
    for column in ("session", "contributor"):
        if dataset.has(column):
            return dataset.column(column)
    return [""] * len(dataset)
