"""OpenStreetMap files of any kind -> tagged shapes: .osm XML, .osm.pbf, Overpass JSON, GeoJSON.

XML and PBF are read by pyosmium, which also assembles multipolygons. Overpass JSON is written out as PBF first, so that
one assembler serves all.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import shapely
from shapely.geometry.base import BaseGeometry

from core.errors import MapError, reason_of
from train.osm.box import Box
from train.osm.kinds import KEYS
from train.osm.overpass import write_pbf

OSM_ATTRIBUTION = "© OpenStreetMap contributors, ODbL"
_ENDINGS = ".osm, .osm.pbf, .osm.gz, Overpass JSON or GeoJSON"


@dataclass(frozen=True, eq=False)
class Element:
    """What OpenStreetMap knows of one thing: its tags, and its shape in (lon, lat) degrees."""

    tags: dict[str, str]
    geometry: BaseGeometry


@dataclass(frozen=True, eq=False)
class Extract:
    """The elements of a file that touch a box, how many were damaged and left out, and whom to thank ("": nobody)."""

    elements: tuple[Element, ...]
    broken: int
    attribution: str


def read_extract(path: Path, box: Box) -> Extract:
    """The tagged shapes of an extract that touch `box`, told apart by content, not by name.

    Raises MapError where the file is missing, damaged, or none of the four formats.
    """
    try:
        with path.open("rb") as file:
            start = file.read(1024)
    except FileNotFoundError as error:
        raise MapError("no such map", path=path) from error
    if start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        return _of_json(path, box)
    return _of_osm(path, _format(path, start), box, OSM_ATTRIBUTION)


def _format(path: Path, start: bytes) -> str:
    """libosmium's name for a file's format; "" leaves it to the ending."""
    if b"OSMHeader" in start:
        return "pbf"
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text.startswith(b"<") and b"<osm" in text:
        return "osm"
    if path.suffix in (".gz", ".bz2"):
        return f"osm{path.suffix}"
    raise MapError("not an OpenStreetMap file", path=path, remedy=f"give {_ENDINGS}")


def _of_json(path: Path, box: Box) -> Extract:
    try:
        data = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise MapError(f"damaged JSON ({reason_of(error)})", path=path, remedy="download it again") from error
    remark = data.get("remark")
    # A server that runs out of time or memory tells so after what it had found: half a map, in silence.
    if isinstance(remark, str) and ("runtime error" in remark or not data.get("elements")):
        raise MapError(f"Overpass answered with an error ({remark[:120]})", path=path, remedy="ask it again")
    if isinstance(data.get("elements"), list):
        with tempfile.TemporaryDirectory() as folder:
            pbf = Path(folder) / "extract.osm.pbf"
            try:
                write_pbf(data["elements"], pbf)
            except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
                raise MapError(
                    f"not Overpass JSON ({reason_of(error)})", path=path, remedy="download it again"
                ) from error
            return _of_osm(pbf, "pbf", box, OSM_ATTRIBUTION, named=path)
    if isinstance(data.get("features"), list):
        return _of_geojson(data, box)
    raise MapError(
        "JSON, but neither Overpass's (elements) nor GeoJSON (features)", path=path, remedy=f"give {_ENDINGS}"
    )


def _of_geojson(data: dict[str, Any], box: Box) -> Extract:
    """Features whose properties are tags, as overpass-turbo and osmtogeojson write them, or hold `tags`.

    Where the file thanks nobody, OpenStreetMap is thanked if it carries its ids or keys.
    """
    elements, broken, of_osm = [], 0, False
    for feature in data["features"]:
        try:
            properties = feature["properties"] or {}
            tags = properties["tags"] if isinstance(properties.get("tags"), dict) else properties
            geometry = shapely.geometry.shape(feature["geometry"])
            tags = {str(key): str(value) for key, value in tags.items() if value is not None}
        except (KeyError, TypeError, ValueError, AttributeError, IndexError, shapely.errors.ShapelyError):
            broken += 1
            continue
        of_osm = of_osm or "@id" in properties or not tags.keys().isdisjoint(KEYS)
        if _touches(geometry, box):
            elements.append(Element(tags, geometry))
    given = data.get("attribution")
    thanks = OSM_ATTRIBUTION if of_osm else ""
    return Extract(tuple(elements), broken, given if isinstance(given, str) and given else thanks)


def _of_osm(path: Path, format: str, box: Box, attribution: str, named: Path | None = None) -> Extract:
    import osmium

    wanted = osmium.filter.KeyFilter(*KEYS)  # a whole country's other shapes never reach Python
    elements, missing = [], set()
    try:
        source = osmium.FileProcessor(osmium.io.File(str(path), format)).with_areas(wanted).with_filter(wanted)
        for name, tags, geometry in _shapes(source):
            if geometry is None:
                missing.add(name)
                continue
            missing.discard(name)
            if _touches(geometry, box):
                elements.append(Element(tags, geometry))
    except RuntimeError as error:  # whatever libosmium finds wrong with a file
        raise MapError(f"damaged ({reason_of(error)})", path=named or path, remedy="download it again") from error
    return Extract(tuple(elements), len(missing), attribution)


def _shapes(source: Any) -> Iterator[tuple[str, dict[str, str], BaseGeometry | None]]:
    """The name, the tags and the shape of every element, None where it has none.

    A closed way comes as a line and as an area. A multipolygon comes without a shape, and later with it where its
    outline closes.
    """
    import osmium

    factory = osmium.geom.WKBFactory()
    for item in source:
        tags = dict(item.tags)
        if item.is_node():
            known = item.location.valid()
            yield f"n{item.id}", tags, shapely.Point(item.location.lon, item.location.lat) if known else None
        elif item.is_way():
            # An extract may be cut through a way: what is left of it is drawn.
            corners = [(node.lon, node.lat) for node in item.nodes if node.location.valid()]
            yield f"w{item.id}", tags, shapely.LineString(corners) if len(corners) > 1 else None
        elif item.is_relation() and tags.get("type") == "multipolygon":
            yield f"r{item.id}", tags, None
        elif item.is_area() and sum(item.num_rings()):
            kind = "w" if item.from_way() else "r"
            yield f"{kind}{item.orig_id()}", tags, shapely.from_wkb(factory.create_multipolygon(item))


def _touches(geometry: BaseGeometry, box: Box) -> bool:
    if geometry.is_empty:
        return False
    west, south, east, north = geometry.bounds
    return bool(west <= box.east and east >= box.west and south <= box.north and north >= box.south)
