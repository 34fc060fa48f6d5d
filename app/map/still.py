"""The map as a still picture: there at once while deck.gl's code loads, and for good in a browser without WebGL."""

from __future__ import annotations

from functools import lru_cache
from html import escape
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np

from app.map.deck import Place, Room, campus_map_of, names_of, newest, outlines_of, view_of
from app.map.drawn import NOTHING_MORE, Shown, numbered_places, photos_m, radii_m, view_cone
from app.map.heat import coverage_heat, fix_heat
from app.map.shapes import DARK, LIGHT, Theme, cone_m, css
from core.campus import basemap
from core.locate.confidence import confidence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from core.campus.basemap import Label, Name, Picture, View
    from core.campus.bundle import Bundle
    from core.locate.fix import Fix

    At = Callable[[float, float], tuple[float, float]]

WIDTH_PX, HEIGHT_PX = 1600, 1200  # as large as a screen's map; the page shows its middle
_LETTERS = "font-family='system-ui,sans-serif' font-weight='700' font-size='12' text-anchor='middle'"
_AS_THEY_STAND = "style='direction:ltr;unicode-bidi:bidi-override'"  # letters of names come from left to right
_EQUATOR_M, _TILE_PX = 40_075_016.686, 512


def still_map(
    bundle: Bundle,
    fix: Fix | None = None,
    *,
    truth: Place | None = None,
    track: Sequence[Sequence[Place]] = (),
    shown: Shown = NOTHING_MORE,
    coverage: bool = False,
    view: View | None = None,
    room: Room | None = None,
    lang: str = "",
    dark: bool = False,
) -> str:
    """The map that `campus_deck`, or `coverage_deck`, draws at first, as an SVG in a data URL, at the same scale.

    With `room` the names that the map's edge would cut there are left out.
    """
    if fix is not None and fix.refused:
        fix = None
    view = view or view_of(bundle, fix, truth, shown=shown)
    frame = bundle.manifest.frame
    px_per_m = px_per_metre(view)
    middle = frame.to_local(view.lat, view.lon)

    def at(lat: float, lon: float) -> tuple[float, float]:
        east, north = frame.to_local(lat, lon) - middle
        return round(WIDTH_PX / 2 + east * px_per_m, 1), round(HEIGHT_PX / 2 - north * px_per_m, 1)

    colours, theme = (basemap.DARK, DARK) if dark else (basemap.LIGHT, LIGHT)
    turned = f"scale({px_per_m:.5f}) translate({-middle[0]:.2f} {middle[1]:.2f})"
    heat = coverage_heat(bundle, dark=dark) if coverage else fix_heat(bundle, fix, shown, dark=dark)
    parts = [] if heat is None else [_heat(heat, at)]
    whole = [name for name in names_of(bundle, lang) if room is None or _is_whole(name, middle, px_per_m, room)]
    parts += _names(basemap.labels(whole, frame, view.zoom), at, theme, dark=dark)
    if shown.zones:
        parts += _zones(bundle, fix, at, theme)
    if shown.photos:
        parts.append(_photos(bundle, at, theme))
    parts += _track(track, at, theme)
    if fix is not None:
        parts += _answer(fix, shown, at, px_per_m, theme)
        if (cone := view_cone(fix)) is not None:
            outline = frame.to_latlon(cone_m(frame.to_local(fix.lat, fix.lon), *cone))
            points = _joined(at(lat, lon) for lat, lon in outline)
            parts.append(f"<polygon points='{points}' fill='{css(theme.fix)}' fill-opacity='.35'/>")
        if truth is not None:
            parts += _truth(at(fix.lat, fix.lon), at(truth.lat, truth.lon), theme)
    head = f"<svg xmlns='http://www.w3.org/2000/svg' width='{WIDTH_PX}' height='{HEIGHT_PX}' {_LETTERS}>"
    head += f"<rect width='100%' height='100%' fill='{colours['ground']}'/>"
    head += f"<g transform='translate({WIDTH_PX // 2} {HEIGHT_PX // 2}) {turned}'>"
    return f"data:image/svg+xml,{_quoted(head)}{_ground(bundle, dark)}{_quoted('</g>' + ''.join(parts) + '</svg>')}"


def _joined(points: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x},{y}" for x, y in points)


def _names(told: Sequence[Label], at: At, theme: Theme, *, dark: bool) -> list[str]:
    parts = []
    style = f"{_AS_THEY_STAND} stroke='{css(theme.halo)}' stroke-width='3' paint-order='stroke'"
    for label in told:
        (x, y), ink = at(label.lat, label.lon), basemap.ink_of(label, dark=dark)
        lines = label.text.split("\n")
        top = y + 4 - 6.5 * (len(lines) - 1)  # of the first line's foot: the lines stand about the place
        for row, line in enumerate(lines):
            parts.append(f"<text x='{x}' y='{top + 13 * row:.1f}' fill='{ink}' {style}>{escape(line)}</text>")
    return parts


def _heat(heat: Picture, at: At) -> str:
    """A picture whose sides run along the campus's own axes, as this map's do."""
    (west, north), _, (east, south), _ = (at(lat, lon) for lon, lat in heat.corners)
    size = f"width='{east - west:.1f}' height='{south - north:.1f}' preserveAspectRatio='none'"
    return f"<image href='{heat.url}' x='{west}' y='{north}' {size}/>"


def _zones(bundle: Bundle, fix: Fix | None, at: At, theme: Theme) -> list[str]:
    """The zones' outlines; the answer's is filled, and drawn over its neighbours'."""
    answer = -1 if fix is None else fix.zone.id
    parts = []
    for index, outline in sorted(outlines_of(bundle), key=lambda zone: zone[0] == answer):
        look = "fill-opacity='.2' stroke-width='3'" if index == answer else "fill-opacity='0' stroke-opacity='.24'"
        colour, points = css(theme.zone), _joined(at(lat, lon) for lon, lat in outline)
        parts.append(f"<polygon points='{points}' fill='{colour}' stroke='{colour}' {look}/>")
    return parts


def _photos(bundle: Bundle, at: At, theme: Theme) -> str:
    """A dot for each training photo: lines of no length with round ends."""
    places = bundle.manifest.frame.to_latlon(photos_m(bundle).astype(np.float64))
    path = "".join(f"M{x} {y}h0" for x, y in (at(lat, lon) for lat, lon in places))
    return (
        f"<path d='{path}' stroke='{css(theme.track)}' stroke-opacity='.75' stroke-width='5' stroke-linecap='round'/>"
    )


def _track(track: Sequence[Sequence[Place]], at: At, theme: Theme) -> list[str]:
    """The earlier places, and a line through those of each walk."""
    colour, parts = css(theme.track), []
    for walk in newest(track):
        points = [at(place.lat, place.lon) for place in walk]
        line = f"fill='none' stroke='{colour}' stroke-opacity='.55' stroke-width='2'"
        parts.append(f"<polyline points='{_joined(points)}' {line}/>")
        parts += [f"<circle cx='{x}' cy='{y}' r='4' fill='{colour}' stroke='{css(theme.halo)}'/>" for x, y in points]
    return parts


def _is_whole(name: Name, middle_m: NDArray[np.float64], px_per_m: float, room: Room) -> bool:
    """Whether a name stands within the map, whose middle is at (east, north)."""
    away_px = np.abs(np.subtract(name.middle_m, middle_m)) * px_per_m + name.half_px
    return bool((2 * away_px <= (room.width_px + room.right_px, room.height_px + room.top_px)).all())


def _quoted(svg: str) -> str:
    return quote(svg, safe="/ ='<>:;.,()-")


@lru_cache(maxsize=4)
def _ground(bundle: Bundle, dark: bool) -> str:
    """What lies on the campus, drawn in metres east and south of its origin; the same for every view."""
    colours, frame = basemap.DARK if dark else basemap.LIGHT, bundle.manifest.frame

    def at(lat: float, lon: float) -> tuple[float, float]:
        east, north = frame.to_local(lat, lon)
        return round(float(east), 1), round(-float(north), 1)

    features = basemap.in_order(campus_map_of(bundle, scale=False))
    return _quoted("".join(_drawn(feature, at, colours) for feature in features))


def px_per_metre(view: View) -> float:
    """The scale of a map of this view, in pixels of the page."""
    return _TILE_PX * 2**view.zoom / (_EQUATOR_M * float(np.cos(np.radians(view.lat))))


def _drawn(feature: dict[str, Any], at: At, colours: dict[str, str]) -> str:
    """One feature of the map: an area, a line or a dot."""
    kind, geometry = feature["properties"]["kind"], feature["geometry"]
    colour = colours.get(kind, colours["path"])
    shape, coordinates = geometry["type"], geometry["coordinates"]
    if shape == "Point":
        x, y = at(coordinates[1], coordinates[0])
        return f"<circle cx='{x}' cy='{y}' r='2.2' fill='{colour}' opacity='.75'/>"
    lines = {"LineString": [coordinates], "MultiLineString": coordinates, "Polygon": coordinates}.get(shape)
    if lines is None:
        lines = [ring for polygon in coordinates for ring in polygon] if shape == "MultiPolygon" else []
    closed = "Polygon" in shape
    path = "".join(
        "M" + "L".join(f"{x} {y}" for x, y in (at(point[1], point[0]) for point in line)) + ("Z" if closed else "")
        for line in lines
    )
    if not closed:
        return f"<path d='{path}' fill='none' stroke='{colour}' stroke-width='2.5'/>"
    edged = {"building": "building_edge", "tower": "building_edge", "grounds": "grounds_edge"}.get(kind)
    edge = "" if edged is None else f" stroke='{colours[edged]}' vector-effect='non-scaling-stroke'"
    return f"<path d='{path}' fill='{colour}' fill-rule='evenodd'{edge}/>"


def _answer(fix: Fix, shown: Shown, at: At, px_per_m: float, theme: Theme) -> list[str]:
    """The dashed circle, disc and dot where there is one place, and the numbered places where there are several."""
    blue, red, halo = css(theme.fix), css(theme.candidate), css(theme.halo)
    x, y = at(fix.lat, fix.lon)
    inner, outer = (round(radius_m * px_per_m, 1) for radius_m in radii_m(fix))
    middle = f"<circle cx='{x}' cy='{y}'"
    parts = [f"{middle} r='{outer}' fill='none' stroke='{blue}' stroke-dasharray='8 8'/>"]
    if confidence(fix) != "split":
        parts += [
            f"{middle} r='{inner}' fill='{blue}' fill-opacity='.14' stroke='{blue}' stroke-width='2'/>",
            f"{middle} r='8' fill='{blue}' stroke='{halo}' stroke-width='3'/>",
        ]
    for number, place in enumerate(numbered_places(fix, shown), start=1):
        x, y = at(place.lat, place.lon)
        parts.append(
            f"<circle cx='{x}' cy='{y}' r='12' fill='{red}' stroke='{halo}' stroke-width='2'/>"
            f"<text x='{x}' y='{y + 5}' fill='{halo}'>{number}</text>"
        )
    return parts


def _truth(here: tuple[float, float], there: tuple[float, float], theme: Theme) -> list[str]:
    """Where the photo says that it was taken, and a dashed line to it from the answer."""
    (x, y), green = there, css(theme.truth)
    return [
        f"<path d='M{here[0]} {here[1]}L{x} {y}' stroke='{green}' stroke-width='3' stroke-dasharray='6 6'/>",
        f"<circle cx='{x}' cy='{y}' r='9' fill='{css(theme.halo)}' stroke='{green}' stroke-width='3'/>",
        f"<path d='M{x - 5} {y}h10M{x} {y - 5}v10' stroke='{green}' stroke-width='3'/>",
    ]
