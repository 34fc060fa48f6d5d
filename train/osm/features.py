"""Tagged shapes -> the features of `map.geojson`: sorted into kinds, clipped to the campus, simplified."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, cast

import numpy as np
import shapely
from shapely.geometry import mapping
from shapely.geometry.base import BaseGeometry

from core.campus.frame import LocalFrame
from train.osm.box import Box
from train.osm.kinds import Shape, height_m, kind_of, names_of
from train.osm.read import Element, Extract

MAX_BYTES = 140_000  # the app draws up to 150 kB without leaving anything out
# From finer than a phone's GPS can tell to what still looks like the place; the first that fits is taken.
TOLERANCES_M = (0.3, 0.8, 1.5, 3.0)
_LEAST_AREA_M2, _LEAST_LINE_M = 6.0, 3.0
_TREE_STEP_M = 7.0  # of a row of trees
_STREAM_M, _TOWER_M, _FOUNTAIN_M = 1.5, 3.0, 2.0  # half widths of what OpenStreetMap has only as a line or a point


def campus_map(extract: Extract, box: Box, frame: LocalFrame) -> dict[str, Any]:
    """The GeoJSON FeatureCollection of a campus: `kind`, `name`, `name:en`, `name:he` and `height_m` of each feature.

    Coordinates are (lon, lat) degrees at 0.1 m. Simplified as little as the app's size limit allows.
    """
    found: dict[str, Any] = {}
    for tolerance_m in TOLERANCES_M:
        features = [
            _feature(kind, element, part, frame)
            for element in extract.elements
            for kind, part in _parts(element, box, frame, tolerance_m)
        ]
        # Areas under lines under points, the large under the small.
        features.sort(key=lambda feature: feature.pop("_order"))
        found = {"type": "FeatureCollection", "attribution": extract.attribution, "features": features}
        if len(json.dumps(found, ensure_ascii=False, separators=(",", ":"))) <= MAX_BYTES:
            break
    return found


def _parts(element: Element, box: Box, frame: LocalFrame, tolerance_m: float) -> Iterator[tuple[str, BaseGeometry]]:
    """The kind and the shape in local metres of what is to be drawn of an element."""
    shape = _shape(element.geometry)
    kind = None if shape is None else kind_of(element.tags, shape)
    if kind is None:
        return
    local = shapely.transform(element.geometry, lambda lonlat: frame.to_local(lonlat[:, 1], lonlat[:, 0]))
    local = _clipped(_widened(kind, local), box)
    if kind == "tree":
        yield from ((kind, tree) for tree in _trees(local))
        return
    local = local.simplify(tolerance_m)
    enough = {0: not local.is_empty, 1: local.length >= _LEAST_LINE_M, 2: local.area >= _LEAST_AREA_M2}
    if enough[int(shapely.get_dimensions(local))]:
        yield kind, local


def _shape(geometry: BaseGeometry) -> Shape | None:
    return {"Point": "point", "LineString": "line", "MultiLineString": "line", "Polygon": "area",
            "MultiPolygon": "area"}.get(geometry.geom_type)  # type: ignore[return-value]  # fmt: skip


def _widened(kind: str, local: BaseGeometry) -> BaseGeometry:
    """Water and towers as the areas that they are."""
    if local.geom_type.endswith("Polygon"):
        return local
    if kind == "water":
        return local.buffer(_FOUNTAIN_M if local.geom_type == "Point" else _STREAM_M, quad_segs=3)
    return local.buffer(_TOWER_M, quad_segs=3) if kind == "tower" else local


def _clipped(local: BaseGeometry, box: Box) -> BaseGeometry:
    """The part within the box, of the dimension that it had: a clipped area may leave bare lines behind."""
    dimension = shapely.get_dimensions(local)
    inside = shapely.make_valid(local).intersection(shapely.box(*box.low_m, *box.high_m))
    kept = [part for part in shapely.get_parts(inside, return_index=False) if shapely.get_dimensions(part) == dimension]
    kept = [inner for part in kept for inner in shapely.get_parts(part)]
    if len(kept) == 1:
        return cast(BaseGeometry, kept[0])
    several: dict[int, Callable[[list[Any]], BaseGeometry]] = {
        0: shapely.MultiPoint,
        1: shapely.MultiLineString,
        2: shapely.MultiPolygon,
    }
    return several[int(dimension)](kept)


def _trees(local: BaseGeometry) -> Iterator[BaseGeometry]:
    """A row of trees as single ones; a tree is a point already."""
    for part in shapely.get_parts(local):
        if part.geom_type == "Point":
            yield part
        elif part.geom_type == "LineString":
            yield from (part.interpolate(at) for at in np.arange(_TREE_STEP_M / 2, part.length, _TREE_STEP_M))


def _feature(kind: str, element: Element, local: BaseGeometry, frame: LocalFrame) -> dict[str, Any]:
    properties: dict[str, Any] = {"kind": kind}
    if kind != "tree":
        properties |= names_of(element.tags)
    if kind in ("building", "tower") and (tall := height_m(element.tags)) is not None:
        properties["height_m"] = tall
    degrees = shapely.transform(local, lambda at: frame.to_latlon(at)[:, ::-1])
    order = (shapely.get_dimensions(local) != 2, -local.area, kind)
    geometry = mapping(degrees)
    coordinates = _rounded(geometry["coordinates"])
    return {
        "type": "Feature",
        "properties": properties,
        "geometry": {"type": geometry["type"], "coordinates": coordinates},
        "_order": order,
    }


def _rounded(coordinates: Any) -> Any:
    if isinstance(coordinates[0], (tuple, list)):
        return [_rounded(part) for part in coordinates]
    return [round(float(value), 6) for value in coordinates]


def count_by_kind(found: dict[str, Any]) -> dict[str, int]:
    """How many features of each kind a map has, the commonest first."""
    kinds, counts = np.unique([feature["properties"]["kind"] for feature in found["features"]], return_counts=True)
    return {str(kinds[index]): int(counts[index]) for index in np.argsort(-counts, kind="stable")}
