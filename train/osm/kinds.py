"""OpenStreetMap's tags -> the kinds that a campus map draws, their names and heights."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

Shape = Literal["point", "line", "area"]

# A shape that carries none of these is drawn by no rule below.
KEYS = (
    "amenity", "building", "highway", "historic", "landuse", "leisure", "man_made", "natural", "place", "railway",
    "tourism", "water", "waterway",
)  # fmt: skip
_TOWERS = {"tower", "water_tower", "bell_tower", "chimney", "communications_tower"}
_WATER = {"natural": {"water"}, "waterway": {"riverbank", "dock"}, "leisure": {"swimming_pool"},
          "amenity": {"fountain"}, "landuse": {"reservoir", "basin"}}  # fmt: skip
_SPORTS = {"leisure": {"pitch", "track", "sports_centre", "stadium", "playground"}}
_LAWN = {"landuse": {"grass", "meadow", "village_green", "recreation_ground", "flowerbed", "forest", "orchard"},
         "leisure": {"park", "garden", "common", "dog_park"},
         "natural": {"grassland", "scrub", "wood", "heath", "shrubbery"}}  # fmt: skip
_PLAZA = {"highway": {"pedestrian", "footway", "path", "service", "living_street"}, "place": {"square"},
          "amenity": {"parking", "marketplace", "bicycle_parking"}, "man_made": {"bridge", "pier"}}  # fmt: skip
_PATHS = {"footway", "path", "pedestrian", "cycleway", "track", "bridleway", "living_street", "service", "crossing"}
_ROADS = {"motorway", "trunk", "primary", "secondary", "tertiary", "residential", "unclassified"}
_PLACES = {"amenity", "tourism", "historic"}
_STOPS = {"highway": {"bus_stop"}, "railway": {"station", "halt", "tram_stop", "subway_entrance"}}
_NO = {"", "no", "proposed", "construction", "razed", "demolished"}
_LEVEL_M = 3.2  # a storey of a public building
_HEIGHT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(m|ft|')?")


def kind_of(tags: Mapping[str, str], shape: Shape) -> str | None:
    """The kind of a tagged shape, or None where a campus map does not show it.

    A file whose features already carry a `kind` (this project's own maps) keeps it.
    """
    if tags.get("kind"):
        return tags["kind"]
    if tags.get("indoor", "no") != "no" or tags.get("location") == "underground":
        return None
    return {"area": _area, "line": _line, "point": _point}[shape](tags)


def _area(tags: Mapping[str, str]) -> str | None:
    if tags.get("man_made") in _TOWERS or tags.get("building") in _TOWERS:
        return "tower"
    if tags.get("building", "no") not in _NO:
        return "building"
    if tags.get("highway") == "steps":
        return "steps"
    # A ring of highway is a way round something unless it says that it is an area; a multipolygon says so by being one.
    if "highway" in tags and tags.get("area") != "yes" and tags.get("type") != "multipolygon":
        return None
    for kind, rule in (("water", _WATER), ("sports", _SPORTS), ("plaza", _PLAZA), ("lawn", _LAWN)):
        if any(tags.get(key) in values for key, values in rule.items()):
            return kind
    return None


def _line(tags: Mapping[str, str]) -> str | None:
    highway = tags.get("highway")
    if tags.get("area") == "yes":
        return None
    if highway == "steps":
        return "steps"
    if highway in _PATHS:
        return "path"
    if highway and highway.removesuffix("_link") in _ROADS:
        return "road"
    if tags.get("waterway") in ("stream", "river", "canal", "ditch", "drain"):
        return "water"
    return "tree" if tags.get("natural") == "tree_row" else None


def _point(tags: Mapping[str, str]) -> str | None:
    if tags.get("natural") == "tree":
        return "tree"
    if tags.get("man_made") in _TOWERS:
        return "tower"
    if tags.get("amenity") == "fountain":
        return "water"
    stop = any(tags.get(key) in values for key, values in _STOPS.items())
    return "place" if (stop or _PLACES & tags.keys()) and names_of(tags) else None


def names_of(tags: Mapping[str, str]) -> dict[str, str]:
    """`name` in the local script, and what else is known of `name:en` and `name:he`; empty where it has no name.

    A building that has only a number, as on many campuses, is named by it.
    """
    names = {key: tags[key].strip() for key in ("name", "name:en", "name:he") if tags.get(key, "").strip()}
    if names and "name" not in names:
        names = {"name": next(iter(names.values())), **names}
    if not names and tags.get("building", "no") not in _NO and tags.get("ref", "").strip():
        names = {"name": f"Building {tags['ref'].strip()}"}
    return names


def height_m(tags: Mapping[str, str]) -> float | None:
    """How tall a building is, by its `height` or its storeys; None where neither says."""
    if "height_m" in tags:  # this project's own maps
        found = _HEIGHT.match(tags["height_m"])
        return float(found[1]) if found else None
    if found := _HEIGHT.match(tags.get("height", "")):
        return round(float(found[1]) * (0.3048 if found[2] in ("ft", "'") else 1.0), 1)
    if found := _HEIGHT.match(tags.get("building:levels", "")):
        return round(float(found[1]) * _LEVEL_M, 1)
    return None
