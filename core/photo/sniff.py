"""What a file is by its first bytes, and how large a picture it says it holds, before any decoder sees it."""

from __future__ import annotations

from core.errors import PhotoError

FORMATS = "JPEG, PNG, WebP or HEIC"
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"})
_ENDINGS = {"jpeg": ".jpg", "heif": ".heic", "tiff": ".tif"}
_MAX_HEIF_SIZES = 1000  # a 50-megapixel HEIC has two: its tiles' and its own


def kind_of(name: str, data: bytes) -> str:
    """The picture format by its first bytes (never by the name), or a PhotoError that says what it is
    instead.
    """
    signatures = (
        (b"\xff\xd8", "jpeg"), (b"\x89PNG\r\n\x1a\n", "png"), (b"GIF87a", "gif"), (b"GIF89a", "gif"),
        (b"II*\0", "tiff"), (b"MM\0*", "tiff"), (b"BM", "bmp"),
    )  # fmt: skip
    for signature, kind in signatures:
        if data.startswith(signature):
            return kind
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "webp"
    what = "not a photo in a known format"
    if data[4:8] == b"ftyp":
        length = min(int.from_bytes(data[:4], "big"), 256)
        brands = [data[8:12]] + [data[at : at + 4] for at in range(16, length, 4)]
        if brands[0] not in (b"avif", b"avis") and _HEIF_BRANDS.intersection(brands):
            return "heif"
        what = "an AVIF picture" if brands[0] in (b"avif", b"avis") else "a video"
    elif data[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith((b"<!doctype", b"<html", b"<?xml", b"<svg")):
        what = "a web page or text, not a photo"
    raise PhotoError(what, path=name, remedy=f"save it as {FORMATS}", kind="unknown format")


def ending_of(name: str, data: bytes) -> str:
    """How the name of such a file ends, with its dot. Raises PhotoError as `kind_of` does."""
    kind = kind_of(name, data)
    return _ENDINGS.get(kind, f".{kind}")


def webp_size(data: bytes) -> tuple[int, int]:
    """(width, height) of the canvas, from the header (WebP container specification); (0, 0) where it is
    unreadable.
    """
    head = data[:30].ljust(30, b"\0")
    if head[12:16] == b"VP8X":
        return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
    if head[12:16] == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if head[12:16] == b"VP8 ":
        return int.from_bytes(head[26:28], "little") & 0x3FFF, int.from_bytes(head[28:30], "little") & 0x3FFF
    return 0, 0


def heif_sizes(data: bytes) -> list[tuple[int, int]]:
    """(width, height) of every picture in a HEIF file, as decoded: a file may show only a small part of a
    huge one.

    The `ispe` boxes of ISO/IEC 23008-12, section 6.5.3, which stand before the pixels in what phones write.
    """
    sizes: list[tuple[int, int]] = []
    at = data.find(b"ispe\0\0\0\0")
    while 0 <= at <= len(data) - 16 and len(sizes) < _MAX_HEIF_SIZES:
        sizes.append((int.from_bytes(data[at + 8 : at + 12], "big"), int.from_bytes(data[at + 12 : at + 16], "big")))
        at = data.find(b"ispe\0\0\0\0", at + 16)
    return sizes
