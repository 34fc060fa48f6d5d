"""The session's fixes as CSV, GeoJSON and GPX, and the figures of a field test. Pure functions."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from xml.etree import ElementTree

import numpy as np

from app.map.deck import Place
from app.places import named_zones, place_name
from app.sighting import Sighting
from core.io.csv_cells import harmless
from core.locate.confidence import confidence

_PAUSE = timedelta(hours=1)  # between two photos of the log, from which on they are of two walks
MOST_GPS_ERROR_M = 30.0  # of a truth that is to measure circles of some ten metres
MAX_ENTRIES = 500  # thumbnails of some kilobytes: a long day in the field stays at a few megabytes
_COLUMNS = (
    "time_utc", "campus", "lat", "lon", "radius68_m", "radius95_m", "zone", "zone_probability", "answer",
    "on_campus", "ood_score", "truth_lat", "truth_lon", "truth_error_m", "truth_source", "error_m",
    "photo", "heading_deg", "heading_spread_deg", "photos", "track_lat", "track_lon",
    "name", "note", "zones", "candidates", "outliers", "course_deg", "speed_m_s", "total_ms",
)  # fmt: skip

# What is said of them: the key of a note in the page's words, and its columns.
COLUMN_NOTES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("column_time", ("time_utc",)),
    ("column_campus", ("campus", "photo", "name", "note")),
    ("column_place", ("lat", "lon")),
    ("column_radius", ("radius68_m", "radius95_m")),
    ("column_zone", ("zone", "zone_probability")),
    ("column_answer", ("answer",)),
    ("column_campus_odds", ("on_campus", "ood_score")),
    ("column_truth", ("truth_lat", "truth_lon", "truth_error_m", "truth_source")),
    ("column_error", ("error_m",)),
    ("column_heading", ("heading_deg", "heading_spread_deg")),
    ("column_photos", ("photos", "outliers")),
    ("column_track", ("track_lat", "track_lon")),
    ("column_zones", ("zones", "candidates")),
    ("column_course", ("course_deg", "speed_m_s")),
    ("column_time_taken", ("total_ms",)),
)


@dataclass(frozen=True)
class Errors:
    """Errors in metres of `count` fixes, and the share of them inside their 68 % radius; nan where there is none."""

    count: int
    mean_m: float
    median_m: float
    inside68: float


@dataclass(frozen=True)
class FieldTest:
    """The errors of the visitor's own photos by GPS, and apart from them by places that were tapped.

    A place is tapped where the answer was wrong, so these say nothing of the other answers. `campuses`: those that the
    photos of both are of, by name. `left_out` photos with a truth are in neither: refused ones, those whose truth is
    not on the campus, and those whose GPS errs by more than MOST_GPS_ERROR_M.
    """

    gps: Errors
    tapped: Errors
    left_out: int
    campuses: tuple[str, ...]


def added(log: Sequence[Sighting], sighting: Sighting) -> list[Sighting]:
    """The log with one more, oldest first, without its probability map; the oldest go beyond MAX_ENTRIES.

    An entry of the same key, of a photo that was sent again, goes.
    """
    others = [entry for entry in log if entry.key != sighting.key]
    # The map is a hundred kilobytes or more, and only the answer on the page still draws it.
    return [*others, replace(sighting, fix=replace(sighting.fix, probability=None))][-MAX_ENTRIES:]


def walks(log: Sequence[Sighting]) -> list[list[tuple[Sighting, Place]]]:
    """The session's track: what lies on it, each with its place there, oldest first, in a list for each walk.

    Another campus, or a photo an hour later, begins another walk: the browser keeps lines of other days.
    """
    found: list[list[tuple[Sighting, Place]]] = []
    last: Sighting | None = None
    for entry in log:
        if (at := entry.on_track) is None:
            continue
        if last is None or last.fix.campus != entry.fix.campus or abs(entry.time_utc - last.time_utc) >= _PAUSE:
            found.append([])
        found[-1].append((entry, at))
        last = entry
    return found


def field_test(log: Sequence[Sighting]) -> FieldTest | None:
    """The figures over all fixes whose truth can be trusted and lies on the campus, or None where there is none."""
    told = [sighting for sighting in log if sighting.own and sighting.truth is not None]
    known = [sighting for sighting in told if _measures(sighting)]
    if not known:
        return None
    return FieldTest(
        gps=_errors([sighting for sighting in known if sighting.truth_source != "person"]),
        tapped=_errors([sighting for sighting in known if sighting.truth_source == "person"]),
        left_out=len(told) - len(known),
        campuses=tuple(sorted({sighting.fix.campus for sighting in known})),
    )


def _measures(sighting: Sighting) -> bool:
    """Whether the truth says how far off the answer is; a phone indoors may be unsure by half a kilometre."""
    if sighting.truth is None or sighting.error_m is None or not sighting.truth_on_campus:
        return False
    return (sighting.truth.error_m or 0.0) <= MOST_GPS_ERROR_M


def _errors(known: Sequence[Sighting]) -> Errors:
    pairs = [(one.error_m, one.radii_m[0]) for one in known if one.error_m is not None and one.radii_m is not None]
    if not pairs:
        return Errors(0, math.nan, math.nan, math.nan)
    error, radius = np.array(pairs).T
    return Errors(len(pairs), float(error.mean()), float(np.median(error)), float((error <= radius).mean()))


def _row(sighting: Sighting) -> dict[str, Any]:
    """A line of the log; a refused photo has no place, no radius and no zone."""
    fix, truth = sighting.fix, sighting.truth
    row = dict.fromkeys(_COLUMNS) | {
        "time_utc": sighting.time_utc.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "photo": sighting.name or None,
        "campus": fix.campus,
        "answer": confidence(fix),
        "on_campus": fix.on_campus,
        "ood_score": round(fix.ood_score, 3),
        "photos": fix.photos,
        "outliers": " ".join(str(number + 1) for number in fix.outliers) or None,
        "total_ms": round(sum(fix.timings_ms.values()), 1),
        "name": sighting.title or None,
        "note": sighting.note or None,
    }
    if sighting.radii_m is not None:
        zone, probability = place_name(fix)
        row |= {
            "lat": round(fix.lat, 7),
            "lon": round(fix.lon, 7),
            "radius68_m": round(sighting.radii_m[0], 1),
            "radius95_m": round(sighting.radii_m[1], 1),
            "zone": zone,
            "zone_probability": round(probability, 3),
            "heading_deg": _rounded(fix.heading_deg),
            "heading_spread_deg": _rounded(fix.heading_spread_deg),
            "error_m": _rounded(sighting.error_m),
            "zones": "; ".join(f"{zone} {odds:.3f}" for zone, odds in named_zones(fix)),
            "candidates": "; ".join(f"{one.lat:.7f} {one.lon:.7f} {one.mass:.3f}" for one in fix.candidates) or None,
            "course_deg": _rounded(fix.course_deg),
            "speed_m_s": _rounded(fix.speed_m_s),
        }
    if sighting.walked is not None:
        row |= {"track_lat": round(sighting.walked.lat, 7), "track_lon": round(sighting.walked.lon, 7)}
    if truth is not None:
        row |= {
            "truth_lat": round(truth.lat, 7),
            "truth_lon": round(truth.lon, 7),
            "truth_error_m": _rounded(truth.error_m),
            "truth_source": sighting.truth_source,
        }
    return row


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def to_csv(log: Sequence[Sighting]) -> str:
    """CSV for a spreadsheet: a text that would start a formula there gets an apostrophe in front."""
    out = io.StringIO()
    writer = csv.DictWriter(out, _COLUMNS, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows({key: harmless(value) for key, value in _row(entry).items()} for entry in log)
    return out.getvalue()


def to_geojson(log: Sequence[Sighting]) -> str:
    """A FeatureCollection (RFC 7946): a point for each fix, and for a refused photo a feature without geometry."""
    features = [
        {
            "type": "Feature",
            "geometry": None
            if entry.place is None
            else {"type": "Point", "coordinates": [round(entry.place.lon, 7), round(entry.place.lat, 7)]},
            "properties": {
                key: value for key, value in _row(entry).items() if key not in ("lat", "lon") and value is not None
            },
        }
        for entry in log
    ]
    return json.dumps({"type": "FeatureCollection", "features": features}, ensure_ascii=False, indent=1)


def to_gpx(log: Sequence[Sighting]) -> str:
    """GPX 1.1: a waypoint for each fix, and the session's track, filtered, in a segment for each walk.

    Refused photos have no place in it, and samples none in the track.
    """
    gpx = ElementTree.Element(
        "gpx", {"version": "1.1", "creator": "Campus GPS", "xmlns": "http://www.topografix.com/GPX/1/1"}
    )

    def add(parent: ElementTree.Element, tag: str, text: str) -> None:
        ElementTree.SubElement(parent, tag).text = "".join(char for char in text if char.isprintable())

    def point_at(parent: ElementTree.Element, tag: str, at: Place, entry: Sighting) -> ElementTree.Element:
        point = ElementTree.SubElement(parent, tag, {"lat": f"{at.lat:.7f}", "lon": f"{at.lon:.7f}"})
        add(point, "time", entry.time_utc.strftime("%Y-%m-%dT%H:%M:%SZ"))
        return point

    for entry in log:
        if (at := entry.place) is None:
            continue
        point = point_at(gpx, "wpt", at, entry)
        add(point, "name", entry.title or entry.fix.zone.name)
        said = f"68 % within {at.error_m:.0f} m, {confidence(entry.fix)}"
        add(point, "desc", ", ".join(part for part in (entry.note, said, entry.name) if part))
    if segments := walks(log):
        track = ElementTree.SubElement(gpx, "trk")
        for walk in segments:
            segment = ElementTree.SubElement(track, "trkseg")
            for entry, at in walk:
                point_at(segment, "trkpt", at, entry)
    ElementTree.indent(gpx)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(gpx, encoding="unicode") + "\n"


EXPORTS: tuple[tuple[str, str, Callable[[Sequence[Sighting]], str]], ...] = (
    ("CSV", "text/csv", to_csv),
    ("GeoJSON", "application/geo+json", to_geojson),
    ("GPX", "application/gpx+xml", to_gpx),
)
