"""Files of each format by hand, whatever they claim."""

from __future__ import annotations

import io
import struct
import zlib
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image

from tests.hostile.photos.cuts import jpeg_marks, riff_marks
from tests.hostile.photos.whole import whole
from tests.pictures import encoded, quartered


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
