"""EXIF tags out of raw bytes, in bounded time and memory, whatever the bytes are.

Pillow's own reader copies the data of every tag, so a small file whose tags all point at the same bytes makes
it take gigabytes, and it prints warnings. A photo needs some twenty tags out of three directories: only those
are read.
"""

from __future__ import annotations

import math
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

Value = str | bytes | tuple[float, ...]

# Tag numbers: Exif 2.32 (CIPA DC-008-2019), sections 4.6.4 to 4.6.6.
MAKE, MODEL, ORIENTATION, DATE_TIME, EXIF_IFD, GPS_IFD = 271, 272, 274, 306, 0x8769, 0x8825
_INTEROPERABILITY_IFD = 0xA005
DATE_TIME_ORIGINAL, DATE_TIME_DIGITIZED = 36867, 36868
OFFSET_TIME, OFFSET_TIME_ORIGINAL, OFFSET_TIME_DIGITIZED = 36880, 36881, 36882
GPS_LAT_REF, GPS_LAT, GPS_LON_REF, GPS_LON, GPS_TIME, GPS_IMG_DIRECTION, GPS_DATE, GPS_ERROR = (
    1, 2, 3, 4, 7, 17, 29, 31,
)  # fmt: skip
MAIN_TAGS = frozenset({MAKE, MODEL, ORIENTATION, DATE_TIME, EXIF_IFD, GPS_IFD})
PHOTO_TAGS = frozenset(
    {DATE_TIME_ORIGINAL, DATE_TIME_DIGITIZED, OFFSET_TIME, OFFSET_TIME_ORIGINAL, OFFSET_TIME_DIGITIZED}
)
GPS_TAGS = frozenset({GPS_LAT_REF, GPS_LAT, GPS_LON_REF, GPS_LON, GPS_TIME, GPS_IMG_DIRECTION, GPS_DATE, GPS_ERROR})

EXIF_HEADER = b"Exif\0\0"
_MAX_ENTRIES = 1024  # real directories hold some tens of tags
_MAX_POINTERS = 8  # to other directories, of which a real one has at most three
_MAX_NUMBERS = 16  # the longest list of numbers that is read (a position) has 3
_MAX_TEXT_BYTES = 256

# TIFF 6.0, section 2: type number -> (struct code of one number, bytes of one value)
_NUMBER_TYPES = {
    3: ("H", 2), 4: ("I", 4), 5: ("II", 8), 6: ("b", 1), 8: ("h", 2), 9: ("i", 4), 10: ("ii", 8),
    11: ("f", 4), 12: ("d", 8), 13: ("I", 4),
}  # fmt: skip
_BYTES_TYPES = (1, 7)
_ASCII_TYPE, _SHORT_TYPE = 2, 3
_TYPE_BYTES = {1: 1, _ASCII_TYPE: 1, 7: 1} | {kind: size for kind, (_, size) in _NUMBER_TYPES.items()}


@dataclass(frozen=True)
class ExifTags:
    """The wanted tags of the main, photo and GPS directories: text, raw bytes, or a tuple of numbers (NaN for
    x/0).
    """

    main: dict[int, Value] = field(default_factory=dict)
    photo: dict[int, Value] = field(default_factory=dict)
    gps: dict[int, Value] = field(default_factory=dict)

    @property
    def orientation(self) -> int:
        """1 to 8 as EXIF counts them; 1 (upright) when absent or nonsense."""
        numbers = as_numbers(self.main.get(ORIENTATION))
        return int(numbers[0]) if len(numbers) == 1 and numbers[0] in range(1, 9) else 1


def read_tags(blob: bytes) -> ExifTags:
    """Read the wanted tags of an EXIF block, with or without its `Exif` header; what cannot be read is left
    out.
    """
    tiff = memoryview(blob)[len(EXIF_HEADER) if blob[:6] == EXIF_HEADER else 0 :]
    order = {b"II": "<", b"MM": ">"}.get(bytes(tiff[:2]))
    if order is None or len(tiff) < 8:
        return ExifTags()
    (start,) = struct.unpack_from(order + "I", tiff, 4)
    main = _read_directory(tiff, order, start, MAIN_TAGS)
    photo = _read_directory(tiff, order, _pointer(main.pop(EXIF_IFD, None)), PHOTO_TAGS)
    gps = _read_directory(tiff, order, _pointer(main.pop(GPS_IFD, None)), GPS_TAGS)
    return ExifTags(main, photo, gps)


def tag_data_bytes(tiff: bytes) -> int:
    """How many bytes the tags of a TIFF file's first directory, and of the directories that it points to, claim in
    all: what Pillow would copy to open it.
    """
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None or len(tiff) < 8:
        return 0
    (start,) = struct.unpack_from(order + "I", tiff, 4)
    total, pointers = _claimed_bytes(tiff, order, start)
    if len(pointers) > _MAX_POINTERS:
        return sys.maxsize
    return total + sum(_claimed_bytes(tiff, order, pointer)[0] for pointer in pointers)


def _claimed_bytes(tiff: bytes, order: str, start: int) -> tuple[int, list[int]]:
    """What the tags of the directory at `start` claim, and where the EXIF and GPS directories are that it names."""
    if start + 2 > len(tiff):
        return 0, []
    (entries,) = struct.unpack_from(order + "H", tiff, start)
    total, pointers = 0, []
    for at in range(start + 2, min(start + 2 + 12 * entries, len(tiff) - 11), 12):
        tag, kind, count, value = struct.unpack_from(order + "HHII", tiff, at)
        total += min(_TYPE_BYTES.get(kind, 1) * count, len(tiff))
        if tag in (EXIF_IFD, GPS_IFD, _INTEROPERABILITY_IFD):
            pointers += [value] if kind != _SHORT_TYPE else [value & 0xFFFF, value >> 16]  # of either byte order
    return total, pointers


def jpeg_exif(data: bytes) -> bytes:
    """The first EXIF block among a JPEG's header segments, or b"" where there is none."""
    at = 2
    while 0 <= at <= len(data) - 4:
        marker = data[at + 1]
        if data[at] != 0xFF:
            at = data.find(b"\xff", at)
        elif marker == 0xFF:
            at += 1
        elif marker <= 0x01 or 0xD0 <= marker <= 0xD7:  # markers without a length
            at += 2
        elif marker in (0xD9, 0xDA):  # end of image, start of the pixels
            break
        else:
            length = int.from_bytes(data[at + 2 : at + 4], "big")
            if marker == 0xE1 and data[at + 4 : at + 10] == EXIF_HEADER:
                return data[at + 4 : at + 2 + length]
            at += 2 + max(length, 2)
    return b""


def as_numbers(value: object) -> tuple[float, ...]:
    """Any tag value as floats: () where it holds none, NaN for each that is undefined."""
    if isinstance(value, (bytes, bytearray)):
        if len(value) == 1:
            return (float(value[0]),)
        value = value.decode("ascii", "replace")
    if isinstance(value, str):
        return (_number(value.strip("\0 ")),) if value.strip("\0 ") else ()
    if isinstance(value, (tuple, list)):
        return tuple(_number(item) for item in value[:_MAX_NUMBERS])
    return () if value is None else (_number(value),)


def as_text(value: object) -> str:
    """Any tag value as text: up to the first NUL, printable characters only, stripped; "" where it holds
    none.
    """
    if isinstance(value, (bytes, bytearray)):
        value = value.decode("utf-8", "replace")
    if not isinstance(value, str):
        return ""
    text = value[:_MAX_TEXT_BYTES].lstrip("\0").split("\0", 1)[0]
    return "".join(c for c in text if c.isprintable() and c != "�").strip()


def from_directories(get: Callable[[int | None], object]) -> ExifTags:
    """The tags of an image that another library has parsed; `get(None | pointer tag)` gives a directory's
    mapping.
    """

    def wanted(pointer: int | None, tags: frozenset[int]) -> dict[int, Value]:
        directory = get(pointer)
        found = directory if isinstance(directory, dict) else {}
        return {tag: _plain(found[tag]) for tag in tags if tag in found}

    return ExifTags(wanted(None, MAIN_TAGS), wanted(EXIF_IFD, PHOTO_TAGS), wanted(GPS_IFD, GPS_TAGS))


def _plain(value: object) -> Value:
    return value if isinstance(value, (str, bytes)) else as_numbers(value)


def _number(value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, ArithmeticError):
        return math.nan


def _pointer(value: Value | None) -> int:
    """A directory's offset; 0 (which no directory can have) where there is none."""
    numbers = as_numbers(value)
    return int(numbers[0]) if numbers and math.isfinite(numbers[0]) and numbers[0] > 0 else 0


def _read_directory(tiff: memoryview, order: str, start: int, wanted: frozenset[int]) -> dict[int, Value]:
    """The wanted tags of the directory at `start`; directories it points to are not followed, so none can
    cycle.
    """
    tags: dict[int, Value] = {}
    if not 8 <= start <= len(tiff) - 2:
        return tags
    (entries,) = struct.unpack_from(order + "H", tiff, start)
    for index in range(min(entries, _MAX_ENTRIES)):
        at = start + 2 + 12 * index
        if at + 12 > len(tiff):
            break
        tag, kind, count = struct.unpack_from(order + "HHI", tiff, at)
        if tag not in wanted or tag in tags or kind not in _TYPE_BYTES:
            continue
        # Four bytes or fewer stand in the entry itself, more stand at an offset.
        place = at + 8
        if _TYPE_BYTES[kind] * count > 4:
            (place,) = struct.unpack_from(order + "I", tiff, place)
        value = _read_value(tiff, order, kind, count, place)
        if value is not None:
            tags[tag] = value
    return tags


def _read_value(tiff: memoryview, order: str, kind: int, count: int, place: int) -> Value | None:
    if kind in _NUMBER_TYPES:
        code, size = _NUMBER_TYPES[kind]
        if not 1 <= count <= _MAX_NUMBERS or place + size * count > len(tiff):
            return None
        numbers = struct.unpack_from(order + code * count, tiff, place)
        if len(code) == 1:
            return tuple(float(number) for number in numbers)
        return tuple(
            top / bottom if bottom else math.nan for top, bottom in zip(numbers[::2], numbers[1::2], strict=True)
        )
    raw = bytes(tiff[place : place + min(count, _MAX_TEXT_BYTES)])
    return raw if kind in _BYTES_TYPES else raw.decode("utf-8", "replace")
