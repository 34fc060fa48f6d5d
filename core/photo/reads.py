"""The bytes of a photo's file, as a decoder of Pillow's gets to read them."""

from __future__ import annotations

import io

from core.photo.exif import EXIF_HEADER

# How often a decoder may come back for more. Pillow walks chunks, segments and runs in Python, so a file cut into
# millions of them would take long; a 12-megapixel PNG in libpng's chunks of 8 kB needs some 15,000.
_MAX_READS = 100_000


class BoundedReads(io.BytesIO):
    """The bytes of a file, for a decoder that asks for them at most _MAX_READS times."""

    reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.reads += 1
        if self.reads > _MAX_READS:
            raise OSError("it is cut into too many small pieces")
        return super().read(size)


class ReadsWithoutExif(BoundedReads):
    """A JPEG in which no segment is called EXIF: Pillow parses that on opening, with warnings and without bounds.

    It reads each segment at once, so nothing has to be sought in all the bytes of the pixels.
    """

    def read(self, size: int | None = -1, /) -> bytes:
        piece = super().read(size)
        return b"\0" + piece[1:] if piece.startswith(EXIF_HEADER) else piece
