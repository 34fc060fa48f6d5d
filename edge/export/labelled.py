"""Photos with known positions, to measure a model in metres: a CSV and a folder, or a bundle's own samples."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from core.campus.bundle import Bundle
from core.campus.samples import sample_photos
from core.errors import DatasetError
from core.photo.names import is_photo
from core.photo.preprocess import load_network_image, network_image

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Labelled:
    """images: (N, S, S, 3) uint8 as the network sees them; latlon: (N, 2) degrees; `source`: where they are from."""

    images: NDArray[np.uint8]
    latlon: NDArray[np.float64]
    source: str

    def __len__(self) -> int:
        return len(self.images)


def labelled_photos(labels: Path, folder: Path, size: int) -> Labelled:
    """The photos of a CSV with image_name, lat and lon. Raises DatasetError where one is not in the folder."""
    from core.io.labels import read_labels

    table = read_labels(labels)
    paths = [folder / name for name in table["image_name"]]
    if missing := next((path for path in paths if not path.is_file()), None):
        raise DatasetError(
            f"named in {labels} but not there", path=missing, remedy="give the photos' folder with --images"
        )
    latlon = table[["lat", "lon"]].to_numpy(np.float64)
    return Labelled(_images(paths, size), latlon, f"{len(paths)} photos of {labels}")


def labelled_samples(bundle: Bundle) -> Labelled:
    """The bundle's sample photos, whose true positions are in their EXIF. Raises DatasetError where it has none."""
    size = bundle.manifest.image_size
    known = [photo for _, photo in sample_photos(bundle, size) if photo.capture.has_position]
    if not known:
        raise DatasetError(
            "carries no sample photos with positions", path=bundle.path, remedy="give --labels CSV and --images DIR"
        )
    latlon = np.array([(photo.capture.lat_deg, photo.capture.lon_deg) for photo in known], np.float64)
    images = np.stack([network_image(photo.rgb, size) for photo in known])
    return Labelled(images, latlon, f"{len(known)} sample photos of the bundle")


def folder_images(folder: Path, size: int, most: int | None = None) -> NDArray[np.uint8]:
    """(N, S, S, 3) uint8: a folder's photos, or `most` of them spread evenly. Raises DatasetError where it has none."""
    if not folder.is_dir():
        raise DatasetError("not a folder of photos", path=folder, remedy="check the path")
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and is_photo(path))
    if not paths:
        raise DatasetError("holds no photos", path=folder)
    chosen = np.linspace(0, len(paths) - 1, min(most or len(paths), len(paths))).round().astype(int)
    return _images([paths[index] for index in chosen], size)


def _images(paths: list[Path], size: int) -> NDArray[np.uint8]:
    return np.stack([load_network_image(path, size) for path in paths])
