"""EXIF that is absurd, in each format that holds it."""

from __future__ import annotations

import struct
import zlib
from typing import Any

from tests.hostile.photos.cases import case
from tests.hostile.photos.layouts import chunk, long, png, short, tail_at, tiff
from tests.hostile.photos.whole import exif, noise
from tests.pictures import encoded, quartered


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


INF, NAN = float("inf"), float("nan")


def _absurd_directories() -> dict[str, bytes]:
    """Directories that follow one another in a ring, or lie where nothing is."""
    return {
        "main-directory-is-itself": b"Exif\0\0" + tiff([(0x8769, 4, 1, long(8)), (0x8825, 4, 1, long(8))]),
        "next-is-itself": b"Exif\0\0" + tiff([(274, 3, 1, short(1))], following=8),
        "pointers-in-a-ring": gps_block([(0x8769, 4, 1, long(8)), (0x8825, 4, 1, long(26))]),
        "pointer-beyond-the-end": b"Exif\0\0" + tiff([(0x8825, 4, 1, long(0xFFFFFFFF))]),
        "pointer-that-is-a-fraction": b"Exif\0\0" + tiff([(0x8825, 5, 1, long(8))], tail=long(1) + long(0)),
        "pointer-that-is-text": b"Exif\0\0" + tiff([(0x8825, 2, 4, b"gps\0")]),
        "pointer-that-is-infinite": b"Exif\0\0" + tiff([(0x8825, 11, 1, struct.pack("<f", INF))]),
        "65535-entries": b"Exif\0\0" + tiff([(271, 2, 60_000, long(8))] * 4900),
        "entries-beyond-the-end": b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\xff" * 600,
        "counts-of-2-32": gps_block([(tag, 5, 0xFFFFFFFF, long(8)) for tag in range(32)]),
        "counts-of-zero": gps_block([(tag, 5, 0, long(8)) for tag in range(32)]),
        "types-that-do-not-exist": gps_block([(tag, 99, 1, long(8)) for tag in range(32)]),
    }


def _absurd_numbers() -> dict[str, bytes]:
    good = (39, 1, 57, 1, 5, 1)
    return {
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
        "nan-doubles": doubles(NAN, NAN, NAN),
        "infinite-doubles": doubles(INF, -INF, INF),
        "nan-floats": doubles(NAN, NAN, NAN, kind=11),
        "1e308-degrees": doubles(1e308, 1e308, 1e308),
    }


def _absurd_values() -> dict[str, bytes]:
    """Values of another type, of no calendar, of no circle, or none."""
    return {
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
        "orientation-nan": b"Exif\0\0" + tiff([(274, 11, 1, struct.pack("<f", NAN))]),
        "orientation-of-two-numbers": b"Exif\0\0" + tiff([(274, 3, 2, struct.pack("<HH", 6, 8))]),
        "orientation-negative": b"Exif\0\0" + tiff([(274, 8, 1, struct.pack("<hh", -6, 0))]),
        "nothing": b"Exif\0\0",
        "header-alone": b"Exif\0\0II*\0",
        "byte-order-that-is-none": b"Exif\0\0XX*\0\x08\0\0\0\0\0",
        "noise": b"Exif\0\0II*\0\x08\0\0\0" + noise().tobytes(),
    }


def absurd_exif() -> dict[str, bytes]:
    return _absurd_directories() | _absurd_numbers() | _absurd_values()


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
