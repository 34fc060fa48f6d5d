"""Walks on the test campus: photos whose colour says one place, taken at another."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.campus.frame import LocalFrame
from tests.bundles import Kind, photo

FRAME = LocalFrame.about(47.0, 8.4)  # that of the test bundle


def scattered(photos: int, seed: int, off_m: float = 0.0) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where photos look as if they were taken, and where they were: (N, 2) local metres each."""
    rng = np.random.default_rng(seed)
    seen = rng.uniform(-85, 85, (photos, 2))
    return seen, seen + rng.normal(0, off_m, (photos, 2))


def write_walks(
    out: Path,
    walks: dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]],
    kind: Kind = "good",
    night: bool = False,
) -> Path:
    """A dataset of walks by name: each (looks as if, true place). Every photo's file differs."""
    (out / "images").mkdir(parents=True)
    rows = []
    for name, (seen, true) in walks.items():
        for index, (looks, (lat, lon)) in enumerate(zip(seen, FRAME.to_latlon(true).tolist(), strict=True)):
            data = photo(kind, east_m=float(looks[0]), north_m=float(looks[1]), size=(80, 60))
            file = f"{name}-{index}.jpg"
            with Image.open(io.BytesIO(data)) as image:
                image.save(out / "images" / file, "JPEG", quality=95, comment=f"{name} {index} {lat} {lon}".encode())
            rows.append({"image_name": file, "lat": lat, "lon": lon, "is_night": int(night), "session": name})
    with (out / "gt.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return out
