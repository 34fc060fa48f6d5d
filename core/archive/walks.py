"""Photos of one walk on a command line: their order, their fixes, and the walk's track as a file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from xml.etree import ElementTree

from core.errors import CampusError, in_a_line
from core.io.csv_cells import as_it_was
from core.io.files import check_file_writable, written_atomically
from core.io.labels import csv_rows
from core.locate.fix import Fix
from core.locate.localizer import Localizer
from core.locate.many import all_readable
from core.locate.reading import Reading
from core.photo.capture import Capture, as_utc, parse_iso_time, parse_local_time
from core.photo.names import as_text

_TIMES = ("time_utc", "local_time")
TRACK_SUFFIXES = (".geojson", ".gpx")


@dataclass(frozen=True)
class Passed:
    """A photo of a walk, when it was taken, and where the walker was by all photos of the walk."""

    photo: str
    time: datetime
    fix: Fix


def walked(photos: Sequence[str], localizer: Localizer, times: Path | None = None) -> list[Passed]:
    """The smoothed walk through photos, in the order of time: by a CSV with image_name and local_time, else by EXIF.

    Raises PhotoError for a photo that cannot be read, CampusError for one without a time, with one of another clock
    than the others', or with the name of another that the CSV tells, naming it.
    """
    known = {} if times is None else read_times(times)
    _check_names(photos, known)
    readings = list(all_readable(localizer.read_many(map(Path, photos))))
    captures = [_of_table(known.get(Path(photo).name), one) for photo, one in zip(photos, readings, strict=True)]
    taken = sorted(zip(_taken(photos, captures), photos, readings, strict=True), key=lambda one: one[:2])
    walk = localizer.walk(keep=len(taken))
    for time, _, reading in taken:
        walk.add_reading(reading, time)
    return [Passed(photo, time, fix) for (time, photo, _), fix in zip(taken, walk.smoothed(), strict=True)]


def _check_names(photos: Sequence[str], known: dict[str, datetime]) -> None:
    """Raise CampusError where two photos have the name of one row, whose time is that of one of them."""
    seen: dict[str, str] = {}
    for photo in photos:
        if (name := Path(photo).name) in known and name in seen:
            said = f"has the name of {seen[name]}, and --times tells photos by it"
            raise CampusError(said, path=photo, remedy="rename one of them")
        seen[name] = photo


def _of_table(time: datetime | None, reading: Reading) -> Capture:
    """What the photo tells of its time, or what a table does in its place."""
    if time is None:
        return reading.capture
    return Capture(local_time=time) if time.tzinfo is None else Capture(time_utc=time)


def _taken(photos: Sequence[str], captures: Sequence[Capture]) -> list[datetime]:
    """When each photo was taken, by one clock: phones lose GPS, and with it UTC, under trees.

    Where some photos have UTC and others the camera's clock alone, those that have both tell how far it is ahead.
    """
    remedy = "give --times CSV with its image_name and local_time"
    for photo, capture in zip(photos, captures, strict=True):
        if capture.taken is None:
            raise CampusError("has no time", path=photo, remedy=remedy)
    clocks = [photo for photo, capture in zip(photos, captures, strict=True) if capture.time_utc is None]
    if 0 < len(clocks) < len(photos):
        ahead = sorted(capture.ahead for capture in captures if capture.ahead is not None)
        if not ahead:
            said = "has the time of a clock whose zone no photo tells, and others have UTC"
            raise CampusError(said, path=clocks[0], remedy=remedy)
        captures = [capture.of_clock(ahead[len(ahead) // 2]) for capture in captures]
    return [as_utc(capture.taken) for capture in captures if capture.taken is not None]


def read_times(path: Path) -> dict[str, datetime]:
    """When each image_name of a CSV was taken, by its time_utc (aware) or else its local_time.

    A photo without a time is left out. Raises CampusError where the file is no such table, and for a cell that is no
    time, naming its row.
    """
    rows = csv_rows(path)
    header = [name.strip() for name in next(rows)]
    if "image_name" not in header or not set(_TIMES) & set(header):
        raise CampusError("needs the columns image_name and local_time (or time_utc)", path=path)
    times: dict[str, datetime] = {}
    for number, row in enumerate(rows, start=2):
        cells = dict(zip(header, (as_it_was(cell.strip()) for cell in row), strict=False))
        name, column = cells.get("image_name", ""), next((one for one in _TIMES if cells.get(one)), "")
        if not name or not (text := cells.get(column, "")):
            continue
        if (time := parse_iso_time(text) or parse_local_time(text)) is None:
            said = f"row {number} ({in_a_line(name)}): {in_a_line(text)!r} is no time"
            raise CampusError(said, path=path, remedy="write it as 2026-11-29 14:05:00")
        times[Path(name).name] = as_utc(time) if column == "time_utc" else time
    return times


def write_track(path: Path, passed: Sequence[Passed]) -> None:
    """The walk as GeoJSON (a point a photo, and the line through them) or GPX, by the file's suffix.

    Raises CampusError for another suffix.
    """
    check_track(path)
    text = _gpx(passed) if path.suffix.lower() == ".gpx" else _geojson(passed)
    with written_atomically(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def check_track(path: Path) -> None:
    """Raise CampusError where a track cannot be of that name, or OSError where it cannot be written.

    Asked before the work, not after.
    """
    if path.suffix.lower() not in TRACK_SUFFIXES:
        raise CampusError(f"a track is {' or '.join(TRACK_SUFFIXES)}", path=path, remedy="choose a name that ends so")
    check_file_writable(path)


def _geojson(passed: Sequence[Passed]) -> str:
    here = [one for one in passed if not one.fix.refused]
    line = [[round(one.fix.lon, 7), round(one.fix.lat, 7)] for one in here]
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": at},
            "properties": {
                "photo": as_text(one.photo),
                "time": one.time.isoformat(),
                "radius68_m": one.fix.radius68_m,
                "radius95_m": one.fix.radius95_m,
                "zone": one.fix.zone.name,
                "course_deg": one.fix.course_deg,
                "speed_m_s": one.fix.speed_m_s,
            },
        }
        for one, at in zip(here, line, strict=True)
    ]
    if len(line) > 1:
        way = {"type": "LineString", "coordinates": line}
        features.append({"type": "Feature", "geometry": way, "properties": {"photos": len(line)}})
    return json.dumps({"type": "FeatureCollection", "features": features}, ensure_ascii=False, indent=1) + "\n"


def _gpx(passed: Sequence[Passed]) -> str:
    """GPX 1.1: a track with the time of each photo that shows this campus."""
    root = ElementTree.Element(
        "gpx", {"version": "1.1", "creator": "Campus GPS", "xmlns": "http://www.topografix.com/GPX/1/1"}
    )
    segment = ElementTree.SubElement(ElementTree.SubElement(root, "trk"), "trkseg")
    for one in passed:
        if not one.fix.refused:
            where = {"lat": f"{one.fix.lat:.7f}", "lon": f"{one.fix.lon:.7f}"}
            point = ElementTree.SubElement(segment, "trkpt", where)
            utc = one.time.astimezone(timezone.utc)
            ElementTree.SubElement(point, "time").text = utc.strftime("%Y-%m-%dT%H:%M:%SZ")
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"
