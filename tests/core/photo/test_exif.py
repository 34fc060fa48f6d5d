"""The EXIF reader: exact values, and bounded whatever the bytes are."""

from __future__ import annotations

import math
import random
import struct
import tracemalloc

import pytest

from core.photo.exif import EXIF_HEADER, ExifTags, as_numbers, as_text, jpeg_exif, read_tags, tag_data_bytes


def tiff(entries: list[tuple[int, int, int, bytes]], order: str = "<", tail: bytes = b"") -> bytes:
    """A TIFF block of one directory at offset 8, each entry's four value bytes as given, then `tail`."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    body = b"".join(struct.pack(order + "HHI", tag, kind, count) + value for tag, kind, count, value in entries)
    return head + struct.pack(order + "H", len(entries)) + body + b"\0\0\0\0" + tail


@pytest.mark.parametrize(
    "blob",
    [
        b"",
        b"Exif\0\0",
        b"II*\0",
        b"II*\0\x08\0\0\0",
        b"II*\0\xff\xff\xff\xff" + b"\0" * 20,
        b"XX*\0\x08\0\0\0\0\0",
        b"MM\0*\0\0\0\x08\xff\xff" + b"\xff" * 40,
        tiff([(0x8769, 4, 1, struct.pack("<I", 8))]),  # points at itself
        tiff([(0x8825, 4, 1, struct.pack("<I", 1 << 31))]),
        tiff([(274, 99, 1, b"\6\0\0\0")]),  # no such type
        tiff([(271, 2, 0xFFFFFFFF, b"\0\0\0\x7f")]),
    ],
)
def test_nonsense_has_no_orientation_and_no_position(blob: bytes) -> None:
    tags = read_tags(blob)
    assert tags.orientation == 1
    assert not tags.gps


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("header", [b"", EXIF_HEADER])
def test_reads_both_byte_orders_with_and_without_header(order: str, header: bytes) -> None:
    short = struct.pack(order + "H", 6) + b"\0\0"
    assert read_tags(header + tiff([(274, 3, 1, short)], order)).orientation == 6


def test_a_zero_denominator_is_nan_and_long_text_is_cut() -> None:
    tail_at = 8 + 2 + 2 * 12 + 4
    tail = struct.pack("<2I", 5, 0) + b"x" * 10_000
    blob = tiff(
        [
            (274, 5, 1, struct.pack("<I", tail_at)),
            (271, 2, 10_000, struct.pack("<I", tail_at + 8)),
        ],
        tail=tail,
    )
    tags = read_tags(blob)
    assert math.isnan(as_numbers(tags.main[274])[0])
    assert tags.orientation == 1
    assert as_text(tags.main[271]) == "x" * 256


@pytest.mark.parametrize(("value", "orientation"), [(0, 1), (1, 1), (8, 8), (9, 1), (65535, 1)])
def test_orientation_outside_1_to_8_is_upright(value: int, orientation: int) -> None:
    assert ExifTags(main={274: (float(value),)}).orientation == orientation


def test_a_huge_directory_of_overlapping_tags_costs_nothing() -> None:
    entries = [(271, 7, 60_000, struct.pack("<I", 8))] * 65_000
    blob = tiff(entries)
    tracemalloc.start()
    tags = read_tags(blob)
    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most_bytes < 100_000
    assert len(tags.main[271]) <= 256
    assert tag_data_bytes(blob) > 10**9  # what copying every tag would take


def test_random_damage_never_raises() -> None:
    rng = random.Random(0)
    tail = struct.pack("<6I", 39, 1, 57, 1, 5, 1)
    good = bytearray(tiff([(0x8825, 4, 1, struct.pack("<I", 8)), (2, 5, 3, struct.pack("<I", 38))], tail=tail))
    assert read_tags(bytes(good)).gps[2] == (39.0, 57.0, 5.0)
    for _ in range(2000):
        bad = bytearray(good)
        for _ in range(rng.randint(1, 8)):
            bad[rng.randrange(len(bad))] = rng.randrange(256)
        tags = read_tags(bytes(bad[: rng.randint(0, len(bad))]))
        assert 1 <= tags.orientation <= 8


@pytest.mark.parametrize(
    ("value", "numbers"),
    [
        (None, ()),
        (b"", ()),
        ("", ()),
        ("\0\0", ()),
        (b"\6", (6.0,)),
        ("39.95", (39.95,)),
        (b"39.95\0", (39.95,)),
        (7, (7.0,)),
        ((1, 2.5), (1.0, 2.5)),
        ([1, "2"], (1.0, 2.0)),
    ],
)
def test_as_numbers(value: object, numbers: tuple[float, ...]) -> None:
    assert as_numbers(value) == numbers


def test_as_numbers_gives_nan_for_what_is_no_number() -> None:
    assert all(math.isnan(x) for x in as_numbers(("a", None, object())))
    assert math.isnan(as_numbers("north")[0])


def test_jpeg_exif_finds_the_block_and_stops_at_the_pixels() -> None:
    block = EXIF_HEADER + b"II*\0"
    segment = b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block
    other = b"\xff\xe0" + struct.pack(">H", 4) + b"ab"
    assert jpeg_exif(b"") == b""
    assert jpeg_exif(b"\xff\xd8" + other + b"\xff" + segment) == block
    assert jpeg_exif(b"\xff\xd8" + b"\xff\xda" + segment) == b""
    assert jpeg_exif(b"\xff\xd8\xff\xe0\0\0" * 1000) == b""
