"""Local features of the gallery's photos, as a bundle keeps them: 64 numbers a keypoint, a byte each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Float32 = NDArray[np.float32]

# A unit descriptor's numbers reach 0.6 at most; cut there and rounded to a byte, no metre is lost (RESULTS.md).
INT8_SCALE = 200.0


@dataclass(frozen=True)
class LocalGallery:
    """Descriptors of the gallery's photos, in its order: (N, P, D) int8, INT8_SCALE times their numbers.

    A photo with fewer than P keypoints ends in zeros, which match nothing.
    """

    descriptor: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.descriptor)

    @classmethod
    def of(cls, photos: Sequence[Float32], keypoints: int) -> LocalGallery:
        """One (n, D) array of unit descriptors a photo, best keypoints first; no more than `keypoints` are kept."""
        width = photos[0].shape[1]
        descriptor = np.zeros((len(photos), keypoints, width), np.int8)
        for into, found in zip(descriptor, photos, strict=True):
            kept = found[:keypoints]
            into[: len(kept)] = np.clip(np.round(kept * INT8_SCALE), -127, 127)
        return cls(descriptor)

    def at(self, rows: NDArray[np.intp]) -> Float32:
        """(K,) rows -> (K, P, D) float32 descriptors, of about unit length."""
        return self.descriptor[rows].astype(np.float32) / np.float32(INT8_SCALE)


def checked_local_gallery(arrays: dict[str, NDArray[Any]], photos: int, keypoints: int) -> LocalGallery:
    """The gallery of a bundle's arrays. Raises ValueError where they do not fit `photos` and `keypoints`."""
    descriptor = arrays["descriptor"]
    if descriptor.dtype != np.int8 or descriptor.ndim != 3 or descriptor.shape[:2] != (photos, keypoints):
        raise ValueError(f"holds {descriptor.shape} {descriptor.dtype}, not ({photos}, {keypoints}, D) int8")
    return LocalGallery(descriptor)
