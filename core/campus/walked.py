"""The map of a campus that has none: where its training photos stand, and the ways between them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from core.campus.basemap import drawable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from core.campus.bundle import Bundle
    from core.campus.frame import LocalFrame
    from core.campus.zones import Zone

    Float = NDArray[np.float64]

_CELL_M = 4.0  # photos nearer to one another share a dot, about as near as a phone's GPS can tell
_NUMBERED, _MOST_NUMBERS = re.compile(r"Zone \d+"), 16  # on a map of more zones their numbers are only noise
_MOST_DOTS = 800  # the nearest neighbours of all are found by comparing each with each
_BARS_M = (5, 10, 20, 50, 100, 200, 500, 1000, 2000)
_BESIDE_M = 22.0  # within the campus's grid, so that the first view shows it
_LONGEST_WAY_M = 30.0  # between two dots; what lies farther apart was hardly walked in a straight line


def own_or_walked_map(bundle: Bundle, *, scale: bool) -> dict[str, Any]:
    """The bundle's own map, or one of its training photos (see `walked_map`), so that no campus is blank."""
    if any(drawable(bundle.campus_map)):
        return bundle.campus_map
    local_m = np.empty((0, 2)) if bundle.gallery is None else bundle.gallery.local_m
    return walked_map(bundle.manifest.zones, local_m, bundle.manifest.frame, scale=scale)


def walked_map(zones: Sequence[Zone], local_m: ArrayLike, frame: LocalFrame, *, scale: bool = True) -> dict[str, Any]:
    """A GeoJSON FeatureCollection of what a bundle knows without a map: its zones, its photos, the ways between them.

    `local_m` (N, 2) metres are the training photos' positions, N >= 0. Kinds are `grounds` (each zone, by its name),
    `walked` (lines), `photo` (points) and, with `scale`, `scale` (a bar of so many metres, and an arrow to north),
    for whoever shows none of its own.
    """
    nameless = len(zones) > _MOST_NUMBERS
    features = [
        _feature(
            "grounds",
            "Polygon",
            [_closed(_lonlat(zone.outline_m, frame))],
            "" if nameless and _NUMBERED.fullmatch(zone.name) else zone.name,
        )
        for zone in zones
        if len(zone.outline_m) >= 3
    ]
    dots = thinned(np.asarray(local_m, np.float64).reshape(-1, 2))
    if len(dots):
        places = _lonlat(dots, frame)
        if ways := [[places[one], places[other]] for one, other in ways_between(dots)]:
            features.append(_feature("walked", "MultiLineString", ways))
        features.append(_feature("photo", "MultiPoint", places))
        features += _scale(dots, frame) if scale else []
    return {"type": "FeatureCollection", "features": features}


def thinned(local_m: Float) -> Float:
    """(N, 2) metres -> (M, 2): one place for all positions of a square of 4 m, or larger where they are too many."""
    cell_m = _CELL_M
    while len(local_m):
        _, member = np.unique(np.floor(local_m / cell_m), axis=0, return_inverse=True)
        counts = np.bincount(member.reshape(-1))
        if len(counts) <= _MOST_DOTS:
            sums = [np.bincount(member.reshape(-1), local_m[:, axis]) for axis in (0, 1)]
            return np.stack(sums, axis=1) / counts[:, None]
        cell_m *= 1.5
    return local_m


def ways_between(dots_m: Float) -> list[tuple[int, int]]:
    """The edges of the minimum spanning tree of (M, 2) metres, without those longer than 30 m (Prim, 1957)."""
    if len(dots_m) < 2:
        return []
    near_m = np.linalg.norm(dots_m - dots_m[0], axis=1)
    nearest = np.zeros(len(dots_m), np.int64)
    outside = np.ones(len(dots_m), np.bool_)
    outside[0] = False
    edges = []
    while outside.any():
        new = int(np.where(outside, near_m, np.inf).argmin())
        outside[new] = False
        if near_m[new] <= _LONGEST_WAY_M:
            edges.append((int(nearest[new]), new))
        off_m = np.linalg.norm(dots_m - dots_m[new], axis=1)
        closer = off_m < near_m
        near_m, nearest = np.where(closer, off_m, near_m), np.where(closer, new, nearest)
    return edges


def _scale(dots_m: Float, frame: LocalFrame) -> list[dict[str, Any]]:
    """A bar of a round length below the dots, in the west, and an arrow to north above them, each with its name."""
    low, high = dots_m.min(axis=0) - _BESIDE_M, dots_m.max(axis=0) + _BESIDE_M
    wide_m = high[0] - low[0]
    bar_m = max((length for length in _BARS_M if length <= wide_m / 3), default=_BARS_M[0])
    tick, head = wide_m / 60, wide_m / 25
    bar = [[(0, tick), (0, 0), (bar_m, 0), (bar_m, tick)]]
    foot = low + (head, high[1] - low[1] - 2 * head)
    arrow = foot + np.array(
        [[(0, 0), (0, 2 * head)], [(-head / 2, head), (0, 2 * head)], [(head / 2, head), (0, 2 * head)]]
    )
    names = {f"{bar_m} m": low + (bar_m / 2, 1.2 * head), "N": foot - (0, head)}
    return [
        _feature("scale", "MultiLineString", [_lonlat(low + line, frame) for line in np.array(bar)]),
        _feature("scale", "MultiLineString", [_lonlat(line, frame) for line in arrow]),
        *(_feature("scale", "Point", _lonlat([at], frame)[0], name) for name, at in names.items()),
    ]


def _lonlat(local_m: ArrayLike, frame: LocalFrame) -> list[list[float]]:
    return [[round(lon, 6), round(lat, 6)] for lat, lon in frame.to_latlon(np.asarray(local_m, np.float64)).tolist()]


def _closed(ring: list[list[float]]) -> list[list[float]]:
    return [*ring, ring[0]]


def _feature(kind: str, geometry: str, coordinates: Any, name: str = "") -> dict[str, Any]:
    properties = {"kind": kind} | ({"name": name} if name else {})
    return {"type": "Feature", "properties": properties, "geometry": {"type": geometry, "coordinates": coordinates}}
