"""What the pages that collect and review draw: the campus's map in metres, and where photos are wanted next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import numpy as np

from app.language import LANGUAGES, Lang
from app.map.deck import campus_map_of, names_of
from app.places import map_names
from app.texts import Texts
from core.campus import basemap
from core.campus.daylight import is_night, nights
from core.campus.needs import needs_of
from core.campus.walked import thinned

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from core.campus.bundle import Bundle
    from core.campus.frame import LocalFrame
    from core.campus.inbox import Sidecar
    from core.campus.needs import Light

    Float = NDArray[np.float64]

NEAR_M = 15.0  # a photo taken within a few steps shows much of what the next one does
STOP_PHOTOS = 4  # four photos, turning: a place with fewer of them near has not been stopped at
_REACH_M = 60.0  # beyond it from every photo lies other land, however well a path leads there
_APART_M = 25.0  # between two targets
_MOST_TARGETS, _MOST_NEEDS = 20, 8
_STEP_M = 5.0  # along a path
_WAYS = ("path", "road", "steps", "walked")
_MOST_NAMES = 200
_SPAN = timedelta(days=14)  # a phone may keep the plan so long without the server
_ROOM_M = 25.0  # round what was photographed


def plan(bundle: Bundle, sent: Sequence[Sidecar] = (), lang: Lang = "en") -> dict[str, Any]:
    """The map, with its names in `lang`, and the targets of a campus as JSON; `sent` are the photos in its inbox.

    East and north in local metres: `box` [west, south, east, north], `shapes` [kind, SVG path, closed], `labels`
    [east, north, lines], the most telling first, `to_latlon` two rows [constant, by east, by north] that hold within
    0.1 m on a square of 2 km, `targets` {at, near, light, place by language}, `nights` [begin, end] in milliseconds
    since 1970 of the last and next weeks, `colours` by theme and kind, `thanks` to whom the map's licence asks for.
    Raises BundleError where the bundle's list of needs is damaged.
    """
    frame = bundle.manifest.frame
    waiting = [one for one in sent if one.placed and one.review != "rejected"]
    taken_m, names = _photos_m(bundle, waiting), names_of(bundle, lang, scale=True)[:_MOST_NAMES]
    box = _box(bundle, taken_m)
    campus_map = campus_map_of(bundle, scale=True)
    drawn = basemap.in_order(campus_map)
    return {
        "name": bundle.manifest.name,
        "box": _rounded(box),
        "shapes": [shape for feature in drawn for shape in _shapes(feature, frame)],
        "labels": [[*_rounded(name.middle_m), name.label.text.split("\n")] for name in names],
        "to_latlon": _affine(box, frame),
        "targets": _named(_targets(bundle, waiting, _candidates(drawn, taken_m, box, frame), taken_m), bundle),
        "nights": _nights(bundle),
        "colours": {"light": basemap.LIGHT, "dark": basemap.DARK},
        "thanks": basemap.attribution(campus_map),
    }


@dataclass(frozen=True)
class Target:
    """A place where photos are wanted, in metres, the light that they are wanted in, and how many stand near it."""

    east_m: float
    north_m: float
    near: int
    light: Light = ""


def _targets(bundle: Bundle, waiting: Sequence[Sidecar], candidates_m: Float, taken_m: Float) -> list[Target]:
    """First where held-out photos were far off and nobody made a stop since, then where photos are thin."""
    found: list[Target] = []
    light, accepted = _lights(waiting), np.array([one.review == "accepted" for one in waiting], np.bool_)
    for need in needs_of(bundle):
        near = np.hypot(*(taken_m - (need.east_m, need.north_m)).T) <= NEAR_M
        gallery, sent = near[: len(near) - len(waiting)], near[len(near) - len(waiting) :]
        # A gallery tells no light. Of what it has gained here, the photos that still lie in the inbox tell theirs.
        gained = max(0, int(gallery.sum()) - need.near - int((sent & accepted).sum()))
        stood = gained + int((sent & ((light == need.light) | (need.light == ""))).sum())
        if stood < STOP_PHOTOS and len(found) < _MOST_NEEDS:
            found.append(Target(need.east_m, need.north_m, int(near.sum()), need.light))
    thin = [
        place
        for place in thin_places(candidates_m, taken_m)
        if all(np.hypot(place.east_m - one.east_m, place.north_m - one.north_m) >= _APART_M for one in found)
    ]
    return [*found, *thin][:_MOST_TARGETS]


def thin_places(candidates_m: Float, taken_m: Float) -> list[Target]:
    """Where photos are thin, neediest first, at most _MOST_TARGETS places.

    `candidates_m` (N, 2) are places that one can walk to, `taken_m` (M, 2) the photos there are. Wanted are places with
    less than a stop's photos near, or with less than half of what half the campus has; of two with equally many, the
    farther from any photo comes first.
    """
    if not len(taken_m) or not len(candidates_m):
        return []
    nearest_m, near = np.empty(len(candidates_m)), np.empty(len(candidates_m), np.int64)
    for row, place in enumerate(candidates_m):  # one at a time: all distances of a large gallery would take gigabytes
        away_m = np.hypot(*(taken_m - place).T)
        nearest_m[row], near[row] = away_m.min(), np.count_nonzero(away_m <= NEAR_M)
    few = max(STOP_PHOTOS, float(np.median(near)) / 2)
    wanted = np.flatnonzero((near < few) & (nearest_m <= _REACH_M))
    chosen: list[int] = []
    for row in wanted[np.lexsort((-nearest_m[wanted], near[wanted]))]:
        if all(np.hypot(*(candidates_m[row] - candidates_m[other])) >= _APART_M for other in chosen):
            chosen.append(int(row))
        if len(chosen) == _MOST_TARGETS:
            break
    return [Target(float(candidates_m[row, 0]), float(candidates_m[row, 1]), int(near[row])) for row in chosen]


def _lights(waiting: Sequence[Sidecar]) -> NDArray[np.str_]:
    """(W,) "day" or "night"; of a photo without a time day, as most photos are."""
    dark = [
        one.lat is not None and one.lon is not None and one.time_utc is not None
        and is_night(one.lat, one.lon, one.time_utc) for one in waiting
    ]  # fmt: skip
    return np.where(np.array(dark, np.bool_), "night", "day")


def _nights(bundle: Bundle) -> list[list[int]]:
    now, (lat_deg, lon_deg) = datetime.now(timezone.utc), bundle.manifest.frame.to_latlon(np.zeros(2)).tolist()
    spans = nights(lat_deg, lon_deg, now - _SPAN, now + _SPAN)
    return [[int(1000 * time.timestamp()) for time in span] for span in spans]


def _photos_m(bundle: Bundle, waiting: Sequence[Sidecar]) -> Float:
    """(G + W, 2) local metres of the gallery's photos, and of those that wait."""
    gallery = np.empty((0, 2)) if bundle.gallery is None else bundle.gallery.local_m.astype(np.float64)
    at = np.array([(one.lat, one.lon) for one in waiting], np.float64).reshape(-1, 2)
    return np.concatenate([gallery, bundle.manifest.frame.to_local(at[:, 0], at[:, 1])])


def _box(bundle: Bundle, taken_m: Float) -> Float:
    """(4) west, south, east, north: round the photos, within the grid and what lies just beyond it."""
    grid = bundle.manifest.grid
    whole = np.array([grid.west_m, grid.south_m, grid.east_m[-1], grid.north_m[-1]])
    if not len(taken_m):
        return whole
    round_photos = np.concatenate([taken_m.min(axis=0) - _ROOM_M, taken_m.max(axis=0) + _ROOM_M])
    inside = np.concatenate([np.maximum(round_photos[:2], whole[:2]), np.minimum(round_photos[2:], whole[2:])])
    return inside if (inside[2:] > inside[:2]).all() else whole


def _candidates(drawn: list[dict[str, Any]], taken_m: Float, box: Float, frame: LocalFrame) -> Float:
    """(N, 2) places that one can walk to: along the map's ways, and where photos were taken already."""
    places = [thinned(taken_m)]
    for feature in drawn:
        if feature["properties"]["kind"] in _WAYS:
            places += [_along(line) for line in _lines(feature["geometry"], frame)]
    found = thinned(np.concatenate(places))
    return np.asarray(found[((found >= box[:2]) & (found <= box[2:])).all(axis=1)])


def _along(line_m: Float) -> Float:
    """Points every _STEP_M of a line."""
    walked = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line_m, axis=0).T))])
    steps = np.arange(0.0, walked[-1] + 1e-6, _STEP_M)
    return np.stack([np.interp(steps, walked, line_m[:, axis]) for axis in (0, 1)], axis=1)


def _lines(geometry: dict[str, Any], frame: LocalFrame) -> list[Float]:
    """Every line or ring of a geometry in local metres; points are lines of one point."""
    kind, coordinates = geometry["type"], geometry["coordinates"]
    nested = {
        "Point": [[coordinates]],
        "MultiPoint": [[point] for point in coordinates],
        "LineString": [coordinates],
        "MultiLineString": coordinates,
        "Polygon": coordinates,
    }.get(kind)
    if nested is None:
        nested = [ring for polygon in coordinates for ring in polygon] if kind == "MultiPolygon" else []
    lonlat = [np.array([point[:2] for point in line], np.float64) for line in nested]
    return [frame.to_local(line[:, 1], line[:, 0]) for line in lonlat]


def _shapes(feature: dict[str, Any], frame: LocalFrame) -> list[list[Any]]:
    """[kind, SVG path, closed] of a feature; north is up, so its sign is turned. Points are lines of no length."""
    lines = _lines(feature["geometry"], frame)
    closed = "Polygon" in feature["geometry"]["type"]
    path = "".join(
        "M"
        + "L".join(f"{east:.1f} {-north:.1f}" for east, north in line)
        + ("Z" if closed else "h0" * (len(line) == 1))
        for line in lines
    )
    return [[feature["properties"]["kind"], path, closed]] if path else []


def _affine(box: Float, frame: LocalFrame) -> list[list[float]]:
    """The linear function from local metres to latitude and longitude that fits best on the box."""
    east, north = (axis.ravel() for axis in np.meshgrid(box[[0, 2]], box[[1, 3]]))
    local = np.stack([east, north], axis=1)
    rows, *_ = np.linalg.lstsq(np.column_stack([np.ones(4), local]), frame.to_latlon(local), rcond=None)
    return [[float(value) for value in column] for column in rows.T]


def _named(found: Sequence[Target], bundle: Bundle) -> list[dict[str, Any]]:
    """Targets with the name of their zone in every language."""
    zones = bundle.zones
    at = np.array([(place.east_m, place.north_m) for place in found]).reshape(-1, 2)
    names = [zones[zone].name for zone in zones.assign(at)] if len(zones) and len(at) else [""] * len(at)
    return [
        {
            "at": _rounded((place.east_m, place.north_m)),
            "near": place.near,
            "light": place.light,
            "place": {lang: Texts(lang, map_names(bundle, lang)).zone_name(name) for lang in LANGUAGES},
        }
        for place, name in zip(found, names, strict=True)
    ]


def _rounded(values: Any) -> list[float]:
    return [round(float(value), 1) for value in values]
