"""Photos cut short at every kind of marker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tests.hostile.photos.cases import case
from tests.hostile.photos.whole import KINDS, whole


def jpeg_marks(data: bytes) -> Iterator[tuple[str, int, int]]:
    """(name, start, end) of each segment of a JPEG's header, and of its pixels."""
    at = 2
    yield "SOI", 0, 2
    while data[at + 1] != 0xDA:
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        yield f"{data[at + 1]:02X}", at, end
        at = end
    end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    yield "SOS", at, end
    yield "pixels", end, len(data) - 2
    yield "EOI", len(data) - 2, len(data)


def png_marks(data: bytes) -> Iterator[tuple[str, int, int]]:
    at = 8
    yield "signature", 0, 8
    while at < len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        yield data[at + 4 : at + 8].decode(), at, end
        at = end


def riff_marks(data: bytes) -> Iterator[tuple[str, int, int]]:
    at = 12
    yield "RIFF", 0, 12
    while at < len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        yield data[at : at + 4].decode().strip(), at, at + 8 + size + size % 2
        at += 8 + size + size % 2


_BOXES_OF_BOXES = {b"meta": 4, b"iprp": 0, b"ipco": 0, b"iinf": 6, b"dinf": 0, b"iref": 4}


def box_marks(data: bytes, start: int = 0, end: int | None = None) -> Iterator[tuple[str, int, int]]:
    """The boxes of a HEIC, those within boxes too."""
    at, end = start, len(data) if end is None else end
    while at + 8 <= end:
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        yield kind.decode("latin-1"), at, at + size
        if kind in _BOXES_OF_BOXES:
            yield from box_marks(data, at + 8 + _BOXES_OF_BOXES[kind], at + size)
        at += max(size, 8)


def even_marks(data: bytes) -> Iterator[tuple[str, int, int]]:
    """Formats whose parts have no names: ten equal parts, and the last byte."""
    step = len(data) // 10
    for index in range(10):
        yield f"part{index}", index * step, (index + 1) * step
    yield "last", len(data) - 1, len(data)


MARKS: dict[str, Callable[[bytes], Iterator[tuple[str, int, int]]]] = {
    "jpeg": jpeg_marks, "mpo": even_marks, "png": png_marks, "webp": riff_marks, "heic": box_marks,
    "gif": even_marks, "bmp": even_marks, "tiff": even_marks,
}  # fmt: skip


def cuts(kind: str) -> Iterator[tuple[str, int]]:
    """(name, how many bytes are left) for each place where a file of this kind is cut: before each part, two bytes
    into it, in its middle, and a byte before its end.
    """
    done = set()
    for name, start, end in MARKS[kind.split("-")[0]](whole(kind)):
        for where, keep in (("before", start), ("in", start + 2), ("middle", (start + end) // 2), ("end", end - 1)):
            if 0 < keep < len(whole(kind)) and keep not in done:
                done.add(keep)
                yield f"{where}-{name}-{keep}", keep


# What is left of these is a whole picture, though not a whole file: what follows it is cut, or a check of it.
_STILL_A_PHOTO = {
    "mpo": "either", "tiff": "either", "tiff-frames": "either", "gif": "either", "gif-animated": "either",
    "png-animated": "either", "webp-animated": "either", "heic-two": "either",
}  # fmt: skip


def truncated() -> None:
    for kind in KINDS:
        whole_size = len(whole(kind))
        for name, keep in cuts(kind):
            outcome: Any = _STILL_A_PHOTO.get(kind, "refused")
            if kind in ("jpeg", "jpeg-progressive", "jpeg-cmyk") and keep >= whole_size - 2:
                outcome = "either"  # all pixels are there; only the marker of the end is not
            if kind.startswith("png") and keep > whole_size - 17:
                outcome = "either"  # within the last check, or within IEND, which holds nothing
            case(f"cut-{kind}-{name}", lambda kind=kind, keep=keep: whole(kind)[:keep], outcome)  # type: ignore[misc]
