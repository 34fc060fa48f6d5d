"""Photos that are broken, absurd, or made to do harm, built by code: named cases and what must become of each.

`python -m tests.hostile.corpus FOLDER` writes them all as files, to feed to another program or a fuzzer.
"""

from __future__ import annotations

import io
import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.pictures import encoded, quartered, stored_as

Outcome = Literal["photo", "refused", "either"]
BUILD: dict[str, Case] = {}


@dataclass(frozen=True)
class Case:
    """`outcome`: what must become of it; `says`: what its refusal must name; `quarters`: the photo must show
    `quartered()` upright; `file_name`: what the file is called.
    """

    name: str
    data: Callable[[], bytes]
    outcome: Outcome
    says: str = ""
    quarters: bool = False
    file_name: str = "photo.jpg"


def case(name: str, data: Callable[[], bytes], outcome: Outcome, says: str = "", **more: Any) -> None:
    if name in BUILD:
        raise ValueError(f"two cases are called {name}")
    BUILD[name] = Case(name, data, outcome, says, **more)


# --- whole photos ---------------------------------------------------------------------------------------------


def noise(width: int = 80, height: int = 60, channels: int = 3) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 255, (height, width, channels), np.uint8)


def exif(orientation: int = 1) -> bytes:
    block = Image.Exif()
    block[274] = orientation
    block[271], block[272], block[306] = "Phone Co", "Phone 1", "2024:05:06 07:08:09"
    block.get_ifd(0x8825).update({1: "N", 2: (39.0, 57.0, 5.0), 3: "W", 4: (75.0, 11.0, 30.0)})
    return block.tobytes()


@lru_cache
def whole(kind: str) -> bytes:
    """A small noisy photo with EXIF where the format has it, in each of the ways a file can be laid out."""
    rgb = noise()
    rgba = Image.fromarray(noise(channels=4))
    frames: dict[str, Any] = {"save_all": True, "append_images": [Image.fromarray(rgb[::-1]), Image.fromarray(rgb)]}
    builders: dict[str, Callable[[], bytes]] = {
        "jpeg": lambda: encoded(rgb, "JPEG", exif=exif(), icc_profile=b"profile" * 40, comment=b"hello"),
        "jpeg-progressive": lambda: encoded(rgb, "JPEG", exif=exif(), progressive=True),
        "jpeg-cmyk": lambda: encoded(Image.fromarray(rgb).convert("CMYK"), "JPEG", icc_profile=b"broken" * 30),
        "mpo": lambda: encoded(rgb, "MPO", exif=exif(), save_all=True, append_images=[Image.fromarray(rgb)]),
        "png": lambda: encoded(rgb, "PNG", exif=exif(), icc_profile=b"profile" * 40, dpi=(72, 72)),
        "png-palette": lambda: encoded(Image.fromarray(rgb).quantize(64), "PNG", transparency=3, optimize=True),
        "png-animated": lambda: encoded(rgb, "PNG", **frames),
        "webp": lambda: encoded(rgb, "WEBP", exif=exif(), icc_profile=b"profile" * 40),
        "webp-lossless": lambda: encoded(rgb, "WEBP", lossless=True),
        "webp-alpha": lambda: encoded(rgba, "WEBP", exif=exif()),
        "webp-animated": lambda: encoded(rgb, "WEBP", **frames),
        "gif": lambda: encoded(rgb, "GIF", comment=b"hello"),
        "gif-animated": lambda: encoded(rgb, "GIF", **frames),
        "bmp": lambda: encoded(rgb, "BMP"),
        "tiff": lambda: encoded(rgb, "TIFF", exif=exif()),
        "tiff-frames": lambda: encoded(rgb, "TIFF", **frames),
        "heic": lambda: encoded(rgb, "HEIF", exif=exif()),
        "heic-two": lambda: heif_of_two(rgb),
    }
    return builders[kind]()


KINDS = (
    "jpeg", "jpeg-progressive", "jpeg-cmyk", "mpo", "png", "png-palette", "png-animated", "webp", "webp-lossless",
    "webp-alpha", "webp-animated", "gif", "gif-animated", "bmp", "tiff", "tiff-frames", "heic", "heic-two",
)  # fmt: skip


def heif_of_two(rgb: NDArray[np.uint8]) -> bytes:
    import pillow_heif

    both = pillow_heif.from_pillow(Image.fromarray(rgb))
    both.add_from_pillow(Image.fromarray(rgb[::-1]))
    file = io.BytesIO()
    both.save(file)
    return file.getvalue()


# --- cut short at every kind of marker ------------------------------------------------------------------------


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


# --- what is no photo, or another than its name says ----------------------------------------------------------


def names() -> None:
    for kind in KINDS:
        case(f"whole-{kind}", lambda kind=kind: whole(kind), "photo")  # type: ignore[misc]
    for kind, name in (("png", "photo.jpg"), ("jpeg", "photo.heic"), ("webp", "photo.png"), ("heic", "photo.jpeg"),
                       ("gif", "photo.webp"), ("jpeg", "photo")):  # fmt: skip
        case(f"{kind}-named-{name}", lambda kind=kind: whole(kind), "photo", file_name=name)  # type: ignore[misc]
    html = b"<!DOCTYPE html>\n<html><body>404 Not Found</body></html>"
    case("empty", lambda: b"", "refused", "empty")
    case("html", lambda: html, "refused", "web page")
    case("html-with-mark", lambda: b"\xef\xbb\xbf\r\n" + html, "refused", "web page")
    case("svg", lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>", "refused", "web page")
    case("pdf", lambda: b"%PDF-1.7\n" + b"x" * 1000, "refused", "known format")
    case("zip", lambda: b"PK\3\4" + b"\0" * 1000, "refused", "known format")
    case("video", lambda: b"\0\0\0\x18ftypisom\0\0\0\0isommp42" + b"\0" * 1000, "refused", "video")
    case("avif", lambda: b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf" + b"\0" * 500, "refused", "AVIF")
    case("avif-that-says-heic", lambda: b"\0\0\0\x1cftypheic\0\0\0\0avifmif1miaf" + b"\0" * 500, "refused", "damaged")
    case("random", lambda: noise(100, 100).tobytes(), "refused")
    case("zeros", lambda: bytes(100_000), "refused")
    for signature in (b"\xff\xd8", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"II*\0", b"MM\0*",
                      b"RIFF\xff\xff\xff\xffWEBP", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"):  # fmt: skip
        label = signature.hex()
        case(f"signature-alone-{label}", lambda signature=signature: signature, "refused")  # type: ignore[misc]
        case(f"signature-and-zeros-{label}", lambda s=signature: s + bytes(5000), "refused")  # type: ignore[misc]
        case(f"signature-and-ff-{label}", lambda s=signature: s + b"\xff" * 5000, "refused")  # type: ignore[misc]
        case(f"signature-and-noise-{label}", lambda s=signature: s + noise().tobytes(), "refused")  # type: ignore[misc]


# --- bombs ----------------------------------------------------------------------------------------------------


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, depth: int = 8, colour: int = 2, pixels: bytes | None = None, extra: bytes = b"",
        after: bytes = b"", interlaced: bool = False) -> bytes:  # fmt: skip
    """A PNG of zeros (or of `pixels`, compressed), with chunks before and after its pixels."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    row = 1 + (width * depth * channels + 7) // 8
    body = zlib.compress(bytes(row * height), 1) if pixels is None else pixels
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, int(interlaced))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + extra + chunk(b"IDAT", body) + after + chunk(b"IEND", b"")


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"".join(kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2) for kind, data in chunks)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def vp8x(width: int, height: int, flags: int = 0) -> tuple[bytes, bytes]:
    return b"VP8X", struct.pack("<I", flags) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")


def webp_pixels(data: bytes) -> tuple[bytes, bytes]:
    """The chunk of the pixels of a plain WebP."""
    name, start, end = next(mark for mark in riff_marks(data) if mark[0] in ("VP8", "VP8L"))
    size = int.from_bytes(data[start + 4 : start + 8], "little")
    return name.ljust(4).encode(), data[start + 8 : min(end, start + 8 + size)]


def webp_frames(width: int, height: int, count: int) -> bytes:
    """An animation of `count` tiny frames on a canvas of this size."""
    kind, pixels = webp_pixels(encoded(Image.new("RGB", (16, 16)), "WEBP"))
    frame = bytes(6) + (15).to_bytes(3, "little") * 2 + (40).to_bytes(3, "little") + b"\0"
    frame += kind + struct.pack("<I", len(pixels)) + pixels + b"\0" * (len(pixels) % 2)
    return riff(vp8x(width, height, 0x02), (b"ANIM", bytes(6)), *[(b"ANMF", frame)] * count)


def resized_jpeg(data: bytes, width: int, height: int) -> bytes:
    """A JPEG whose frame header says another size."""
    _, start, _ = next(mark for mark in jpeg_marks(data) if mark[0] in ("C0", "C1", "C2"))
    return data[: start + 5] + struct.pack(">HH", height, width) + data[start + 9 :]


def jpeg_of_single_scans(width: int, height: int) -> bytes:
    """A baseline JPEG that announces each colour channel in a scan of its own."""
    data = resized_jpeg(whole("jpeg"), width, height)
    _, start, end = next(mark for mark in jpeg_marks(data) if mark[0] == "SOS")
    return data[:start] + b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" + data[end:]


def jpeg_with(segment: bytes, count: int) -> bytes:
    """A JPEG with `segment` behind its first one, `count` times."""
    data = whole("jpeg")
    _, _, first = list(jpeg_marks(data))[1]
    return data[:first] + segment * count + data[first:]


def jpeg_of_many_scans(count: int) -> bytes:
    """A progressive JPEG whose last scan stands `count` times."""
    data = whole("jpeg-progressive")
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * count + data[-2:]


def flat_jpeg(width: int, height: int, **options: Any) -> bytes:
    return encoded(Image.new("RGB", (width, height), (200, 100, 50)), "JPEG", **options)


def mpo_of_a_bomb() -> bytes:
    """A small picture whose companion claims to be huge."""
    data = whole("mpo")
    second = data.index(b"\xff\xd8\xff", 100)
    return data[:second] + resized_jpeg(data[second:], 65_000, 65_000)


def tiff(entries: list[tuple[int, int, int, bytes]], order: str = "<", tail: bytes = b"", following: int = 0) -> bytes:
    """A TIFF block of one directory at offset 8 (each entry's four value bytes as given), its next, then `tail`."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    body = b"".join(struct.pack(order + "HHI", tag, kind, count) + value for tag, kind, count, value in entries)
    return head + struct.pack(order + "H", len(entries)) + body + struct.pack(order + "I", following) + tail


def tail_at(entries: int) -> int:
    """Where `tail` begins in a `tiff` of so many entries."""
    return 8 + 2 + 12 * entries + 4


def short(value: int) -> bytes:
    return struct.pack("<HH", value, 0)


def long(value: int) -> bytes:
    return struct.pack("<I", value & 0xFFFFFFFF)


def picture_tags(width: int, height: int, pixels_at: int, rows: int | None = None, samples: int = 3) -> Any:
    return [
        (256, 4, 1, long(width)), (257, 4, 1, long(height)), (258, 3, 1, short(8)), (259, 3, 1, short(1)),
        (262, 3, 1, short(2 if samples == 3 else 1)), (273, 4, 1, long(pixels_at)), (277, 3, 1, short(samples)),
        (278, 4, 1, long(rows or height)), (279, 4, 1, long(width * height * samples)),
    ]  # fmt: skip


def tiff_of_many_strips(count: int) -> bytes:
    tags = [entry for entry in picture_tags(1, count, 0, rows=1, samples=1) if entry[0] != 273]
    tags = sorted([*tags, (273, 4, count, long(tail_at(len(tags) + 1)))])
    return tiff(tags, tail=struct.pack("<I", 8) * count)


def tiff_of_hungry_directory(kind: int, count: int) -> bytes:
    """A small picture whose EXIF directory claims the whole file again and again."""
    tags = [*picture_tags(8, 8, 0), (0x8769, 4, 1, long(0))]
    at = tail_at(len(tags))
    tags[5] = (273, 4, 1, long(at))
    values = 200_000
    directory_at = at + 8 * values
    tags[-1] = (0x8769, 4, 1, long(directory_at))
    directory = struct.pack("<H", count)
    directory += b"".join(struct.pack("<HHII", 40_000 + i, kind, values, at) for i in range(count)) + bytes(4)
    return tiff(tags, tail=bytes(8 * values) + directory)


def tiff_of_many_pictures(count: int) -> bytes:
    """Directories that follow one another, the last followed by the first."""
    block = tiff(picture_tags(8, 8, 0))[8:]
    tags = picture_tags(8, 8, 8 + len(block) * count)
    links = [8 + len(block) * (index + 1) for index in range(count - 1)] + [8]
    body = b"".join(tiff(tags, following=link)[8:] for link in links)
    return b"II*\0" + struct.pack("<I", 8) + body + bytes(8 * 8 * 3)


def gif(width: int, height: int, frame: tuple[int, int], extra: bytes = b"") -> bytes:
    """A GIF whose screen says (width, height) and whose only picture says `frame`."""
    data = encoded(Image.new("P", (4, 4)), "GIF")
    picture = data.index(b"\x2c")
    head = data[:6] + struct.pack("<HH", width, height) + data[10:picture] + extra
    return head + b"\x2c\0\0\0\0" + struct.pack("<HH", *frame) + data[picture + 9 :]


def bmp(width: int, height: int, compression: int = 0, bits: int = 24, pixels: bytes = b"") -> bytes:
    palette = bytes(1024) if bits == 8 else b""
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, len(pixels), 0, 0, 0, 0)
    start = 54 + len(palette)
    return b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start) + info + palette + pixels


def patched_heic(box: bytes, skip: int, value: bytes, data: bytes | None = None) -> bytes:
    """The HEIC with `value` written over a box `skip` bytes behind its name, wherever it occurs."""
    out = bytearray(whole("heic") if data is None else data)
    at = out.find(box)
    while at >= 0:
        out[at + len(box) + skip : at + len(box) + skip + len(value)] = value
        at = out.find(box, at + 4)
    return bytes(out)


@lru_cache
def tiled_heic() -> bytes:
    return encoded(quartered(256, 192), "HEIF", tile_size=64)


def deep_heic(width: int, height: int) -> bytes:
    """Ten bits a colour, none of them halved: what takes the decoder most."""
    import pillow_heif

    picture = pillow_heif.from_bytes("RGB;16", (width, height), bytes(6 * width * height))
    picture.save(file := io.BytesIO(), chroma=444, enc_params={"preset": "ultrafast"})
    return file.getvalue()


def heic_of_one_tile(times: int) -> bytes:
    """A HEIC of `times` x `times` tiles of noise of 512 x 512, all of them the same one: small, and long to decode."""
    noise = np.random.default_rng(0).integers(0, 256, (512, 1024, 3), np.uint8)
    data = encoded(Image.fromarray(noise), "HEIF", tile_size=512, enc_params={"preset": "ultrafast"})
    named, side, count = data.index(b"dimg") - 4, 512 * times, times**2
    longer = 2 * (count - 2)
    out = bytearray(data[:named] + struct.pack(">I4sH", 12 + 2 * count, b"dimg", 1) + struct.pack(">H", count))
    out += data[named + 12 : named + 14] * count + data[named + 16 :]
    for box in (b"iref", b"meta"):
        at = out.index(box) - 4
        out[at : at + 4] = struct.pack(">I", struct.unpack(">I", out[at : at + 4])[0] + longer)
    at = out.index(b"iloc")
    for item in range(at + 12, at + 12 + 20 * out[at + 11], 20):
        if not out[item + 3]:  # not stored within the boxes, but behind them, where all is later now
            (offset,) = struct.unpack(">I", out[item + 12 : item + 16])
            out[item + 12 : item + 16] = struct.pack(">I", offset + longer)
    at = out.index(struct.pack(">BBHH", 0, 1, 1024, 512))  # rows - 1, columns - 1, width, height
    out[at : at + 6] = struct.pack(">BBHH", times - 1, times - 1, side, side)
    at = out.index(struct.pack(">II", 1024, 512))
    out[at : at + 8] = struct.pack(">II", side, side)
    return bytes(out)


def heic_of_a_huge_grid() -> bytes:
    """A HEIC of tiles whose derived picture says 30,000 x 30,000 while its properties stay small."""
    data = tiled_heic()
    said = struct.pack(">HH", 256, 192)  # in the item data of the grid: version, flags, rows - 1, columns - 1, size
    at = data.index(b"\0\0\x02\x03" + said)
    return data[: at + 4] + struct.pack(">HH", 30_000, 30_000) + data[at + 8 :]


def text_chunk(size: int, kind: bytes = b"zTXt") -> bytes:
    """A chunk of a PNG that unpacks to a name and `size` zeros."""
    return chunk(kind, b"name\0\0" + zlib.compress(bytes(size), 1))


def bombs() -> None:
    case("png-claims-50000", lambda: png(50_000, 50_000, pixels=zlib.compress(bytes(1000))), "refused", "megapixels")
    case("png-claims-2147483647", lambda: png(2**31 - 1, 2**31 - 1, pixels=b"x"), "refused", "megapixels")
    case("png-24mp", lambda: png(6000, 4000), "photo")
    case("png-24mp-rgba", lambda: png(6000, 4000, colour=6), "photo")
    case("png-24mp-16-bit-rgba", lambda: png(6000, 4000, 16, 6), "photo")
    case("png-24mp-interlaced", lambda: png(6000, 4000, pixels=zlib.compress(bytes(3 * 24_100_000), 1),
                                            interlaced=True), "photo")  # fmt: skip
    case("png-49mp-rgba", lambda: png(7000, 7000, colour=6, pixels=b"x"), "refused", "megapixels")
    case("png-more-pixels-than-said", lambda: png(10, 10, pixels=zlib.compress(bytes(200_000_000), 1)), "either")
    for kind in (b"iCCP", b"zTXt"):
        case(f"png-{kind.decode()}-bomb", lambda k=kind: png(8, 8, extra=text_chunk(300_000_000, k)), "either")  # type: ignore[misc]
    case("png-many-texts", lambda: png(8, 8, extra=text_chunk(1_000_000) * 200), "either")
    case("png-many-texts-at-the-end", lambda: png(8, 8, after=text_chunk(1_000_000) * 200), "either")
    case("png-a-million-chunks", lambda: png(8, 8, extra=chunk(b"abCd", b"") * 1_000_000), "refused", "pieces")
    case("png-a-million-pixel-chunks", lambda: png(8, 8, pixels=b"", after=chunk(b"IDAT", b"") * 1_000_000), "refused")
    case("png-huge-exif", lambda: png(8, 8, extra=chunk(b"eXIf", b"II*\0" + b"\x08\0\0\0" + b"\xff" * 20_000_000)),
         "photo")  # fmt: skip

    case("webp-claims-16000", lambda: riff(vp8x(16_000, 16_000)), "refused", "megapixels")
    case("webp-canvas-of-2-24", lambda: riff(vp8x(1 << 24, 1 << 24)), "refused", "megapixels")
    case("webp-16mp", lambda: encoded(Image.new("RGB", (4000, 4000)), "WEBP", method=0), "photo")
    case("webp-16mp-alpha", lambda: encoded(Image.new("RGBA", (4000, 4000), (9, 9, 9, 99)), "WEBP", method=0), "photo")
    case("webp-17mp", lambda: encoded(Image.new("RGB", (4100, 4150)), "WEBP", method=0), "refused", "megapixels")
    case("webp-canvas-larger-than-picture", lambda: webp_frames(4000, 4000, 3), "photo")
    case("webp-5000-frames", lambda: webp_frames(640, 480, 5000), "photo")

    case("jpeg-claims-65500", lambda: resized_jpeg(whole("jpeg"), 65_500, 65_500), "refused", "megapixels")
    case("jpeg-claims-200mp", lambda: resized_jpeg(whole("jpeg"), 16_000, 12_500), "either")
    case("jpeg-48mp-held-upright", lambda: flat_jpeg(8064, 6048, exif=exif(6)), "photo")
    case("jpeg-25mp-turned", lambda: flat_jpeg(5000, 5000, exif=exif(7)), "photo")
    case("jpeg-progressive-48mp", lambda: flat_jpeg(8064, 6048, progressive=True, subsampling=0), "photo")
    case("jpeg-progressive-claims-150mp", lambda: resized_jpeg(whole("jpeg-progressive"), 15_000, 10_000), "refused",
         "progressive")  # fmt: skip
    case("jpeg-single-scans-claim-200mp", lambda: jpeg_of_single_scans(16_000, 12_500), "refused", "memory")
    case("jpeg-5000-scans", lambda: jpeg_of_many_scans(5000), "refused", "scans")
    case("jpeg-150-scans", lambda: jpeg_of_many_scans(140), "either")
    case("jpeg-a-million-comments", lambda: jpeg_with(b"\xff\xfe\0\2", 1_000_000), "refused", "pieces")
    case("jpeg-fill-bytes", lambda: jpeg_with(b"\xff", 5_000_000), "refused", "pieces")
    case("jpeg-junk-between-segments", lambda: jpeg_with(b"\0", 5_000_000), "refused", "pieces")
    case("jpeg-escaped-junk", lambda: jpeg_with(b"\xff\0", 2_000_000), "refused", "pieces")
    case("jpeg-500-profiles", lambda: jpeg_with(b"\xff\xe2\xff\xffICC_PROFILE\0\1\xff" + bytes(65_519), 500), "photo")
    case("mpo-companion-claims-65000", mpo_of_a_bomb, "photo")
    case("mpo-50-pictures", lambda: encoded(noise(), "MPO", save_all=True,
                                            append_images=[Image.fromarray(noise())] * 50), "photo")  # fmt: skip

    case("tiff-claims-60000", lambda: tiff(picture_tags(60_000, 60_000, 8)), "refused", "megapixels")
    case("tiff-24mp", lambda: tiff(picture_tags(6000, 4000, tail_at(9)), tail=bytes(72_000_000)), "photo")
    case("tiff-many-strips", lambda: tiff_of_many_strips(65_000), "either")
    case("tiff-a-million-strips", lambda: tiff_of_many_strips(1_000_000), "refused")
    case("tiff-hungry-directory", lambda: tiff_of_hungry_directory(5, 2000), "refused", "tags")
    case("tiff-two-hungry-tags", lambda: tiff_of_hungry_directory(5, 2), "refused", "tags")
    case("tiff-30000-pictures", lambda: tiff_of_many_pictures(30_000), "photo")
    case("tiff-that-follows-itself", lambda: tiff_of_many_pictures(1), "photo")
    case("tiff-65535-samples", lambda: tiff(picture_tags(100, 100, 8, samples=65_535)), "refused")
    case("tiff-compressed", lambda: encoded(noise(), "TIFF", compression="tiff_lzw"), "refused", "compressed")

    case("gif-claims-65535", lambda: gif(65_535, 65_535, (4, 4)), "refused", "megapixels")
    case("gif-frame-beyond-screen", lambda: gif(4, 4, (65_535, 65_535)), "refused", "limit")
    case("gif-a-million-comments", lambda: gif(4, 4, (4, 4), b"\x21\xfe" + b"\1x" * 1_000_000 + b"\0"), "refused",
         "pieces")  # fmt: skip
    case("gif-a-million-extensions", lambda: gif(4, 4, (4, 4), b"\x21\xf9\0" * 1_000_000), "refused")
    case("bmp-claims-50000", lambda: bmp(50_000, 50_000), "refused", "megapixels")
    case("bmp-upside-down", lambda: bmp(50_000, -50_000), "refused", "megapixels")
    case("bmp-of-runs", lambda: bmp(4000, 4000, 1, 8, b"\1\7" * 16_000_000), "refused", "pieces")

    case("heic-claims-30000", lambda: patched_heic(b"ispe", 4, struct.pack(">II", 30_000, 30_000)), "refused",
         "30000")  # fmt: skip
    case("heic-claims-2-32", lambda: patched_heic(b"ispe", 4, b"\xff" * 8), "refused", "megapixels")
    case("heic-claims-nothing", lambda: patched_heic(b"ispe", 4, bytes(8)), "either")
    case("heic-says-less-than-it-holds", lambda: patched_heic(b"ispe", 4, struct.pack(">II", 8, 8)), "either")
    case("heic-tiled", tiled_heic, "photo", quarters=True)
    case("heic-grid-claims-30000", heic_of_a_huge_grid, "refused")
    case("heic-of-one-tile-169-times", lambda: heic_of_one_tile(13), "refused", "would take about 5 s")
    case("heic-48mp", lambda: encoded(Image.new("RGB", (8064, 6048)), "HEIF", enc_params={"preset": "ultrafast"}),
         "photo")  # fmt: skip
    case("heic-24mp-10-bit", lambda: deep_heic(6000, 4000), "photo")
    case("heic-24mp-alpha", lambda: encoded(Image.new("RGBA", (6000, 4000), (9, 9, 9, 99)), "HEIF",
                                            enc_params={"preset": "ultrafast"}), "photo")  # fmt: skip
    for name, data in (("10-bit", deep_heic(64, 48)), ("whole-colour", encoded(quartered(64, 48), "HEIF", chroma=444))):
        case(f"heic-{name}-claims-48mp", lambda d=data: patched_heic(b"ispe", 4, struct.pack(">II", 8064, 6048), d),  # type: ignore[misc]
             "refused", "25 megapixels")  # fmt: skip


# --- absurd EXIF ----------------------------------------------------------------------------------------------


def gps_block(entries: list[tuple[int, int, int, bytes]], tail: bytes = b"", main: Any = ()) -> bytes:
    """An EXIF block whose GPS directory holds `entries`; a value of b"@N" points N bytes into `tail`."""
    first = [*main, (0x8825, 4, 1, long(0))]
    gps_at = tail_at(len(first))
    first[-1] = (0x8825, 4, 1, long(gps_at))
    at = gps_at + 2 + 12 * len(entries) + 4
    body = struct.pack("<H", len(entries))
    for tag, kind, count, value in entries:
        place = long(at + int(value[1:])) if value.startswith(b"@") else value
        body += struct.pack("<HHI", tag, kind, count) + place
    return b"Exif\0\0" + tiff(first, tail=body + bytes(4) + tail)


def position(lat: tuple[int, ...], lon: tuple[int, ...], kind: int = 5) -> bytes:
    """Latitude and longitude of raw numbers as they stand in the file: numerators and denominators in turn."""
    code = {5: "I", 10: "i"}[kind]
    tail = struct.pack(f"<{len(lat)}{code}", *lat) + struct.pack(f"<{len(lon)}{code}", *lon)
    half = b"@%d" % (4 * len(lat))
    entries = [(1, 2, 2, b"N\0\0\0"), (2, kind, len(lat) // 2, b"@0"), (3, 2, 2, b"E\0\0\0"),
               (4, kind, len(lon) // 2, half)]  # fmt: skip
    return gps_block(entries, tail)


def doubles(*values: float, kind: int = 12) -> bytes:
    packed = struct.pack(f"<{len(values)}{'d' if kind == 12 else 'f'}", *values)
    entries = [(2, kind, len(values), b"@0"), (4, kind, len(values), b"@0"), (17, kind, 1, b"@0" if kind == 12
               else packed[:4]), (31, kind, 1, b"@0" if kind == 12 else packed[:4])]  # fmt: skip
    return gps_block(entries, packed)


def text(tag: int, value: bytes) -> tuple[int, int, int, bytes]:
    return tag, 2, len(value), value.ljust(4, b"\0") if len(value) <= 4 else b"@0"


def absurd_exif() -> dict[str, bytes]:
    inf, nan = float("inf"), float("nan")
    good = (39, 1, 57, 1, 5, 1)
    return {
        "main-directory-is-itself": b"Exif\0\0" + tiff([(0x8769, 4, 1, long(8)), (0x8825, 4, 1, long(8))]),
        "next-is-itself": b"Exif\0\0" + tiff([(274, 3, 1, short(1))], following=8),
        "pointers-in-a-ring": gps_block([(0x8769, 4, 1, long(8)), (0x8825, 4, 1, long(26))]),
        "pointer-beyond-the-end": b"Exif\0\0" + tiff([(0x8825, 4, 1, long(0xFFFFFFFF))]),
        "pointer-that-is-a-fraction": b"Exif\0\0" + tiff([(0x8825, 5, 1, long(8))], tail=long(1) + long(0)),
        "pointer-that-is-text": b"Exif\0\0" + tiff([(0x8825, 2, 4, b"gps\0")]),
        "pointer-that-is-infinite": b"Exif\0\0" + tiff([(0x8825, 11, 1, struct.pack("<f", inf))]),
        "65535-entries": b"Exif\0\0" + tiff([(271, 2, 60_000, long(8))] * 4900),
        "entries-beyond-the-end": b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\xff" * 600,
        "counts-of-2-32": gps_block([(tag, 5, 0xFFFFFFFF, long(8)) for tag in range(32)]),
        "counts-of-zero": gps_block([(tag, 5, 0, long(8)) for tag in range(32)]),
        "types-that-do-not-exist": gps_block([(tag, 99, 1, long(8)) for tag in range(32)]),
        "zero-denominators": position((39, 0, 57, 0, 5, 0), (75, 0, 11, 0, 30, 0)),
        "zero-over-zero": position((0, 0, 0, 0, 0, 0), (0, 0, 0, 0, 0, 0)),
        "seconds-zero-over-zero": position((39, 1, 57, 1, 0, 0), (75, 1, 11, 1, 0, 0)),
        "largest-rationals": position((0xFFFFFFFF, 1) * 3, (0xFFFFFFFF, 1) * 3),
        "smallest-rationals": position((1, 0xFFFFFFFF) * 3, (1, 0xFFFFFFFF) * 3),
        "negative-denominators": position((39, -1, 57, -1, 5, -1), (-75, 1, 11, -1, 30, 1), kind=10),
        "least-integers": position((-(2**31), -1) * 3, (-(2**31), 1) * 3, kind=10),
        "400-degrees": position((400, 1, 0, 1, 0, 1), (-400 & 0xFFFFFFFF, 1, 0, 1, 0, 1)),
        "91-degrees": position((91, 1, 0, 1, 0, 1), good),
        "90-degrees-and-a-bit": position((90, 1, 0, 1, 1, 1), good),
        "61-minutes": position((39, 1, 61, 1, 5, 1), good),
        "four-parts": position((*good, 1, 1), good),
        "one-part": position((39, 1), (75, 1)),
        "200-parts": position((39, 1) * 200, (75, 1) * 200),
        "nan-doubles": doubles(nan, nan, nan),
        "infinite-doubles": doubles(inf, -inf, inf),
        "nan-floats": doubles(nan, nan, nan, kind=11),
        "1e308-degrees": doubles(1e308, 1e308, 1e308),
        "text-for-numbers": gps_block([text(2, b"39\0"), text(4, b"east"), text(17, b"nan\0"), text(31, b"-1\0")]),
        "infinity-as-text": gps_block([text(2, b"inf\0"), text(4, b"-inf"), text(17, b"inf\0"), text(31, b"1e99")]),
        "underscores-as-text": gps_block([text(2, b"1_0\0"), text(4, b"\xd9\xa3\0\0")]),
        "numbers-for-text": gps_block(
            [(1, 3, 1, short(78)), (3, 12, 1, long(8)), (29, 5, 1, long(8)), (7, 2, 4, b"noon")],
            main=[(271, 3, 1, short(7)), (272, 5, 1, long(8)), (306, 4, 1, long(2024))],
        ),
        "long-text": gps_block(
            [(1, 2, 100_000, b"@0"), (3, 7, 100_000, b"@0"), (29, 2, 100_000, b"@0")], b"S" * 100_000
        ),
        "control-characters": gps_block([], main=[(271, 2, 4, b"\x1b[2J"), (272, 2, 4, b"\n\r\t\x07")]),
        "broken-utf-8": gps_block([], main=[(271, 2, 4, b"\xff\xfe\xed\xa0"), (272, 2, 4, b"\xf0\x9f\x92\xa9")]),
        "year-zero": gps_block([(29, 2, 11, b"@0"), (7, 5, 3, b"@11")], b"0000:00:00\0" + bytes(24)),
        "month-13": gps_block(
            [(29, 2, 11, b"@0"), (7, 5, 3, b"@11")], b"2024:13:32\0" + struct.pack("<6I", 25, 1, 61, 1, 99, 1)
        ),
        "clock-of-2-32": gps_block(
            [(29, 2, 11, b"@0"), (7, 5, 3, b"@11")], b"2024:01:02\0" + b"\xff\xff\xff\xff\1\0\0\0" * 3
        ),
        "last-moment": gps_block(
            [(29, 2, 11, b"@0"), (7, 5, 3, b"@11")], b"2100:12:31\0" + struct.pack("<6I", 24, 1, 59, 1, 61, 1)
        ),
        "heading-of-400": gps_block([(17, 5, 1, b"@0"), (31, 5, 1, b"@8")], struct.pack("<4I", 400, 1, 0, 1)),
        "heading-of-360": gps_block([(17, 5, 1, b"@0"), (31, 5, 1, b"@8")], struct.pack("<4I", 360, 1, 0xFFFFFFFF, 1)),
        "orientation-as-text": b"Exif\0\0" + tiff([(274, 2, 2, b"6\0\0\0")]),
        "orientation-nan": b"Exif\0\0" + tiff([(274, 11, 1, struct.pack("<f", nan))]),
        "orientation-of-two-numbers": b"Exif\0\0" + tiff([(274, 3, 2, struct.pack("<HH", 6, 8))]),
        "orientation-negative": b"Exif\0\0" + tiff([(274, 8, 1, struct.pack("<hh", -6, 0))]),
        "nothing": b"Exif\0\0",
        "header-alone": b"Exif\0\0II*\0",
        "byte-order-that-is-none": b"Exif\0\0XX*\0\x08\0\0\0\0\0",
        "noise": b"Exif\0\0II*\0\x08\0\0\0" + noise().tobytes(),
    }


def jpeg_exif_case(block: bytes) -> bytes:
    """A JPEG that holds this EXIF block, cut to what a segment can hold."""
    block = block[:65_533]
    return (
        encoded(quartered(), "JPEG")[:2]
        + b"\xff\xe1"
        + struct.pack(">H", len(block) + 2)
        + block
        + encoded(quartered(), "JPEG")[2:]
    )


def exif_cases() -> None:
    for name, block in absurd_exif().items():
        bare = block[6:]
        # An orientation that can be read is applied, so the picture is then not as it was stored.
        quarters = name != "orientation-as-text"
        case(f"exif-{name}-in-jpeg", lambda b=block: jpeg_exif_case(b), "photo", quarters=quarters)  # type: ignore[misc]
        case(
            f"exif-{name}-in-png",
            lambda b=bare: encoded(quartered(), "PNG", exif=b or b"x"),  # type: ignore[misc]
            "photo",
            quarters=quarters,
        )
        case(
            f"exif-{name}-in-webp",
            lambda b=bare: encoded(quartered(), "WEBP", quality=95, exif=b or b"x"),  # type: ignore[misc]
            "photo",
            quarters=quarters,
        )
    hexadecimal = {"odd": "abc", "no-hex": "zz" * 100, "huge": "00" * 600_000, "good": exif(6)[6:].hex()}
    for name, digits in hexadecimal.items():
        body = b"Raw profile type exif\0\0" + zlib.compress(f"\nexif\n{len(digits) // 2:8}\n{digits}\n".encode())
        case(f"exif-as-hexadecimal-{name}", lambda b=body: png(8, 8, extra=chunk(b"zTXt", b)), "either")  # type: ignore[misc]


# --- shapes, modes, animations, orientations --------------------------------------------------------------------


def shapes() -> None:
    for width, height in ((1, 1), (1, 60_000), (60_000, 1), (65_000, 300), (2, 3)):
        for kind in ("JPEG", "PNG", "BMP", "TIFF"):
            case(
                f"{kind.lower()}-{width}x{height}",
                lambda k=kind, w=width, h=height: (  # type: ignore[misc]
                    encoded(Image.new("RGB", (w, h), (200, 100, 50)), k)
                ),
                "photo",
            )
    case("webp-1x16383", lambda: encoded(Image.new("RGB", (1, 16_383)), "WEBP"), "photo")
    case("png-1x70000", lambda: png(1, 70_000, colour=0), "refused", "longer")
    case("png-24000000x1", lambda: png(24_000_000, 1, colour=0), "refused", "longer")
    case("png-0x0", lambda: png(0, 0, pixels=b""), "refused")
    case("jpeg-0x0", lambda: resized_jpeg(whole("jpeg"), 0, 0), "refused")
    case("gif-0x0", lambda: gif(0, 0, (0, 0)), "refused")


def modes() -> None:
    for depth, colour in ((1, 0), (2, 0), (4, 0), (8, 0), (16, 0), (8, 2), (16, 2), (8, 4), (16, 4), (8, 6), (16, 6)):
        for interlaced in (False, True):
            case(
                f"png-depth-{depth}-colour-{colour}{'-interlaced' * interlaced}",
                lambda d=depth, c=colour, i=interlaced: png(
                    33,
                    21,
                    d,
                    c,
                    zlib.compress(bytes(50_000)),  # type: ignore[misc]
                    interlaced=i,
                ),
                "photo",
            )
    case("png-palette-without-palette", lambda: png(8, 8, 8, 3), "either")
    case("png-palette-of-one", lambda: png(8, 8, 8, 3, zlib.compress(b"\xff" * 72), chunk(b"PLTE", b"abc")), "either")
    case("png-transparency-too-long", lambda: png(8, 8, extra=chunk(b"tRNS", bytes(5000))), "either")
    case("png-transparency-too-short", lambda: png(8, 8, extra=chunk(b"tRNS", b"")), "either")
    case(
        "png-two-headers",
        lambda: png(8, 8, extra=chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))),
        "refused",
    )
    case("png-wrong-checks", lambda: whole("png").replace(b"IHDR", b"IHDr"), "refused")
    for name, profile in (("broken", b"broken profile" * 50), ("noise", noise().tobytes()), ("empty", b"")):
        cmyk = Image.fromarray(quartered()).convert("CMYK")
        case(
            f"cmyk-with-{name}-profile",
            lambda c=cmyk, p=profile: encoded(c, "JPEG", quality=95, icc_profile=p),  # type: ignore[misc]
            "photo",
            quarters=True,
        )
    case("tiff-cmyk", lambda: encoded(Image.fromarray(quartered()).convert("CMYK"), "TIFF"), "photo", quarters=True)
    floats = np.full((9, 9), np.nan, np.float32)
    floats[0], floats[1], floats[2] = np.inf, -np.inf, 1e38
    case("tiff-of-nan", lambda: encoded(Image.fromarray(floats), "TIFF"), "photo")
    case("tiff-16-bit", lambda: encoded(Image.fromarray(np.full((9, 9), 65_535, np.uint16)), "TIFF"), "photo")
    case("jpeg-grey", lambda: encoded(noise(channels=3)[..., 0], "JPEG"), "photo")
    frames = [Image.fromarray(quartered()), *[Image.new("RGB", (64, 48), colour) for colour in ("red", "lime")]]
    for kind, options in (("GIF", {}), ("WEBP", {"quality": 95}), ("PNG", {}), ("TIFF", {}), ("MPO", {"quality": 95})):
        case(f"first-picture-of-{kind}", lambda k=kind, o=options: encoded(frames[0], k, save_all=True,  # type: ignore[misc]
             append_images=frames[1:], **o), "photo", quarters=True)  # fmt: skip


def orientations() -> None:
    for orientation in range(10):
        for kind in ("JPEG", "PNG", "WEBP", "TIFF", "HEIF", "MPO"):
            case(f"orientation-{orientation}-{kind.lower()}",
                 lambda k=kind, o=orientation: encoded(  # type: ignore[misc]
                     stored_as(o), k, exif=exif(o), **({"quality": 95} if k in ("JPEG", "WEBP", "MPO") else {})),
                 "photo", quarters=True)  # fmt: skip
        # Large enough for several of the strips that a photo is converted in.
        case(f"orientation-{orientation}-large", lambda o=orientation: encoded(  # type: ignore[misc]
            stored_as(o, 2600, 1900), "JPEG", exif=exif(o)), "photo", quarters=True)  # fmt: skip


for _part in (names, truncated, bombs, exif_cases, shapes, modes, orientations):
    _part()


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, made in BUILD.items():
        (folder / name).write_bytes(made.data())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
