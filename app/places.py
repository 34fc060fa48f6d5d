"""What the app calls places: zones of one name are one, and places of one name are told apart by where they lie."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from core.campus.basemap import local_names
from core.campus.frame import distance_m
from core.locate.confidence import confidence, places_to_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from app.map.deck import Place
    from app.texts import Texts
    from core.campus.bundle import Bundle
    from core.locate.fix import Candidate, Fix

THIN_WITHIN_M = 30.0  # about as far as one looks around
THIN_PHOTOS = 12  # fewer training photos than this so near cannot show a place from its sides
OUTSIDE_M = 200.0  # a position further than this beyond the grid was not taken on the campus, whatever GPS errs by


@lru_cache(maxsize=8)
def map_names(bundle: Bundle, lang: str) -> Mapping[str, str]:
    """What the campus's map calls its places in a language, by their own names; every run of the page asks."""
    return local_names(bundle.campus_map, lang)


def named_zones(fix: Fix) -> list[tuple[str, float]]:
    """(name, probability) of the zones, likeliest first; zones of one name are one to whoever reads it."""
    odds: dict[str, float] = {}
    for zone in fix.zones:
        odds[zone.name] = odds.get(zone.name, 0.0) + zone.probability
    return sorted(odds.items(), key=lambda item: -item[1])


def place_name(fix: Fix) -> tuple[str, float]:
    """The name of the likeliest zone and the probability of all zones of that name.

    The fix lies in that one zone, so its name stands even where zones of another name hold more together.
    """
    return fix.zone.name, dict(named_zones(fix))[fix.zone.name]


def candidate_names(fix: Fix, bundle: Bundle, texts: Texts) -> list[tuple[str, Candidate]]:
    """(name, place) of the places worth naming beside the fix.

    A name that also stands at another place of the answer says how far and in which direction of the fix it lies.
    """
    found = places_to_name(fix)
    if not found:
        return []
    frame, zones = bundle.manifest.frame, bundle.zones
    local_m = frame.to_local([place.lat for place in found], [place.lon for place in found])
    names = (
        [texts.zone_name(zones[zone].name) for zone in zones.assign(local_m)]
        if len(zones)
        else [bundle.manifest.name] * len(found)
    )
    taken = [*names, *([] if confidence(fix) == "split" else [texts.zone_name(fix.zone.name)])]
    here = frame.to_local(fix.lat, fix.lon)
    out = []
    for name, place, at in zip(names, found, local_m, strict=True):
        if taken.count(name) > 1:
            east, north = at - here
            name = texts.say(
                "place_beside",
                name=name,
                distance=texts.distance(float(np.hypot(east, north))),
                direction=texts.direction(float(np.degrees(np.arctan2(east, north)))),
            )
        out.append((name, place))
    return out


def thin(fix: Fix, bundle: Bundle) -> bool:
    """Whether so few training photos stand around the fix that the campus, not the photographer, may be at fault."""
    if bundle.gallery is None:
        return False
    away_m = np.hypot(*(bundle.gallery.local_m - bundle.manifest.frame.to_local(fix.lat, fix.lon)).T)
    return int(np.count_nonzero(away_m <= THIN_WITHIN_M)) < THIN_PHOTOS


def near_campus(place: Place, bundle: Bundle) -> bool:
    """Whether a position lies on the campus's grid or within OUTSIDE_M of it."""
    manifest = bundle.manifest
    grid, frame = manifest.grid, manifest.frame
    middle = np.array([(grid.west_m + grid.east_m[-1]) / 2, (grid.south_m + grid.north_m[-1]) / 2])
    half = np.array([grid.east_m[-1] - grid.west_m, grid.north_m[-1] - grid.south_m]) / 2
    lat, lon = frame.to_latlon(middle)
    # In a far place the frame's own metres mean nothing, so it is judged on the globe first.
    if float(distance_m(float(lat), float(lon), place.lat, place.lon)) > 2 * float(np.hypot(*half)) + 2 * OUTSIDE_M:
        return False
    return bool(np.all(np.abs(frame.to_local(place.lat, place.lon) - middle) <= half + OUTSIDE_M))
