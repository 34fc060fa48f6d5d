"""Smart zones from training positions: k-means cells, their outlines and their names."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.campus.frame import LocalFrame
from core.campus.manifest import MAX_ZONE_NAME
from core.campus.zones import Zone, Zones

MAX_ZONES = 300  # the original's number
PHOTOS_PER_ZONE = 8  # fewer teach a zone's class nothing
PHOTOS_PER_LABEL = 4  # of the original's zones
MARGIN_M = 15.0  # how far a cell reaches beyond the outermost photos
LEAST_SPREAD_M = 2.0  # a zone of one standpoint is still as wide as phone GPS makes it


def zone_count(local_m: NDArray[np.float64], photos_per_zone: int = PHOTOS_PER_ZONE) -> int:
    """How many zones (N, 2) positions can carry: enough photos in each, and two distinct positions, or one if one photo
    is enough.
    """
    distinct = len(np.unique(local_m.round(1), axis=0))
    return max(1, min(MAX_ZONES, len(local_m) // photos_per_zone, distinct // min(2, photos_per_zone)))


def fit_zones(local_m: NDArray[np.float64], seed: int, photos_per_zone: int = PHOTOS_PER_ZONE) -> Zones:
    """k-means over the *training* positions alone, (N, 2) local metres; named `Zone 1` and so on."""
    return zones_about(*cells(local_m, zone_count(local_m, photos_per_zone), seed), local_m)


def cells(
    local_m: NDArray[np.float64], count: int, seed: int = 0, starts: int = 4
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """(count, 2) centres of k-means cells over (N, 2) local metres, and (N,) which cell each position is in."""
    from sklearn.cluster import KMeans

    means = KMeans(count, n_init=starts, random_state=seed).fit(local_m)
    return np.asarray(means.cluster_centers_, np.float64), np.asarray(means.labels_, np.int64)


def original_labels(local_m: NDArray[np.float64]) -> NDArray[np.int64]:
    """(N,) the column `label` of gt.csv, numbered from 0: the original's zones, over *all* photos.

    Only for the original's own tools: such zones have seen the test photos, so training never reads them.
    """
    return cells(local_m, zone_count(local_m, PHOTOS_PER_LABEL), starts=1)[1]


def zones_about(centres: NDArray[np.float64], member: NDArray[np.int64], local_m: NDArray[np.float64]) -> Zones:
    """The zones of (K, 2) centres in local metres, and of (N, 2) positions of which (N,) says whose each is."""
    outlines = _outlines(centres, local_m)
    zones = []
    for index, centre in enumerate(centres):
        members = local_m[member == index]
        spread = float(np.sqrt(((members - centre) ** 2).sum(axis=1).mean() / 2))
        at = (float(centre[0]), float(centre[1]))
        zones.append(Zone(f"Zone {index + 1}", at, max(spread, LEAST_SPREAD_M), outlines[index]))
    return Zones(tuple(zones))


def _outlines(centres: NDArray[np.float64], local_m: NDArray[np.float64]) -> list[tuple[tuple[float, float], ...]]:
    """Voronoi cells of the centres, clipped to the photos' hull with a margin."""
    import shapely
    from shapely import MultiPoint, Point

    hull = MultiPoint(local_m).convex_hull.buffer(MARGIN_M, quad_segs=4)
    if len(centres) == 1:
        return [_corners(hull)]
    # Far points keep every real cell finite; the hull clips it.
    reach = 10 * (np.ptp(local_m, axis=0).max() + MARGIN_M)
    middle = centres.mean(axis=0)
    far = middle + reach * np.array([(-1, -1), (-1, 1), (1, -1), (1, 1)])
    cells = shapely.voronoi_polygons(MultiPoint(np.concatenate([centres, far])), ordered=True).geoms
    outlines = []
    for centre, cell in zip(centres, cells, strict=False):
        # A hull's corner can cut a cell in two: keep the centre's part.
        parts = shapely.get_parts(cell.intersection(hull))
        outlines.append(_corners(parts[shapely.distance(parts, Point(centre)).argmin()]))
    return outlines


def _corners(polygon: Any) -> tuple[tuple[float, float], ...]:
    from shapely.geometry.polygon import orient

    return tuple((round(x, 2), round(y, 2)) for x, y in list(orient(polygon).exterior.coords)[:-1])


_SIDES = ("east", "north-east", "north", "north-west", "west", "south-west", "south", "south-east")
_SIDE = re.compile(rf", (?:{'|'.join(_SIDES)}) side$")
_NAMED_KINDS = ("building", "plaza", "tower", "water", "lawn", "sports")


def numbered(zones: Zones) -> Zones:
    """The zones with the names that they have while nothing better is known: `Zone 1` and so on."""
    return Zones(tuple(replace(zone, name=f"Zone {index}") for index, zone in enumerate(zones.zones, start=1)))


def name_zones(zones: Zones, campus_map: dict[str, Any], frame: LocalFrame) -> Zones:
    """The zones named after the nearest named feature of the map and the side of it: `Library, north side`.

    The English name is taken where the map has one, as the sides are English. Unchanged where the map (a GeoJSON
    FeatureCollection) has no named feature.
    """
    from shapely import Point

    features = _named_features(campus_map, frame)
    if not features:
        return zones

    def name_at(at: Point) -> str:
        name, geometry = min(features, key=lambda feature: feature[1].distance(at))
        middle = geometry.centroid
        if geometry.contains(at) and middle.distance(at) < 0.5 * np.sqrt(geometry.area / np.pi):
            return str(name)[:MAX_ZONE_NAME]
        turn = np.arctan2(at.y - middle.y, at.x - middle.x)
        side = f", {_SIDES[round(float(turn) / (np.pi / 4)) % 8]} side"
        return str(name)[: MAX_ZONE_NAME - len(side)] + side

    return Zones(tuple(replace(zone, name=name_at(Point(zone.centre_m))) for zone in zones.zones))


def _named_features(campus_map: dict[str, Any], frame: LocalFrame) -> list[tuple[str, Any]]:
    """The name and the shape, in local metres, of each feature that a zone may be named after.

    GeoJSON (RFC 7946) allows a feature without properties or without a geometry. A geometry that is none is left out,
    as the drawn map leaves it out.
    """
    from shapely import transform
    from shapely.errors import ShapelyError
    from shapely.geometry import shape

    def to_local(lonlat: NDArray[np.float64]) -> NDArray[np.float64]:
        return frame.to_local(lonlat[:, 1], lonlat[:, 0])

    found = []
    for feature in campus_map.get("features", []):
        properties, geometry = feature.get("properties") or {}, feature.get("geometry")
        if not geometry or not properties.get("name") or properties.get("kind") not in _NAMED_KINDS:
            continue
        try:
            outline = shape(geometry)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError, ShapelyError):
            continue
        if not outline.is_empty:
            found.append((properties.get("name:en") or properties["name"], transform(outline, to_local)))
    return found


def place_of(zone_name: str) -> str:
    """The place that a zone is named after: `Library` for `Library, north side`."""
    return _SIDE.sub("", zone_name)
