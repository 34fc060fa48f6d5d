"""The geometry of a fictional campus, in metres east and north of its centre; no renderer needed.

The place does not exist: its centre lies in empty desert (Negev, UTM zone 36R), far from any university.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from shapely.geometry import LineString, Point, Polygon, box
from shapely.geometry.base import BaseGeometry
from shapely.ops import unary_union

from core.campus.frame import LocalFrame

Rgb = tuple[int, int, int]
Side = Literal["N", "E", "S", "W"]


@dataclass(frozen=True)
class Box:
    """An upright block on the ground: centre, width (east-west), depth (north-south), height; metres."""

    east_m: float
    north_m: float
    width_m: float
    depth_m: float
    height_m: float

    @property
    def footprint(self) -> Polygon:
        """Ground polygon in (east, north) metres."""
        half_w, half_d = self.width_m / 2, self.depth_m / 2
        return box(self.east_m - half_w, self.north_m - half_d, self.east_m + half_w, self.north_m + half_d)


@dataclass(frozen=True)
class Building:
    """A named building of one or two boxes and how its walls look; colours are sRGB 0..255."""

    name: str
    boxes: tuple[Box, ...]
    material: str
    wall_rgb: Rgb
    accent_rgb: Rgb
    roof_rgb: Rgb
    window: str
    storey_m: float
    bay_m: float
    door: Side
    sign: str
    kind: str = "building"
    look: str = ""  # buildings with the same non-empty look share their facade layout

    @property
    def footprint(self) -> BaseGeometry:
        """Union of the boxes' ground polygons, (east, north) metres."""
        return unary_union([part.footprint for part in self.boxes])

    @property
    def height_m(self) -> float:
        """Height of the tallest box."""
        return max(part.height_m for part in self.boxes)


@dataclass(frozen=True)
class Path:
    """A named walkway along a polyline of (east, north) metres."""

    name: str
    points: tuple[tuple[float, float], ...]
    width_m: float
    paving: str

    @property
    def line(self) -> LineString:
        """Centre line in (east, north) metres."""
        return LineString(self.points)


@dataclass(frozen=True)
class Area:
    """A named patch of ground: kind is lawn, plaza, water, parking or court; (east, north) metres."""

    name: str
    kind: str
    points: tuple[tuple[float, float], ...]

    @property
    def polygon(self) -> Polygon:
        """Its outline in (east, north) metres."""
        return Polygon(self.points)


@dataclass(frozen=True)
class Tree:
    """A tree: kind is broad, cypress, pine, palm or olive; height and crown radius in metres."""

    kind: str
    east_m: float
    north_m: float
    height_m: float
    radius_m: float
    seed: int


@dataclass(frozen=True)
class Prop:
    """A small thing beside a path (bench, lamp, car, ...); heading in degrees clockwise from north."""

    kind: str
    east_m: float
    north_m: float
    heading_deg: float
    rgb: Rgb
    seed: int = 0


@dataclass(frozen=True)
class World:
    """The whole campus about `centre` (lat, lon degrees)."""

    name: str
    centre: tuple[float, float]
    buildings: tuple[Building, ...]
    paths: tuple[Path, ...]
    areas: tuple[Area, ...]
    trees: tuple[Tree, ...]
    props: tuple[Prop, ...]
    look_alikes: tuple[tuple[str, ...], ...]

    @cached_property
    def frame(self) -> LocalFrame:
        """Metres about the centre, in its UTM zone."""
        return LocalFrame.about(*self.centre)

    def to_latlon(self, east_m: float, north_m: float) -> tuple[float, float]:
        """(east, north) metres about the centre -> (lat, lon) degrees WGS84."""
        lat, lon = self.frame.to_latlon((east_m, north_m))
        return float(lat), float(lon)

    def obstacles(self, margin_m: float = 0.5) -> BaseGeometry:
        """Where nobody can stand: buildings, trunks and props grown by `margin_m`; (east, north) metres."""
        solid = [b.footprint.buffer(margin_m) for b in self.buildings]
        solid += [Point(t.east_m, t.north_m).buffer(0.3 + margin_m) for t in self.trees]
        solid += [Point(p.east_m, p.north_m).buffer(PROP_RADIUS_M.get(p.kind, 0.6) + margin_m) for p in self.props]
        solid += [a.polygon.buffer(margin_m) for a in self.areas if a.kind == "water"]
        return unary_union(solid)


PROP_RADIUS_M = {
    "car": 2.4, "sculpture": 1.6, "kiosk": 2.0, "bike_rack": 1.6, "bench": 1.0, "planter": 0.8, "notice": 0.9,
    "hedge": 1.6, "shelter": 2.2, "fountain": 4.2,
}  # fmt: skip


def campus_map(world: World) -> dict[str, Any]:
    """The offline basemap: a GeoJSON FeatureCollection in WGS84 (lon, lat order, as GeoJSON has it).

    Every feature carries `kind` (building, path, lawn, plaza, tree, tower or water), `name` and `height_m`.
    """
    features = [_feature(world, a.polygon, _area_kind(a.kind), a.name, 0.0) for a in world.areas]
    features += [
        _feature(world, p.line.buffer(p.width_m / 2, cap_style="flat"), "path", p.name, 0.0) for p in world.paths
    ]
    features += [_feature(world, b.footprint, b.kind, b.name, b.height_m) for b in world.buildings]
    features += [_feature(world, Point(t.east_m, t.north_m), "tree", f"{t.kind} tree", t.height_m) for t in world.trees]
    return {"type": "FeatureCollection", "name": world.name, "features": features}


def _area_kind(kind: str) -> str:
    return {"parking": "plaza", "court": "plaza"}.get(kind, kind)


def _feature(world: World, shape: BaseGeometry, kind: str, name: str, height_m: float) -> dict[str, Any]:
    """One GeoJSON feature; polygons are wound as RFC 7946 wants (outer ring counter-clockwise)."""
    geometry: dict[str, Any]
    if isinstance(shape, Point):
        geometry = {"type": "Point", "coordinates": _lonlat(world, shape.x, shape.y)}
    else:
        if not isinstance(shape, Polygon):
            raise TypeError(f"{name}: {shape.geom_type} has no place on the map; its parts must touch")
        ring = list(shape.exterior.coords)
        if not shape.exterior.is_ccw:
            ring.reverse()
        geometry = {"type": "Polygon", "coordinates": [[_lonlat(world, x, y) for x, y in ring]]}
    properties = {"kind": kind, "name": name, "height_m": round(height_m, 1)}
    return {"type": "Feature", "properties": properties, "geometry": geometry}


def _lonlat(world: World, east_m: float, north_m: float) -> list[float]:
    lat, lon = world.to_latlon(east_m, north_m)
    return [round(lon, 7), round(lat, 7)]


def wall_ahead_m(world: World, east_m: float, north_m: float, heading_deg: float) -> float:
    """Distance in metres to the first wall straight ahead; infinity where there is none within 60 m."""
    angle = math.radians(heading_deg)
    way_east, way_north = math.sin(angle), math.cos(angle)
    nearest = math.inf
    for building in world.buildings:
        for part in building.boxes:
            near_e, far_e = _slab(part.east_m - east_m, part.width_m / 2, way_east)
            near_n, far_n = _slab(part.north_m - north_m, part.depth_m / 2, way_north)
            near, far = max(near_e, near_n, 0.0), min(far_e, far_n, 60.0)
            if near <= far:
                nearest = min(nearest, near)
    return nearest


def _slab(centre_m: float, half_m: float, way: float) -> tuple[float, float]:
    """Where a ray from 0 with slope `way` enters and leaves centre +- half, along the ray in metres."""
    if abs(way) < 1e-12:
        return (-math.inf, math.inf) if abs(centre_m) <= half_m else (math.inf, -math.inf)
    first, second = (centre_m - half_m) / way, (centre_m + half_m) / way
    return min(first, second), max(first, second)
