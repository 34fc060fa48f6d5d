"""Small pictures of the gallery's photos, as a bundle may keep them: JPEGs one after another in one array."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

THUMBNAIL_PX = 160  # along the longer side
MAX_THUMBNAIL_BYTES = 32_768  # each; they take 4 to 8 kB


@dataclass(frozen=True)
class Thumbnails:
    """JPEG files of the gallery's photos, in its order.

    `jpeg`: (bytes of all,) uint8, one file after another; `end`: (N,) int64, where each one ends in it.
    """

    jpeg: NDArray[np.uint8]
    end: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.end)

    @classmethod
    def of(cls, files: Sequence[bytes]) -> Thumbnails:
        """One JPEG file a photo."""
        return cls(np.frombuffer(b"".join(files), np.uint8), np.cumsum([len(file) for file in files], dtype=np.int64))

    def and_of(self, files: Sequence[bytes]) -> Thumbnails:
        """The same with those of more photos behind them."""
        more = Thumbnails.of(files)
        return Thumbnails(np.concatenate([self.jpeg, more.jpeg]), np.concatenate([self.end, more.end + len(self.jpeg)]))

    def at(self, row: int) -> bytes:
        """The JPEG file of a gallery photo."""
        return self.jpeg[int(self.end[row - 1]) if row else 0 : int(self.end[row])].tobytes()

    def file(self) -> bytes:
        """As a bundle keeps them; JPEGs are not compressed again."""
        stream = io.BytesIO()
        np.savez(stream, jpeg=self.jpeg, end=self.end)
        return stream.getvalue()


def checked_thumbnails(arrays: dict[str, NDArray[Any]], photos: int) -> Thumbnails:
    """The thumbnails of a bundle's arrays. Raises ValueError where they do not fit a gallery of `photos`."""
    jpeg, end = arrays["jpeg"], arrays["end"]
    if jpeg.dtype != np.uint8 or jpeg.ndim != 1 or end.dtype != np.int64 or end.shape != (photos,):
        found = f"{jpeg.shape} {jpeg.dtype} and {end.shape} {end.dtype}"
        raise ValueError(f"holds {found}, not (bytes,) uint8 and ({photos},) int64")
    size = np.diff(end, prepend=0)
    if end[-1] != len(jpeg) or size.min() < 1 or size.max() > MAX_THUMBNAIL_BYTES:
        raise ValueError(f"holds a picture of no bytes, or of more than {MAX_THUMBNAIL_BYTES}")
    return Thumbnails(jpeg, end)
