"""Write into a photo's EXIF as a phone does: its position, or all that this program reads of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image
from PIL.ExifTags import GPS, IFD, Base

if TYPE_CHECKING:
    from core.photo.capture import Capture


def write_position(exif: Image.Exif, lat_deg: float, lon_deg: float) -> dict[int, object]:
    """Put degrees (WGS84) into `exif`; returns its GPS directory, for further tags."""
    gps: dict[int, object] = exif.get_ifd(IFD.GPSInfo)
    gps[GPS.GPSVersionID] = b"\x02\x03\x00\x00"
    gps[GPS.GPSLatitudeRef], gps[GPS.GPSLatitude] = "N" if lat_deg >= 0 else "S", _sexagesimal(lat_deg)
    gps[GPS.GPSLongitudeRef], gps[GPS.GPSLongitude] = "E" if lon_deg >= 0 else "W", _sexagesimal(lon_deg)
    return gps


def exif_of(capture: Capture) -> Image.Exif:
    """EXIF from which the same Capture is read; it says nothing else, and no orientation: the pixels are upright."""
    exif = Image.Exif()
    if capture.device is not None:
        exif[Base.Model] = capture.device
    if capture.local_time is not None:
        exif.get_ifd(IFD.Exif)[Base.DateTimeOriginal] = f"{capture.local_time:%Y:%m:%d %H:%M:%S}"
    gps = exif.get_ifd(IFD.GPSInfo)
    if capture.lat_deg is not None and capture.lon_deg is not None:
        write_position(exif, capture.lat_deg, capture.lon_deg)
    if capture.error_m is not None:
        gps[GPS.GPSHPositioningError] = capture.error_m
    if capture.time_utc is not None:
        time = capture.time_utc
        gps[GPS.GPSDateStamp] = f"{time:%Y:%m:%d}"
        gps[GPS.GPSTimeStamp] = (time.hour, time.minute, time.second + time.microsecond / 1e6)
    if capture.heading_deg is not None:
        gps[GPS.GPSImgDirectionRef], gps[GPS.GPSImgDirection] = "T", capture.heading_deg
    return exif


def _sexagesimal(degrees: float) -> tuple[float, float, float]:
    """Degrees, minutes and seconds; Pillow writes them as rationals. Five decimals of a second are 0.3 mm."""
    seconds = round(abs(degrees) * 3600, 5)
    whole, rest = divmod(seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    return whole, minutes, round(seconds, 5)
