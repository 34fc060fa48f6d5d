"""A photo with its faces and number plates painted over, as it may be stored."""

from __future__ import annotations

import io
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from core.errors import PhotoError, reason_of
from core.photo.blur.faces import FaceDetector
from core.photo.blur.models import THREADS
from core.photo.blur.plates import PlateDetector
from core.photo.geotag import exif_of
from core.photo.load import load_photo

if TYPE_CHECKING:
    from numpy.typing import NDArray

LONGEST_PX = 1280  # as it is looked through, so it is stored: what is too small to be found there is small there
_MARGIN = 0.25  # of a box's own sides, added around it: detectors cut foreheads and frames short
_QUALITY = 90


class Blur:
    """Paints faces and number plates over; one photo at a time, so that its memory is bounded."""

    def __init__(self, threads: int = THREADS) -> None:
        """Raises MissingDependency where a detector's package is absent, EngineError where its network is another."""
        self._faces, self._plates = FaceDetector(threads), PlateDetector(threads)
        self._lock = Lock()

    def painted(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 RGB -> the same, each face and plate of one colour, the photo's mean."""
        with self._lock:
            boxes = np.concatenate([self._faces.boxes(rgb), self._plates.boxes(rgb)])
        painted = rgb.copy()
        if len(boxes):
            painted[covered(boxes, rgb.shape[:2])] = rgb.mean(axis=(0, 1)).round()
        return painted

    def photo(self, data: bytes) -> bytes:
        """The bytes of a photo file of any kind -> a JPEG of at most LONGEST_PX, painted over.

        Its EXIF is what `load_photo` reads of the photo's, and nothing else: makers put previews into theirs. Raises
        PhotoError where the photo cannot be read, or a detector fails on it.
        """
        from PIL import Image

        loaded = load_photo(data, min_side=LONGEST_PX)
        image = Image.fromarray(loaded.rgb)
        image.thumbnail((LONGEST_PX, LONGEST_PX), reducing_gap=2.0)
        try:
            painted = self.painted(np.asarray(image))
        except Exception as error:  # ONNX Runtime's exceptions have no common base; unblurred it may not be stored
            raise PhotoError(f"faces and number plates could not be looked for ({reason_of(error)})") from error
        out = io.BytesIO()
        Image.fromarray(painted).save(out, "JPEG", quality=_QUALITY, exif=exif_of(loaded.capture))
        return out.getvalue()


@lru_cache(maxsize=1)
def process_blur(threads: int = THREADS) -> Blur:
    """The one of this process, its networks on so many threads.

    Raises MissingDependency and EngineError as `Blur` does.
    """
    return Blur(threads)


def covered(boxes: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """(N, 4) left, top, right, bottom in pixels -> (height, width): what lies in one of them or in its margin.

    Corners are counted and summed along both axes, so that thousands of large boxes take no longer than one.
    """
    height, width = shape
    size = boxes[:, 2:] - boxes[:, :2]
    limit = np.array([width, height])
    low = np.clip(np.floor(boxes[:, :2] - _MARGIN * size), 0, limit).astype(int)
    high = np.clip(np.ceil(boxes[:, 2:] + _MARGIN * size), 0, limit).astype(int)
    corners = np.zeros((height + 1, width + 1), int)
    for rows, columns, sign in ((low, low, 1), (low, high, -1), (high, low, -1), (high, high, 1)):
        np.add.at(corners, (rows[:, 1], columns[:, 0]), sign)
    return np.asarray(corners.cumsum(axis=0).cumsum(axis=1)[:height, :width] > 0)
