"""A Fix and a bundle -> a pydeck Deck that draws without internet; no Streamlit here.

Everything is placed in the campus's own metres and then turned into degrees, so circles and dashes are true.
Nothing is told by colour alone: 68 % is a solid circle and 95 % a dashed one, candidates carry numbers, the
truth is a ring with a cross.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from app.language import LANGUAGES
from app.map.drawn import NOTHING_MORE, Shown, numbered_places, photos_m, radii_m, view_cone
from app.map.heat import coverage_heat, fix_heat
from app.map.shapes import (
    DARK,
    LIGHT,
    NUMBER_EDGE_PX,
    NUMBER_PX,
    Theme,
    cone_m,
    dashes,
    dots,
    layer,
    lonlat,
    path_layer,
    pydeck_module,
    ring_m,
    rounded,
    text,
    text_layer,
    unseen_layers,
)
from app.texts import Texts
from core.campus.basemap import Label, Name, Picture, View, fitted_view, local_names, names, style_url
from core.campus.walked import own_or_walked_map
from core.locate.confidence import confidence

if TYPE_CHECKING:
    import pydeck
    from numpy.typing import NDArray

    from core.campus.bundle import Bundle
    from core.locate.fix import Fix

    Float = NDArray[np.float64]
    Colour = tuple[int, int, int]

Shape = Literal["dot", "circle", "dashed", "area", "outline", "heat", "number", "cross", "line", "cone"]

_MOST_NAMES = 300
_TRACK_LENGTH = 200
_MARGIN_PX = 10  # of the room, kept free on each side
_TILE_PX = 512  # the width of the world at zoom 0
_CAMPUSES = 4  # whose outlines, names and styles are kept; the app keeps as many open


@dataclass(frozen=True)
class Place:
    """A position in degrees, and where it is known to be uncertain, by how many metres."""

    lat: float
    lon: float
    error_m: float | None = None


@dataclass(frozen=True)
class Room:
    """Pixels of a map that a first view fits, a phone's until the page has told: its head and controls cover the rest.

    `top_px` are covered above, and `right_px` beside it.
    """

    width_px: float = 336
    height_px: float = 414
    top_px: float = 100
    right_px: float = 54


def campus_deck(
    bundle: Bundle,
    fix: Fix | None = None,
    *,
    truth: Place | None = None,
    track: Sequence[Sequence[Place]] = (),
    shown: Shown = NOTHING_MORE,
    view: View | None = None,
    recentred: int = 0,
    lang: str = "",
    dark: bool = False,
) -> pydeck.Deck:
    """The campus, and on it a fix with its circles, probability and candidates.

    `truth` is where the photo says it was taken; `track` the earlier places of a session, oldest first, those of each
    walk by themselves; `shown` what is drawn beside them; `view` where the map looks at first, by default where all of
    it is seen; another number in `recentred` takes the page back there. Without a fix, or with one that is not of this
    campus, the whole campus is shown. Raises MissingDependency where pydeck is not installed.
    """
    theme = DARK if dark else LIGHT
    if fix is not None and fix.refused:
        fix = None
    view = view or view_of(bundle, fix, truth, shown=shown)
    layers = [_zone_layer(bundle, fix, theme, lang)] if shown.zones else []
    if shown.photos:
        layers.append(_photo_layer(bundle, theme))
    heat = fix_heat(bundle, fix, shown, dark=dark)
    if track:
        layers += _track_layers(track, theme)
    if fix is not None:
        layers += _fix_layers(bundle, fix, shown, theme)
        if truth is not None:
            layers += _truth_layers(bundle, fix, truth, theme)
    else:
        layers += unseen_layers(rounded([view.lon, view.lat]))
    return _deck(view, layers, _style(bundle, lang, dark, heat), recentred)


def coverage_deck(
    bundle: Bundle,
    *,
    shown: Shown = NOTHING_MORE,
    view: View | None = None,
    recentred: int = 0,
    lang: str = "",
    dark: bool = False,
) -> pydeck.Deck:
    """The campus, and where its training photos stand thick or thin."""
    theme = DARK if dark else LIGHT
    view = view or view_of(bundle)
    layers = [_zone_layer(bundle, None, theme, lang)] if shown.zones else []
    if shown.photos:
        layers.append(_photo_layer(bundle, theme))
    return _deck(view, layers, _style(bundle, lang, dark, coverage_heat(bundle, dark=dark)), recentred)


def view_of(
    bundle: Bundle,
    fix: Fix | None = None,
    truth: Place | None = None,
    room: Room = Room(),
    shown: Shown = NOTHING_MORE,
) -> View:
    """Where a map of a fix looks at first, or of the whole campus without one."""
    sides = room.width_px - 2 * _MARGIN_PX, room.height_px - 2 * _MARGIN_PX
    seen = fitted_view(_in_view(bundle, fix, truth, shown), bundle.manifest.frame, *sides)
    # The middle of the map lies above that of the room, and right of it, by half of what is covered there.
    lon_per_px = 360 / (_TILE_PX * 2**seen.zoom)
    lat_per_px = lon_per_px * math.cos(math.radians(seen.lat))
    return replace(seen, lat=seen.lat + room.top_px / 2 * lat_per_px, lon=seen.lon + room.right_px / 2 * lon_per_px)


def _in_view(bundle: Bundle, fix: Fix | None, truth: Place | None, shown: Shown) -> Float:
    """(N, 2) local metres of what a first view must show."""
    frame, grid = bundle.manifest.frame, bundle.manifest.grid
    edges = np.array([[grid.west_m, grid.south_m], [grid.east_m[-1], grid.north_m[-1]]])
    if fix is None:
        return edges
    at = frame.to_local(fix.lat, fix.lon)
    radius68_m, radius95_m = radii_m(fix)
    # Of a wide answer the dashed circle is all that says how far away it may be.
    most_m = radius95_m if confidence(fix) == "wide" else 82.0
    reach = max(1.25 * radius68_m, 1.1 * min(radius95_m, most_m), 25.0)
    points = [at - reach, at + reach]
    if (cone := view_cone(fix)) is not None:
        points += list(cone_m(at, *cone))
    places = [Place(candidate.lat, candidate.lon) for candidate in numbered_places(fix, shown)]
    points += [frame.to_local(place.lat, place.lon) + pad for place in places for pad in (-12.0, 12.0)]
    if truth is not None:
        there = frame.to_local(truth.lat, truth.lon)
        if np.hypot(*(there - at)) < 2_000.0:  # a truth in another town would shrink the campus to a dot
            points += [there - 8.0, there + 8.0]
    return np.array(points)


def _deck(view: View, layers: list[pydeck.Layer], style: str, recentred: int) -> pydeck.Deck:
    pdk = pydeck_module()
    from app.map.compact_deck import CompactDeck  # a pydeck class, so not before pydeck is known to be there

    return CompactDeck(
        layers=layers,
        # North stays up. The page looks anew at what of the first view differs from the one before, by however little.
        views=[pdk.View("MapView", controller={"dragRotate": False, "touchRotate": False})],
        initial_view_state=pdk.ViewState(
            latitude=view.lat + 1e-9 * recentred,
            longitude=view.lon + 1e-9 * recentred,
            zoom=view.zoom + 1e-7 * recentred,
            min_zoom=13,
            max_zoom=21,
        ),
        # Without a provider and with the style in a data URL, nothing is asked of the network.
        map_provider=None,
        map_style=style,
        tooltip={"text": "{name}"},
    )


# What every map of a campus shows, whatever the fix, is made once: for each photo anew it is most of a map's work.
@lru_cache(maxsize=_CAMPUSES)
def outlines_of(bundle: Bundle) -> list[tuple[int, list[list[float]]]]:
    """Each zone that has an outline, by its index, and the outline's (lon, lat) corners."""
    drawn = [(index, zone) for index, zone in enumerate(bundle.manifest.zones) if len(zone.outline_m) >= 3]
    # All corners turned into degrees at once: a call for each zone costs far more.
    corners = iter(lonlat(bundle, [corner for _, zone in drawn for corner in zone.outline_m]) if drawn else [])
    return [(index, list(islice(corners, len(zone.outline_m)))) for index, zone in drawn]


@lru_cache(maxsize=2 * _CAMPUSES)
def campus_map_of(bundle: Bundle, *, scale: bool) -> dict[str, Any]:
    """The bundle's own map, or one of its training photos; `scale`: with a bar, where the page has none beside it."""
    return own_or_walked_map(bundle, scale=scale)


def _zone_names(bundle: Bundle, lang: str) -> Callable[[str], str]:
    """What the page calls a zone in a language: without a map of its own, zones are what a campus's map names."""
    known = next((one for one in LANGUAGES if one == lang), None)
    return str if known is None else Texts(known, local_names(bundle.campus_map, lang)).zone_name


@lru_cache(maxsize=4 * _CAMPUSES)
def names_of(bundle: Bundle, lang: str = "", *, scale: bool = False) -> list[Name]:
    return names(campus_map_of(bundle, scale=scale), bundle.manifest.frame, lang, _zone_names(bundle, lang))


@lru_cache(maxsize=2 * _CAMPUSES)
def labels_of(bundle: Bundle, lang: str) -> list[Label]:
    """The names that a map may show, the most telling first."""
    return [name.label for name in names_of(bundle, lang)[:_MOST_NAMES]]


@lru_cache(maxsize=2 * _CAMPUSES)
def _style(bundle: Bundle, lang: str, dark: bool, heat: Picture | None) -> str:
    return style_url(campus_map_of(bundle, scale=False), labels_of(bundle, lang), heat, dark=dark)


def _zone_layer(bundle: Bundle, fix: Fix | None, theme: Theme, lang: str) -> pydeck.Layer:
    answer, called = -1 if fix is None else fix.zone.id, _zone_names(bundle, lang)
    rows = [
        {
            "name": called(bundle.manifest.zones[index].name),
            "outline": outline,
            "fill": [*theme.zone, 52 if index == answer else 0],
            "line": [*theme.zone, 230 if index == answer else 60],
            "width": 3 if index == answer else 1,
        }
        for index, outline in outlines_of(bundle)
    ]
    rows.sort(key=lambda row: row["width"])  # the answer's outline over its neighbours'
    return layer(
        "PolygonLayer", "zones", rows, get_polygon="outline", get_fill_color="fill", get_line_color="line",
        get_line_width="width", line_width_units=text("pixels"), stroked=True, filled=True, pickable=True,
    )  # fmt: skip


def _photo_layer(bundle: Bundle, theme: Theme) -> pydeck.Layer:
    rows = [{"at": at} for at in lonlat(bundle, photos_m(bundle))]
    return dots("photos", rows, 2.5, [*theme.track, 190], [*theme.halo, 200], 1)


def _fix_layers(bundle: Bundle, fix: Fix, shown: Shown, theme: Theme) -> list[pydeck.Layer]:
    at = bundle.manifest.frame.to_local(fix.lat, fix.lon)
    radius68_m, radius95_m = radii_m(fix)
    here = [{"at": rounded([fix.lon, fix.lat])}]
    layers = []
    if (cone := view_cone(fix)) is not None:
        sector = [{"outline": lonlat(bundle, cone_m(at, *cone)), "name": ""}]
        layers.append(
            layer(
                "PolygonLayer", "heading", sector, get_polygon="outline", get_fill_color=[*theme.fix, 90], stroked=False
            )
        )
    layers.append(path_layer("radius95", dashes(bundle, ring_m(at, radius95_m)), [*theme.fix, 210], 2))
    if confidence(fix) != "split":  # between look-alikes the median is a place where nobody stands
        layers += [
            # The only circle in metres; all other dots keep their size on the screen.
            dots("radius68", here, round(radius68_m, 2), [*theme.fix, 26], [*theme.fix, 255], 3, units="meters"),
            dots("fix", here, 8, [*theme.fix, 255], [*theme.halo, 255], 3),
        ]
    if others := numbered_places(fix, shown):
        rows = [
            {"at": rounded([candidate.lon, candidate.lat]), "text": str(number)}
            for number, candidate in enumerate(others, start=1)
        ]
        layers += [
            dots("candidates", rows, NUMBER_PX, [*theme.candidate, 255], [*theme.halo, 255], NUMBER_EDGE_PX),
            text_layer("candidate_numbers", rows, size=14, colour=[*theme.halo, 255]),
        ]
    return layers


def _truth_layers(bundle: Bundle, fix: Fix, truth: Place, theme: Theme) -> list[pydeck.Layer]:
    frame = bundle.manifest.frame
    there, at = frame.to_local(truth.lat, truth.lon), frame.to_local(fix.lat, fix.lon)
    rows = [{"at": rounded([truth.lon, truth.lat]), "text": "+"}]
    layers = [path_layer("error", dashes(bundle, np.stack([at, there])), [*theme.truth, 255], 3)]
    if truth.error_m:
        ring = lonlat(bundle, ring_m(there, truth.error_m))
        layers.append(path_layer("truth_error", [{"path": ring}], [*theme.truth, 200], 1))
    return [
        *layers,
        dots("truth", rows, 9, [*theme.halo, 255], [*theme.truth, 255], 3),
        text_layer("truth_cross", rows, size=20, colour=[*theme.truth, 255]),
    ]


def _track_layers(track: Sequence[Sequence[Place]], theme: Theme) -> list[pydeck.Layer]:
    """A dot for each of the newest places, and a line through those of each walk."""
    paths = [[rounded([place.lon, place.lat]) for place in walk] for walk in newest(track)]
    rows = [{"at": at} for path in paths for at in path]
    layers = [dots("track", rows, 4, [*theme.track, 200], [*theme.halo, 200], 1)]
    if lines := [{"path": path} for path in paths if len(path) > 1]:
        layers.insert(0, path_layer("track_line", lines, [*theme.track, 140], 2))
    return layers


def newest(track: Sequence[Sequence[Place]]) -> list[list[Place]]:
    """The end of a track, as much as the map draws; each walk by itself."""
    left, found = _TRACK_LENGTH, []
    for walk in reversed(track):
        found.append(list(walk[max(0, len(walk) - left) :]))
        left -= len(found[-1])
    return [walk for walk in reversed(found) if walk]
