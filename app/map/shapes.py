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


LIGHT = Theme(
    fix=(11, 87, 208), truth=(0, 110, 60), zone=(94, 53, 177), candidate=(176, 32, 32), track=(70, 70, 70),
    text=(38, 33, 27), halo=(255, 255, 255), heat=((255, 214, 80), (247, 127, 30), (200, 30, 60)),
)  # fmt: skip
DARK = Theme(
    fix=(120, 180, 255), truth=(110, 231, 160), zone=(190, 160, 255), candidate=(255, 140, 130),
    track=(190, 190, 190), text=(238, 240, 244), halo=(16, 20, 26),
    heat=((110, 50, 110), (226, 88, 60), (255, 214, 90)),
)  # fmt: skip


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


def text_layer(
    name: str, rows: list[dict[str, Any]], theme: Theme, *, size: int, colour: Colour, halo: bool = True, rank: str = ""
) -> pydeck.Layer:
    """Texts; with `rank`, a field of the rows, the higher one stands where two would cover one another."""
    collision: dict[str, Any] = {}
    if rank:
        collision = {
            "extensions": [{"@@type": "CollisionFilterExtension"}],
            "collision_enabled": True,
            "collision_group": text("names"),
            "get_collision_priority": rank,
            "collision_test_props": {"sizeScale": 1.6},
        }
    return layer(
        "TextLayer", name, rows, get_position="at", get_text="text", get_size=size, get_color=[*colour, 255],
        font_family=text("system-ui, sans-serif"), font_weight=text("700"), character_set=text("auto"),
        font_settings={"sdf": True, "fontSize": 48, "buffer": 8, "radius": 16} if halo else {"fontSize": 48},
        outline_width=4 if halo else 0, outline_color=[*theme.halo, 255], line_height=1.1, **collision,
    )  # fmt: skip


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
