"""The sample photos that a bundle may carry, for people to try and for programs to measure with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from core.campus.bundle import Bundle
from core.photo.load import Photo, load_photo
from core.photo.preprocess import network_image

if TYPE_CHECKING:
    from numpy.typing import NDArray


def sample_photos(bundle: Bundle, min_side: int, most: int | None = None) -> Iterator[tuple[str, Photo]]:
    """The name and the photo of each sample, or of the first `most`; decoded at least `min_side` pixels wide and high.

    Raises PhotoError for one that is none.
    """
    for name in bundle.samples[:most]:
        yield name, load_photo(bundle.read(name), min_side=min_side)


def sample_images(bundle: Bundle, most: int | None = None) -> NDArray[np.uint8]:
    """(N, S, S, 3) uint8: the samples as the network sees them; N may be 0."""
    size = bundle.manifest.image_size
    images = [network_image(photo.rgb, size) for _, photo in sample_photos(bundle, size, most)]
    return np.stack(images) if images else np.zeros((0, size, size, 3), np.uint8)
