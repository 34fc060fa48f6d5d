"""What the fuzzers call: each target takes bytes, and fails on anything but a CampusError of one line."""

from __future__ import annotations

import contextlib
import math
import tempfile
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np

from core.campus.basemap import style_url
from core.campus.bundle import Bundle
from core.campus.thumbnails import checked_thumbnails
from core.errors import CampusError
from core.io.arrays import read_npz
from core.io.labels import read_labels
from core.photo import exif
from core.photo.capture import capture_from_tags
from core.photo.load import load_photo
from edge.manifest import Golden, Manifest


@lru_cache
def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="campus-gps-fuzz-"))


def photo(data: bytes) -> None:
    with _one_line():
        rgb = load_photo(data, min_side=64).rgb
        assert rgb.ndim == 3
        assert rgb.shape[2] == 3
        assert rgb.dtype == np.uint8
        assert rgb.size


def exif_block(data: bytes) -> None:
    """Neither the reader nor what is made of its tags ever raises."""
    for tags in (exif.read_tags(data), exif.read_tags(exif.jpeg_exif(data))):
        capture = capture_from_tags(tags)
        assert 1 <= tags.orientation <= 8
        assert (capture.lat_deg is None) == (capture.lon_deg is None)
        assert capture.lat_deg is None or abs(capture.lat_deg) <= 90
        assert capture.lon_deg is None or abs(capture.lon_deg) <= 180
        assert capture.heading_deg is None or 0 <= capture.heading_deg < 360
        assert capture.error_m is None or (math.isfinite(capture.error_m) and capture.error_m > 0)
        assert capture.device is None or capture.device.isprintable()
    assert exif.tag_data_bytes(data) >= 0


def bundle(data: bytes) -> None:
    """The bytes of a .campus file, and all that is read out of one."""
    path = _folder() / "fuzzed.campus"
    path.write_bytes(data)
    with _one_line():
        opened = Bundle.load(path)
        _ = opened.gallery, opened.thumbnails
        style_url(opened.campus_map, dark=False)


def arrays(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        read_npz(data, ("embedding", "local_m"))
    with contextlib.suppress(ValueError):
        small = checked_thumbnails(read_npz(data, ("jpeg", "end")), 3)
        assert b"".join(small.at(row) for row in range(3)) == small.jpeg.tobytes()
    with _one_line():
        Golden.parse(data, "golden.npz")


def manifest(data: bytes) -> None:
    with _one_line():
        Manifest.parse(data, "manifest.json")


def labels(data: bytes) -> None:
    path = _folder() / "fuzzed.csv"
    path.write_bytes(data)
    for strict in (True, False):
        with _one_line():
            table = read_labels(path, strict=strict)
            assert {"image_name", "lat", "lon"} <= set(table.columns)
            assert len(table)
            known = table[["lat", "lon"]].dropna()
            assert (known["lat"].abs() <= 90).all()
            assert (known["lon"].abs() <= 180).all()
            assert not strict or len(known) == len(table)


@contextlib.contextmanager
def _one_line() -> Iterator[None]:
    message = ""
    try:
        yield
    except CampusError as error:
        message = str(error)
    assert "\n" not in message
    assert len(message) < 2000


TARGETS: dict[str, Callable[[bytes], None]] = {
    "photo": photo, "exif": exif_block, "bundle": bundle, "arrays": arrays, "manifest": manifest, "labels": labels,
}  # fmt: skip
