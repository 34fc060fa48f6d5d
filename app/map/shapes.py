"""What maps are drawn of: shapes in the campus's own metres, as layers that deck.gl draws; their colours."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from core.errors import MissingDependency

if TYPE_CHECKING:
    import pydeck
    from numpy.typing import NDArray

    from core.campus.bundle import Bundle

    Float = NDArray[np.float64]
    Colour = tuple[int, int, int]

_CONE_M = 35.0


@dataclass(frozen=True)
class Theme:
    """The colours of a map."""

    fix: Colour
    truth: Colour
    zone: Colour
    candidate: Colour
    track: Colour
    text: Colour
    halo: Colour
    heat: tuple[Colour, Colour, Colour]  # from thin to dense


NUMBER_PX, NUMBER_EDGE_PX = 12, 2  # the radius of a place with a number, and the line round it

LIGHT = Theme(
    fix=(11, 87, 208), truth=(0, 110, 60), zone=(94, 53, 177), candidate=(176, 32, 32), track=(70, 70, 70),
    text=(38, 33, 27), halo=(255, 255, 255), heat=((255, 214, 80), (247, 127, 30), (200, 30, 60)),
)  # fmt: skip
DARK = Theme(
    fix=(120, 180, 255), truth=(110, 231, 160), zone=(190, 160, 255), candidate=(255, 140, 130),
    track=(190, 190, 190), text=(238, 240, 244), halo=(16, 20, 26),
    heat=((110, 50, 110), (226, 88, 60), (255, 214, 90)),
)  # fmt: skip


def css(colour: Colour) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


def ring_m(at: Float, radius_m: float) -> Float:
    """(96, 2) points of a circle, closed."""
    turn = np.linspace(0, 2 * np.pi, 96)
    return at + radius_m * np.stack([np.cos(turn), np.sin(turn)], axis=1)


def cone_m(at: Float, heading_deg: float, half_deg: float) -> Float:
    turn = np.radians(np.linspace(heading_deg - half_deg, heading_deg + half_deg, 16))
    return np.concatenate([at[None], at + _CONE_M * np.stack([np.sin(turn), np.cos(turn)], axis=1)])


def dashes(bundle: Bundle, line: Float) -> list[dict[str, Any]]:
    """A line of local metres as about 40 dashes, each as long as the gap after it."""
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    ends = np.linspace(0, along[-1], 81)
    if along[-1] < 40.0:
        ends = np.linspace(0, along[-1], 2 * max(1, round(float(along[-1]) / 4)) + 1)
    points = np.stack([np.interp(ends, along, line[:, axis]) for axis in (0, 1)], axis=1)
    corners = lonlat(bundle, points)
    return [{"path": corners[start : start + 2]} for start in range(0, len(corners) - 1, 2)]


def lonlat(bundle: Bundle, local_m: Any) -> list[list[float]]:
    latlon = bundle.manifest.frame.to_latlon(np.asarray(local_m, np.float64))
    return [rounded([lon, lat]) for lat, lon in latlon]


def rounded(values: Iterable[float]) -> list[float]:
    return [round(float(value), 7) for value in values]


def dots(
    name: str,
    rows: list[dict[str, Any]],
    radius: float,
    fill: list[int],
    line: list[int],
    line_px: int,
    *,
    units: Literal["pixels", "meters"] = "pixels",
) -> pydeck.Layer:
    return layer(
        "ScatterplotLayer", name, rows, get_position="at", get_radius=radius, radius_units=text(units),
        get_fill_color=fill, stroked=True, get_line_color=line, get_line_width=line_px,
        line_width_units=text("pixels"),
    )  # fmt: skip


def path_layer(name: str, rows: list[dict[str, Any]], colour: list[int], width: int) -> pydeck.Layer:
    return layer(
        "PathLayer", name, rows, get_path="path", get_color=colour, get_width=width,
        width_units=text("pixels"),
    )  # fmt: skip


def text_layer(name: str, rows: list[dict[str, Any]], *, size: int, colour: list[int]) -> pydeck.Layer:
    return layer(
        "TextLayer", name, rows, get_position="at", get_text="text", get_size=size, get_color=colour,
        font_family=text("system-ui, sans-serif"), font_weight=text("700"), character_set=text("auto"),
        font_settings={"fontSize": 48},
    )  # fmt: skip


def unseen_layers(at: list[float]) -> list[pydeck.Layer]:
    """One shape of each kind that an answer draws, at (lon, lat), without colour.

    WebGL builds a kind's program when it draws the first one, which without a graphics processor takes half a second:
    so it is drawn while the page rests.
    """
    clear, near = [0, 0, 0, 0], [at[0] + 1e-6, at[1] + 1e-6]
    area = [{"outline": [at, near, [at[0], near[1]]]}]
    return [
        layer("PolygonLayer", "unseen_area", area, get_polygon="outline", get_fill_color=clear, stroked=False),
        dots("unseen_dots", [{"at": at}], 1, clear, clear, 1),
        path_layer("unseen_path", [{"path": [at, near]}], clear, 1),
        text_layer("unseen_text", [{"at": at, "text": "1"}], size=14, colour=clear),
    ]


def layer(kind: str, name: str, rows: list[dict[str, Any]] | None, **options: Any) -> pydeck.Layer:
    return pydeck_module().Layer(kind, rows, id=name, **options)


def text(value: str) -> Any:
    """A constant string; pydeck takes a bare one for an expression over the data."""
    return pydeck_module().types.String(value)


def pydeck_module() -> Any:
    try:
        import pydeck
    except ImportError as error:
        raise MissingDependency("pydeck", "requirements.txt") from error
    return pydeck
