"""The offline basemap: a campus's GeoJSON -> a map style in a data URL, its names, the view that fits.

The style names no tiles, glyphs or sprites, so drawing it asks the network for nothing. It places names as icons,
whose pictures whoever draws it makes: `image_of` says what they are called. `labels` places them where nothing does.
"""

from __future__ import annotations

import base64
import json
import math
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from core.campus.frame import LEAST_LAT, MOST_LAT

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from core.campus.frame import LocalFrame

# Drawn in this order.
KINDS = (
    "grounds", "lawn", "sports", "water", "plaza", "road", "walked", "path", "steps", "building", "tower", "tree",
    "photo", "place", "scale",
)  # fmt: skip
# Left out in this order where a campus is too large to send.
_LEFT_OUT_FIRST = ("tree", "lawn", "sports", "path")
_NAMED = ("building", "tower", "plaza", "water", "sports", "lawn", "scale", "place", "grounds")
# Lines by kind: a colour, and their width in pixels at zoom 14 and 20, which is the same width in metres.
_LINES = {
    "road_casing": ("road", "path_edge", 2.6, 56.0), "path_casing": ("path", "path_edge", 1.4, 27.0),
    "walked_line": ("walked", "path", 2.0, 46.0), "road_line": ("road", "road", 2.0, 48.0),
    "path_line": ("path", "path", 1.0, 20.0), "scale_line": ("scale", "scale", 1.5, 4.0),
}  # fmt: skip
_DOTS = {"tree": ("tree", 0.75, 0.5, 22.0), "photo": ("photo", 0.9, 1.8, 8.0)}  # colour, opacity, radius likewise
_HEAT_LAYER = {"id": "heat", "type": "raster", "source": "heat", "paint": {"raster-fade-duration": 0}}
_NAME_LAYER = {  # the page says of a name that its edge or a button would cut it
    "id": "names", "type": "symbol", "source": "names",
    "layout": {"icon-image": ["get", "image"], "symbol-sort-key": ["get", "rank"], "icon-padding": 2},
    "paint": {"icon-opacity": ["case", ["boolean", ["feature-state", "cut"], False], 0, 1]},
}  # fmt: skip
MAX_STYLE_BYTES = 150_000  # of the features; what lies on them is small
_WORLD_PX = 512  # MapLibre's and deck.gl's tile size: the world is this wide at zoom 0
_EQUATOR_M = 40_075_016.686
_NEAREST_ZOOM = 18.7  # what is around a place is seen, too: 55 m on a phone, 120 m on a desktop
_LETTER_PX, _LINE_PX = 7.4, 15.0  # of a bold 12-pixel sans serif, with a little air
MAX_LABELS = 40

LIGHT = {
    "ground": "#f2eee4", "lawn": "#c6e3aa", "sports": "#b0d89b", "water": "#9acbee", "plaza": "#e6dac0",
    "path": "#ffffff", "building": "#d2bfa9", "tower": "#b99f83", "tree": "#7fb069",
    "path_edge": "#b3a68f", "building_edge": "#6f5c47", "road": "#fbf3d9", "steps": "#a08f78",
    "grounds": "#e9e8d3", "grounds_edge": "#a3a077", "photo": "#5d7340", "scale": "#4a4238",
    "name": "#26211b", "water_name": "#0a4a78", "lawn_name": "#2a5718", "sports_name": "#2a5718",
}  # fmt: skip
DARK = {
    "ground": "#14181e", "lawn": "#1d3326", "sports": "#20402b", "water": "#17364d", "plaza": "#2b2a29",
    "path": "#3b424d", "building": "#46505f", "tower": "#5d6b80", "tree": "#2f5a3a",
    "path_edge": "#262c35", "building_edge": "#8b98ab", "road": "#4a4f58", "steps": "#8a93a1",
    "grounds": "#1c242b", "grounds_edge": "#566672", "photo": "#9cc083", "scale": "#c9cfd8",
    "name": "#eef0f4", "water_name": "#a3d3f7", "lawn_name": "#b9e0a3", "sports_name": "#b9e0a3",
}  # fmt: skip


@dataclass(frozen=True)
class Label:
    """A name on the map; `text` may hold a line break."""

    lat: float
    lon: float
    text: str
    kind: str = ""


@dataclass(frozen=True)
class Name:
    """A label that a map may show, and the room that it takes: its middle in local metres, half its size in pixels."""

    label: Label
    middle_m: tuple[float, float]
    half_px: tuple[float, float]


@dataclass(frozen=True)
class Picture:
    """A picture to lay on the map: its data URL, and (lon, lat) of its corners, clockwise from the upper left one."""

    url: str
    corners: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class View:
    """Where a map looks: degrees, and the zoom of MapLibre and deck.gl."""

    lat: float
    lon: float
    zoom: float


def style_url(
    campus_map: dict[str, Any], told: Sequence[Label] = (), heat: Picture | None = None, *, dark: bool
) -> str:
    """The basemap style of a GeoJSON FeatureCollection, as a data URL; unknown kinds are left out.

    Over it lies `heat`. Of the names `told`, each is drawn whole or not at all, at each zoom; where two would meet, the
    first stands.
    """
    style = _campus_style(campus_map, DARK if dark else LIGHT)
    if heat is not None:
        style["sources"]["heat"] = {"type": "image", "url": heat.url, "coordinates": heat.corners}
        style["layers"].append(_HEAT_LAYER)
    style["sources"]["names"] = _name_source(told, dark)
    style["layers"].append(_NAME_LAYER)
    text = json.dumps(style, separators=(",", ":"))
    return "data:application/json;base64," + base64.b64encode(text.encode()).decode()


def _campus_style(campus_map: dict[str, Any], colours: dict[str, str]) -> dict[str, Any]:
    """The style of the features alone, without those that make it too large."""
    kinds = list(KINDS)
    features = [_slim(feature) for feature in drawable(campus_map)]
    while True:
        source: dict[str, Any] = {
            "type": "geojson",
            "data": {"type": "FeatureCollection", "features": features},
        }
        if thanks := attribution(campus_map):
            source["attribution"] = thanks
        style = {"version": 8, "sources": {"campus": source}, "layers": _style_layers(colours)}
        dropped = next((kind for kind in _LEFT_OUT_FIRST if kind in kinds), None)
        if dropped is None or len(json.dumps(style, separators=(",", ":"))) <= MAX_STYLE_BYTES:
            return style
        kinds.remove(dropped)
        features = [feature for feature in features if feature["properties"]["kind"] in kinds]


def ink_of(label: Label, *, dark: bool) -> str:
    """The colour of a name, as printed maps have it: blue on water, green on lawns."""
    colours = DARK if dark else LIGHT
    return colours.get(f"{label.kind}_name", colours["name"])


def image_of(label: Label, *, dark: bool) -> str:
    """What the style calls the picture of a label: its colour, a space, its text."""
    return f"{ink_of(label, dark=dark)} {label.text}"


def _name_source(told: Sequence[Label], dark: bool) -> dict[str, Any]:
    points = [
        {
            "type": "Feature",
            "properties": {"image": image_of(label, dark=dark), "rank": rank},
            "geometry": {"type": "Point", "coordinates": [label.lon, label.lat]},
        }
        for rank, label in enumerate(told)
    ]
    return {"type": "geojson", "promoteId": "rank", "data": {"type": "FeatureCollection", "features": points}}


def attribution(campus_map: dict[str, Any]) -> str:
    """Whom to thank for the map, which its licence may ask to be shown beside it; "" where it does not say."""
    thanks = campus_map.get("attribution")
    return _plain(thanks) if isinstance(thanks, str) else ""


def _style_layers(colours: dict[str, str]) -> list[dict[str, Any]]:
    def of_kind(kind: str, *geometry: str) -> list[Any]:
        same = ["==", ["get", "kind"], kind]
        return ["all", same, ["match", ["geometry-type"], list(geometry), True, False]]

    areas, lines = ("Polygon", "MultiPolygon"), ("LineString", "MultiLineString")
    layers: list[dict[str, Any]] = []
    for kind in KINDS:
        layers += [_line_layer(name, of_kind(kind, *lines), colours) for name in _LINES if _LINES[name][0] == kind]
        if kind == "steps":
            layers.append(_steps_layer(of_kind(kind, *lines), colours))
        if kind == "path":  # below all of them, so that no edge crosses another path where they meet
            layers.append(_edge_layer("path_edge", of_kind(kind, *areas), colours, 1.6, 2.6))
        if kind not in _DOTS and kind in colours and kind != "scale":
            paint = {"fill-color": colours[kind]}
            layers.append(
                {"id": kind, "type": "fill", "source": "campus", "filter": of_kind(kind, *areas), "paint": paint}
            )
        if kind == "grounds":  # zones without a map of their own: borders alone tell them apart
            layers.append(_edge_layer("grounds_edge", of_kind(kind, *areas), colours, 1.0, 2.0))
    built = ["match", ["get", "kind"], ["building", "tower"], True, False]
    edges = _edge_layer("building_edge", built, colours, 0.6, 2.0)
    dots = [_dot_layer(kind, of_kind(kind, "Point", "MultiPoint"), colours) for kind in _DOTS]
    return [*layers, edges, *dots]


def _line_layer(name: str, matching: list[Any], colours: dict[str, str]) -> dict[str, Any]:
    _, colour, low, high = _LINES[name]
    widths = ["interpolate", ["exponential", 2], ["zoom"], 14, low, 20, high]
    return {
        "id": name, "type": "line", "source": "campus", "filter": matching,
        "layout": {"line-cap": "round", "line-join": "round"},
        "paint": {"line-color": colours[colour], "line-width": widths},
    }  # fmt: skip


def _edge_layer(colour: str, matching: list[Any], colours: dict[str, str], low: float, high: float) -> dict[str, Any]:
    """The outlines of areas, so many pixels wide at zoom 15 and 19."""
    paint = {"line-color": colours[colour], "line-width": ["interpolate", ["linear"], ["zoom"], 15, low, 19, high]}
    return {"id": colour, "type": "line", "source": "campus", "filter": matching, "paint": paint}


def _steps_layer(matching: list[Any], colours: dict[str, str]) -> dict[str, Any]:
    """Steps as their treads: short dashes across the way."""
    widths = ["interpolate", ["exponential", 2], ["zoom"], 14, 1.2, 20, 24.0]
    paint = {"line-color": colours["steps"], "line-width": widths, "line-dasharray": [0.25, 0.25]}
    return {"id": "steps_line", "type": "line", "source": "campus", "filter": matching, "paint": paint}


def _dot_layer(kind: str, matching: list[Any], colours: dict[str, str]) -> dict[str, Any]:
    colour, opacity, low, high = _DOTS[kind]
    radius = ["interpolate", ["exponential", 2], ["zoom"], 14, low, 20, high]
    paint = {"circle-color": colours[colour], "circle-opacity": opacity, "circle-radius": radius}
    return {"id": kind, "type": "circle", "source": "campus", "filter": matching, "paint": paint}


def drawable(campus_map: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The features that can be drawn: a known kind, and numeric coordinates. The file may be a stranger's."""
    features = campus_map.get("features")
    for feature in features if isinstance(features, list) else []:
        if not isinstance(feature, dict):
            continue
        geometry, properties = feature.get("geometry"), feature.get("properties")
        if not isinstance(geometry, dict) or not isinstance(properties, dict):
            continue
        known = isinstance(properties.get("kind"), str) and properties["kind"] in KINDS
        if known and isinstance(geometry.get("type"), str) and len(_points(geometry.get("coordinates"))):
            yield feature


def in_order(campus_map: dict[str, Any]) -> list[dict[str, Any]]:
    """The features that can be drawn, the lowest first."""
    return sorted(drawable(campus_map), key=lambda feature: KINDS.index(feature["properties"]["kind"]))


def _points(coordinates: Any) -> list[tuple[float, float]]:
    """All (lon, lat) of a GeoJSON coordinates array, however nested; none where one is no place on Earth."""
    if not isinstance(coordinates, list) or not coordinates:
        return []
    if not isinstance(coordinates[0], list):
        pair = coordinates[:2]
        numbers = len(pair) == 2 and all(
            isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) for value in pair
        )
        return [(pair[0], pair[1])] if numbers and abs(pair[0]) <= 180 and LEAST_LAT <= pair[1] <= MOST_LAT else []
    parts = [_points(part) for part in coordinates]
    return [point for part in parts for point in part] if all(parts) else []


def _slim(feature: dict[str, Any]) -> dict[str, Any]:
    """The feature with only what the style needs, at 0.1 m."""

    def rounded(coordinates: Any) -> Any:
        if isinstance(coordinates[0], list):
            return [rounded(part) for part in coordinates]
        return [round(value, 6) for value in coordinates[:2]]

    geometry = feature["geometry"]
    return {
        "type": "Feature",
        "properties": {"kind": feature["properties"]["kind"]},
        "geometry": {"type": geometry["type"], "coordinates": rounded(geometry["coordinates"])},
    }


def local_names(campus_map: dict[str, Any], lang: str) -> dict[str, str]:
    """What the map's named features are called in a language (`name:he`, `name:en`), by `name`, where it tells."""
    found = (feature["properties"] for feature in drawable(campus_map))
    pairs = ((told.get("name"), told.get(f"name:{lang}")) for told in found)
    return {
        name: _plain(local)
        for name, local in pairs
        if isinstance(name, str) and isinstance(local, str) and _plain(local)
    }


def names(
    campus_map: dict[str, Any], frame: LocalFrame, lang: str = "", called: Callable[[str], str] = str
) -> list[Name]:
    """The names of a GeoJSON FeatureCollection, the most telling features first: buildings and towers, by size.

    They are in the language `lang` where the map knows it, else as `called` says, by default as the place itself does.
    """
    local_name = local_names(campus_map, lang)
    found = []
    for feature in drawable(campus_map):
        name, kind = feature["properties"].get("name"), feature["properties"]["kind"]
        if kind not in _NAMED or not isinstance(name, str) or not name.strip():
            continue
        lon_lat = np.array(_points(feature["geometry"]["coordinates"]))
        local = frame.to_local(lon_lat[:, 1], lon_lat[:, 0])
        size = np.ptp(local, axis=0)
        found.append(
            (
                _NAMED.index(kind) > 1,
                -float(size.prod()),
                (local.min(0) + local.max(0)) / 2,
                local_name.get(name) or called(name),
                kind,
            )
        )
    out = []
    for _, _, middle, name, kind in sorted(found, key=lambda item: item[:2]):
        lines = [visual_order(line) for line in _wrapped(_plain(name))]
        lat, lon = frame.to_latlon(middle)
        label = Label(round(float(lat), 6), round(float(lon), 6), "\n".join(lines), kind)
        half_px = (max(len(line) for line in lines) * _LETTER_PX / 2, len(lines) * _LINE_PX / 2)
        out.append(Name(label, (float(middle[0]), float(middle[1])), half_px))
    return out


def labels(names: Sequence[Name], frame: LocalFrame, zoom: float) -> list[Label]:
    """Those of `names` that can stand on the map at a zoom without covering one another, the first ones first."""
    metres_per_px = _metres_per_px(frame, zoom)
    taken: list[tuple[float, float, float, float]] = []
    out: list[Label] = []
    for name in names:
        x, y = name.middle_m[0] / metres_per_px, name.middle_m[1] / metres_per_px
        half_w, half_h = name.half_px
        box = (x - half_w, x + half_w, y - half_h, y + half_h)
        covered = any(
            box[0] < other[1] and other[0] < box[1] and box[2] < other[3] and other[2] < box[3] for other in taken
        )
        if covered or len(out) >= MAX_LABELS:
            continue
        taken.append(box)
        out.append(name.label)
    return out


def fitted_view(local_m: ArrayLike, frame: LocalFrame, width_px: float, height_px: float) -> View:
    """The view in which (N, 2) local metres fill a map of that many pixels, never nearer than _NEAREST_ZOOM."""
    points = np.asarray(local_m, np.float64).reshape(-1, 2)
    low, high = points.min(axis=0), points.max(axis=0)
    width_m, height_m = np.maximum(high - low, 1.0)
    metres_per_px = max(width_m / width_px, height_m / height_px)
    lat, lon = frame.to_latlon((low + high) / 2)
    zoom = math.log2(_EQUATOR_M * math.cos(math.radians(lat)) / (_WORLD_PX * metres_per_px))
    return View(float(lat), float(lon), round(min(_NEAREST_ZOOM, max(1.0, zoom)), 2))


def _metres_per_px(frame: LocalFrame, zoom: float) -> float:
    lat = float(frame.to_latlon(np.zeros(2))[0])
    return _EQUATOR_M * math.cos(math.radians(lat)) / (_WORLD_PX * 2**zoom)


def _plain(text: str) -> str:
    """One line without control characters, and without the marks that turn text into HTML."""
    kept = "".join(char for char in text if unicodedata.category(char)[0] != "C" and char not in "<>&")
    return " ".join(kept.split())[:60]


def _wrapped(text: str, width: int = 13) -> list[str]:
    """A long name on two lines, broken at the space nearest its middle."""
    spaces = [index for index, char in enumerate(text) if char == " "]
    if len(text) <= width or not spaces:
        return [text]
    middle = min(spaces, key=lambda index: abs(index - len(text) / 2))
    return [text[:middle], text[middle + 1 :]]


def visual_order(text: str) -> str:
    """A line as its letters stand from left to right, for a text layer that knows no right-to-left script.

    Enough of the Unicode bidirectional algorithm for names: a line with right-to-left letters is turned
    round, and runs of left-to-right letters and digits within it turned back.
    """

    def rtl(char: str) -> bool:
        return unicodedata.bidirectional(char) in ("R", "AL")

    def ltr(char: str) -> bool:
        return unicodedata.bidirectional(char) in ("L", "EN", "AN")

    if not any(map(rtl, text)):
        return text
    out: list[str] = []
    run: list[str] = []
    for char in reversed(text):
        if ltr(char) or (run and not rtl(char) and char != " "):
            run.append(char)
        else:
            out += [*reversed(run), char]
            run = []
    return "".join([*out, *reversed(run)])
