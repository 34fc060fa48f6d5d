"""Write a position into a photo's EXIF, as a phone does."""

from __future__ import annotations

from PIL import Image
from PIL.ExifTags import GPS, IFD


def write_position(exif: Image.Exif, lat_deg: float, lon_deg: float) -> dict[int, object]:
    """Put degrees (WGS84) into `exif`; returns its GPS directory, for further tags."""
    gps: dict[int, object] = exif.get_ifd(IFD.GPSInfo)
    gps[GPS.GPSVersionID] = b"\x02\x03\x00\x00"
    gps[GPS.GPSLatitudeRef], gps[GPS.GPSLatitude] = "N" if lat_deg >= 0 else "S", _sexagesimal(lat_deg)
    gps[GPS.GPSLongitudeRef], gps[GPS.GPSLongitude] = "E" if lon_deg >= 0 else "W", _sexagesimal(lon_deg)
    return gps


def _sexagesimal(degrees: float) -> tuple[float, float, float]:
    """Degrees, minutes and seconds; Pillow writes them as rationals. Five decimals of a second are 0.3 mm."""
    seconds = round(abs(degrees) * 3600, 5)
    whole, rest = divmod(seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    return whole, minutes, round(seconds, 5)
