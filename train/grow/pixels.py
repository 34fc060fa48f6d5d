"""What a refresh takes from new photos' pixels, each decoded once: network input, local features, small picture."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from core.campus.bundle import Bundle
from core.locate.verification import Verifier, open_verifier
from core.photo.blur.blur import Blur
from core.photo.load import load_photo
from core.photo.preprocess import network_image
from train.bundle.thumbnails import LOOKED_PX, small_picture
from train.dataset.workers import usable_cores

Float32 = NDArray[np.float32]

_own = threading.local()


@dataclass(frozen=True)
class Wanted:
    """image_size: of the network's input. verifier: the second look that reads local features, or None.

    thumbnails: whether small pictures are made.
    """

    image_size: int
    verifier: Verifier | None = None
    thumbnails: bool = False

    @classmethod
    def by(cls, image_size: int, bundle: Bundle | None, thumbnails: bool) -> Wanted:
        """What a campus wants, local features where it looks twice; each photo's on one core."""
        return cls(image_size, None if bundle is None else open_verifier(bundle, threads=1), thumbnails)

    @property
    def least_side(self) -> int:
        """How many pixels a photo's short side needs, as `Localizer.least_side` has it, and for its small picture."""
        look = 0 if self.verifier is None else self.verifier.least_side
        return max(self.image_size, look, LOOKED_PX if self.thumbnails else 0)


@dataclass(frozen=True, eq=False)
class Pixels:
    """image (S, S, 3) uint8 RGB, the network's input; local (n, 64) unit descriptors; thumbnail: a JPEG file.

    The last two are None where they are not wanted.
    """

    image: NDArray[np.uint8]
    local: Float32 | None
    thumbnail: bytes | None


def read_pixels(photos: Sequence[Path], wanted: Wanted) -> Iterator[Pixels]:
    """Of each photo, in order, in a thread a core: Pillow and ONNX Runtime, nearly all of it, need no Python lock.

    Raises PhotoError, MissingDependency and EngineError as `Blur` does.
    """
    with ThreadPoolExecutor(usable_cores()) as pool:
        read = pool.map(partial(_pixels, wanted), photos)
        yield from tqdm(read, "reading photos", len(photos), unit="photo", disable=None)


def _pixels(wanted: Wanted, photo: Path) -> Pixels:
    rgb = load_photo(photo, min_side=wanted.least_side).rgb
    local = None if wanted.verifier is None else wanted.verifier.features(rgb)
    picture = small_picture(rgb, _blur()) if wanted.thumbnails else None
    return Pixels(network_image(rgb, wanted.image_size), local, picture)


def _blur() -> Blur:
    """This thread's own, on one core: one that is shared takes a photo at a time."""
    if not hasattr(_own, "blur"):
        _own.blur = Blur(threads=1)
    found: Blur = _own.blur
    return found
