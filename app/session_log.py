"""The session's fixes as CSV, GeoJSON and GPX, and the figures of a field test. Pure functions."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any
from xml.etree import ElementTree

import numpy as np

from app.sighting import Sighting
from core.io.csv_cells import harmless
from core.locate.confidence import confidence

MAX_ENTRIES = 500  # thumbnails of some kilobytes: a long day in the field stays at a few megabytes
_COLUMNS = (
    "time_utc", "campus", "lat", "lon", "radius68_m", "radius95_m", "zone", "zone_probability", "answer",
    "ood_score", "truth_lat", "truth_lon", "truth_error_m", "truth_source", "error_m",
)  # fmt: skip


@dataclass(frozen=True)
class FieldTest:
    """Errors in metres of the fixes whose truth is known, and the share of them inside their 68 % radius."""

    count: int
    mean_m: float
    median_m: float
    inside68: float


def added(log: Sequence[Sighting], sighting: Sighting) -> list[Sighting]:
    """The log with one more, oldest first, without its probability map; the oldest go beyond MAX_ENTRIES."""
    # The map is a hundred kilobytes or more, and only the answer on the page still draws it.
    return [*log, replace(sighting, fix=replace(sighting.fix, probability=None))][-MAX_ENTRIES:]


def field_test(log: Sequence[Sighting]) -> FieldTest | None:
    """The figures over all fixes with a truth, or None where there is none."""
    known = [(sighting.error_m, sighting.fix.radius68_m) for sighting in log if sighting.error_m is not None]
    if not known:
        return None
    error, radius = np.array(known, np.float64).T
    return FieldTest(
        count=len(known),
        mean_m=float(error.mean()),
        median_m=float(np.median(error)),
        inside68=float((error <= radius).mean()),
    )


def _row(sighting: Sighting) -> dict[str, Any]:
    fix, truth = sighting.fix, sighting.truth
    values = (
        sighting.time_utc.strftime("%Y-%m-%dT%H:%M:%SZ"), fix.campus, round(fix.lat, 7), round(fix.lon, 7),
        round(fix.radius68_m, 1), round(fix.radius95_m, 1), fix.zone.name, round(fix.zone.probability, 3),
        confidence(fix), round(fix.ood_score, 3),
        None if truth is None else round(truth.lat, 7), None if truth is None else round(truth.lon, 7),
        None if truth is None or truth.error_m is None else round(truth.error_m, 1),
        None if truth is None else sighting.truth_source,
        None if sighting.error_m is None else round(sighting.error_m, 1),
    )  # fmt: skip
    return dict(zip(_COLUMNS, values, strict=True))


def to_csv(log: Sequence[Sighting]) -> str:
    """CSV for a spreadsheet: a text that would start a formula there gets an apostrophe in front."""
    out = io.StringIO()
    writer = csv.DictWriter(out, _COLUMNS, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows({key: harmless(value) for key, value in _row(entry).items()} for entry in log)
    return out.getvalue()


def to_geojson(log: Sequence[Sighting]) -> str:
    """A FeatureCollection of points (RFC 7946), one for each fix."""
    features = [
        {
            "type": "Feature",
            "geometry": {
                "type": "Point",
                "coordinates": [round(entry.fix.lon, 7), round(entry.fix.lat, 7)],
            },
            "properties": {
                key: value for key, value in _row(entry).items() if key not in ("lat", "lon") and value is not None
            },
        }
        for entry in log
    ]
    return json.dumps({"type": "FeatureCollection", "features": features}, ensure_ascii=False, indent=1)


def to_gpx(log: Sequence[Sighting]) -> str:
    """GPX 1.1: a waypoint for each fix, and a track through them in order."""
    gpx = ElementTree.Element(
        "gpx", {"version": "1.1", "creator": "Campus GPS", "xmlns": "http://www.topografix.com/GPX/1/1"}
    )

    def add(parent: ElementTree.Element, tag: str, text: str) -> None:
        ElementTree.SubElement(parent, tag).text = "".join(char for char in text if char.isprintable())

    def at(entry: Sighting) -> dict[str, str]:
        return {"lat": f"{entry.fix.lat:.7f}", "lon": f"{entry.fix.lon:.7f}"}

    for entry in log:
        point = ElementTree.SubElement(gpx, "wpt", at(entry))
        add(point, "time", entry.time_utc.strftime("%Y-%m-%dT%H:%M:%SZ"))
        add(point, "name", entry.fix.zone.name)
        add(point, "desc", f"68 % within {entry.fix.radius68_m:.0f} m, {confidence(entry.fix)}")
    if log:
        segment = ElementTree.SubElement(ElementTree.SubElement(gpx, "trk"), "trkseg")
        for entry in log:
            point = ElementTree.SubElement(segment, "trkpt", at(entry))
            add(point, "time", entry.time_utc.strftime("%Y-%m-%dT%H:%M:%SZ"))
    ElementTree.indent(gpx)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(gpx, encoding="unicode") + "\n"


EXPORTS: tuple[tuple[str, str, Callable[[Sequence[Sighting]], str]], ...] = (
    ("CSV", "text/csv", to_csv),
    ("GeoJSON", "application/geo+json", to_geojson),
    ("GPX", "application/gpx+xml", to_gpx),
)
