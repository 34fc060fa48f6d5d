"""What the camera recorded beside the pixels: position, its error, time, device, heading."""

from __future__ import annotations

import math
import re
import warnings
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from core.photo import exif
from core.photo.exif import ExifTags, Value, as_numbers, as_text

if TYPE_CHECKING:
    from PIL.Image import Image

_DATE_TIME = re.compile(r"(\d{4})[:\-/.](\d{1,2})[:\-/.](\d{1,2})[T ]+(\d{1,2}):(\d{2})(?::(\d{2}))?")
_DATE = re.compile(r"(\d{4})[:\-/.](\d{1,2})[:\-/.](\d{1,2})")
_OFFSET = re.compile(r"([+\-])(\d{2}):?(\d{2})")
_YEARS = range(1990, 2101)  # before digital photography and after this code, a date is a camera's unset clock
_MAX_OFFSET = timedelta(hours=14)  # the largest offset in civil use, Kiribati
_MAX_ERROR_M = 100_000.0  # beyond it an "error" says nothing about a place on a campus
_MAX_DEVICE_CHARS = 80
_MAX_HEX_CHARS = 1_000_000


@dataclass(frozen=True)
class Capture:
    """What the camera recorded; None wherever it is absent or cannot be true.

    `lat_deg`, `lon_deg` are WGS84 and stand both or neither; `error_m` is GPSHPositioningError (most phones:
    68 %). `time_utc` is aware, in UTC; `local_time` is the camera's clock, naive. `heading_deg` is where the
    camera looked, [0, 360) clockwise from north; EXIF marks true ('T') or magnetic ('M') north and a magnetic
    one is taken as it is, since the declination (a few degrees in most places) is below a phone compass's own
    error.
    """

    lat_deg: float | None = None
    lon_deg: float | None = None
    error_m: float | None = None
    time_utc: datetime | None = None
    local_time: datetime | None = None
    device: str | None = None
    heading_deg: float | None = None

    @property
    def has_position(self) -> bool:
        """Whether the camera recorded where it was."""
        return self.lat_deg is not None and self.lon_deg is not None

    @property
    def taken(self) -> datetime | None:
        """When the photo was taken, aware; by the camera's clock as UTC where its zone is not known."""
        time = self.time_utc or self.local_time
        return None if time is None else as_utc(time)

    @property
    def ahead(self) -> timedelta | None:
        """How far the camera's clock is ahead of UTC; None where the photo does not tell both."""
        return as_utc(self.local_time) - self.time_utc if self.local_time and self.time_utc else None

    def of_clock(self, ahead: timedelta) -> Capture:
        """The same where the camera's clock is known to be so far ahead of UTC: `time_utc` is by that clock."""
        return self if self.local_time is None else replace(self, time_utc=as_utc(self.local_time - ahead))


class CameraClock:
    """The clock of one camera, photo by photo: one that has UTC too tells those after it how far the clock is ahead."""

    def __init__(self) -> None:
        self._ahead: timedelta | None = None

    def read(self, capture: Capture) -> Capture:
        """The next photo's, with its `time_utc` by the clock where it has none of its own and an earlier photo told."""
        if capture.ahead is not None:
            self._ahead = capture.ahead
        if capture.time_utc is not None or self._ahead is None:
            return capture
        return capture.of_clock(self._ahead)


def as_utc(time: datetime) -> datetime:
    """An aware time as it is; a clock without its zone as UTC."""
    return time if time.tzinfo is not None else time.replace(tzinfo=timezone.utc)


def tags_of(image: Image) -> ExifTags:
    """The EXIF tags of an open Pillow image, from its raw bytes where it has them; never raises."""
    blob = image.info.get("exif")
    profile = image.info.get("Raw profile type exif")  # how ImageMagick writes EXIF into a PNG: hexadecimal text
    if blob is None and isinstance(profile, str) and len(profile) <= _MAX_HEX_CHARS:
        try:
            blob = bytes.fromhex("".join(profile.split("\n")[3:]))
        except ValueError:
            blob = None
    if isinstance(blob, bytes):
        return exif.read_tags(blob)
    # No raw bytes: an image made or edited in memory, or a TIFF, whose tags Pillow reads with warnings.
    try:
        with warnings.catch_warnings() if hasattr(image, "tag_v2") else nullcontext():
            if hasattr(image, "tag_v2"):
                warnings.simplefilter("ignore")
            parsed = image.getexif()
            return exif.from_directories(
                lambda pointer: dict(parsed) if pointer is None else dict(parsed.get_ifd(pointer))
            )
    except Exception:  # Pillow raises many kinds on bad EXIF, and a photo without EXIF is still a photo
        return ExifTags()


def capture_from_tags(tags: ExifTags) -> Capture:
    """What the tags say, each value checked against what is possible; never raises.

    A missing or unreadable N/S or E/W reference is taken as north or east (the sign of a signed value is
    kept); exactly (0, 0) is how cameras write "no position". The time in UTC is the GPS clock's, else the
    camera's clock with its offset tag, else the camera's clock at the place's own nautical time (see
    `utc_by_place`).
    """
    lat_deg, lon_deg = _position(tags.gps)
    local_time, offset = _local_time(tags)
    time_utc = _gps_time(tags.gps)
    if time_utc is None and local_time is not None:
        if offset is not None:
            time_utc = (local_time - offset).replace(tzinfo=timezone.utc)
        elif lon_deg is not None:
            time_utc = utc_by_place(local_time, lon_deg)
    error_m = _one(tags.gps.get(exif.GPS_ERROR))
    heading_deg = _one(tags.gps.get(exif.GPS_IMG_DIRECTION))
    return Capture(
        lat_deg=lat_deg,
        lon_deg=lon_deg,
        # Zero would be a perfect receiver; cameras write it where they do not know.
        error_m=error_m if error_m is not None and 0 < error_m <= _MAX_ERROR_M else None,
        time_utc=time_utc,
        local_time=local_time,
        device=_device(tags.main),
        heading_deg=heading_deg % 360 if heading_deg is not None and 0 <= heading_deg <= 360 else None,
    )


def utc_by_place(local_time: datetime, lon_deg: float) -> datetime:
    """A naive local clock as UTC by nautical time: 15 degrees of longitude to the hour, rounded.

    No time zone map is needed. Civil time differs from it by an hour in most places and seasons, by up to
    three in a few (western China): enough to tell day from night but for the dusk, and to order one camera's
    photos.
    """
    return (local_time - timedelta(hours=round(lon_deg / 15.0))).replace(tzinfo=timezone.utc)


def _one(value: Value | None) -> float | None:
    numbers = as_numbers(value)
    return numbers[0] if len(numbers) == 1 and math.isfinite(numbers[0]) else None


def _position(gps: dict[int, Value]) -> tuple[float, float] | tuple[None, None]:
    lat = _angle(gps.get(exif.GPS_LAT), gps.get(exif.GPS_LAT_REF), negative="S", limit_deg=90.0)
    lon = _angle(gps.get(exif.GPS_LON), gps.get(exif.GPS_LON_REF), negative="W", limit_deg=180.0)
    if lat is None or lon is None or (lat == 0 and lon == 0):
        return None, None
    return lat, lon


def _angle(value: Value | None, reference: Value | None, negative: str, limit_deg: float) -> float | None:
    """Degrees, minutes, seconds (the last one or two may be missing) and a reference letter -> signed
    degrees.
    """
    parts = as_numbers(value)
    if not 1 <= len(parts) <= 3:
        return None
    # Some writers leave the seconds as 0/0: the degrees and minutes before them still hold.
    while len(parts) > 1 and math.isnan(parts[-1]):
        parts = parts[:-1]
    degrees, minutes, seconds = (*parts, 0.0, 0.0)[:3]
    if not all(map(math.isfinite, parts)) or not (0 <= minutes <= 60 and 0 <= seconds <= 60):
        return None
    angle = math.copysign(abs(degrees) + minutes / 60 + seconds / 3600, degrees)
    if as_text(reference)[:1].upper() == negative:
        angle = -abs(angle)
    return angle if abs(angle) <= limit_deg else None


def _gps_time(gps: dict[int, Value]) -> datetime | None:
    date = _DATE.match(as_text(gps.get(exif.GPS_DATE)))
    clock = as_numbers(gps.get(exif.GPS_TIME))
    if date is None or len(clock) != 3 or not all(map(math.isfinite, clock)):
        return None
    hours, minutes, seconds = clock
    if not (0 <= hours <= 24 and 0 <= minutes < 60 and 0 <= seconds <= 61):
        return None
    year, month, day = map(int, date.groups())
    midnight = _datetime(year, month, day)
    if midnight is None:
        return None
    time = midnight + timedelta(hours=hours, minutes=minutes, seconds=round(seconds, 3))
    return time.replace(tzinfo=timezone.utc)


def _local_time(tags: ExifTags) -> tuple[datetime | None, timedelta | None]:
    """The camera's clock and its offset from UTC: when the photo was taken, else digitised, else written."""
    offsets = [tags.photo.get(tag) for tag in (exif.OFFSET_TIME_ORIGINAL, exif.OFFSET_TIME_DIGITIZED, exif.OFFSET_TIME)]
    clocks = (
        tags.photo.get(exif.DATE_TIME_ORIGINAL),
        tags.photo.get(exif.DATE_TIME_DIGITIZED),
        tags.main.get(exif.DATE_TIME),
    )
    for index, value in enumerate(clocks):
        time = parse_local_time(as_text(value))
        if time is not None:
            # The clock's own offset tag first; a phone has one clock, so any other serves as well.
            found = [_parse_offset(as_text(offset)) for offset in [offsets[index], *offsets]]
            return time, next((offset for offset in found if offset is not None), None)
    return None, None


def parse_local_time(text: str) -> datetime | None:
    """A date and time as EXIF and people write them (`2024:09:23 16:08:20`, `2024-09-23T16:08`), or None."""
    match = _DATE_TIME.match(text)
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups())
    midnight = _datetime(year, month, day)
    if midnight is None or hour > 24 or minute > 59 or second > 60:
        return None
    return midnight + timedelta(hours=hour, minutes=minute, seconds=second)


def parse_iso_time(text: str) -> datetime | None:
    """A time as ISO 8601 writes it, aware where it tells a zone (`2026-11-29T14:05:00Z`), or None."""
    try:
        return datetime.fromisoformat(text.strip().replace("Z", "+00:00"))  # Python 3.10 knows no Z
    except ValueError:
        return None


def _parse_offset(text: str) -> timedelta | None:
    if text.upper() == "Z":
        return timedelta(0)
    match = _OFFSET.match(text)
    if match is None:
        return None
    offset = timedelta(hours=int(match[2]), minutes=int(match[3]))
    return (-offset if match[1] == "-" else offset) if offset <= _MAX_OFFSET else None


def _datetime(year: int, month: int, day: int) -> datetime | None:
    if year not in _YEARS:
        return None
    try:
        return datetime(year, month, day)
    except ValueError:
        return None


def _device(main: dict[int, Value]) -> str | None:
    make, model = as_text(main.get(exif.MAKE)), as_text(main.get(exif.MODEL))
    name = model if model.lower().startswith(make.lower()) else f"{make} {model}"
    return " ".join(name.split())[:_MAX_DEVICE_CHARS] or None
