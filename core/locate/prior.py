"""Where people stand with a camera, before any photo is seen: the training positions, blurred, as a map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw

from core.errors import CampusError
from core.locate.motion import Band

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from core.campus.frame import LocalFrame
    from core.campus.grid import Grid

    Float32 = NDArray[np.float32]

ANYWHERE = 0.2  # the share of the prior that lies evenly over the grid: no place is impossible
CLOSED_KINDS = ("building", "water")  # of the offline basemap: nobody stands there unless training photos say so


def standing_prior(
    grid: Grid, local_m: NDArray[Any], width_m: float, exponent: float, closed: NDArray[np.bool_] | None = None
) -> Float32:
    """(rows, columns) float32 that sums to 1: (N, 2) positions in local metres, blurred by `width_m`, to a power.

    `closed` (rows, columns) marks buildings and water. Its share of the prior is that of the training photos in it, at
    most what the blur alone gives: so a campus with indoor photos keeps its rooms, and one without loses them.
    """
    counts, inside = np.zeros((grid.rows, grid.columns), np.float32), np.asarray(local_m, np.float64)
    column = ((inside[:, 0] - grid.west_m) / grid.cell_m).astype(int).clip(0, grid.columns - 1)
    row = ((inside[:, 1] - grid.south_m) / grid.cell_m).astype(int).clip(0, grid.rows - 1)
    np.add.at(counts, (row, column), 1.0 / len(inside))
    width = width_m / grid.cell_m
    density = Band(grid.rows, width).times(Band(grid.columns, width).times(counts.T).T)
    density /= density.sum()
    if closed is not None and closed.any():
        held = float(density[closed].sum())
        photos = float(counts[closed].sum())
        if 0 < photos < held or photos == 0:
            density[closed] *= np.float32(photos / held if held else 1.0)
    prior = density.astype(np.float64) ** exponent
    prior = (1 - ANYWHERE) * prior / prior.sum() + ANYWHERE / prior.size
    return np.asarray(prior, np.float32)


def closed_cells(grid: Grid, campus_map: dict[str, Any], frame: LocalFrame) -> NDArray[np.bool_]:
    """(rows, columns) the cells whose centre lies in a building or water of a GeoJSON map."""
    picture = Image.new("1", (grid.columns, grid.rows))
    draw = ImageDraw.Draw(picture)
    for feature in campus_map.get("features", []):
        if feature.get("properties", {}).get("kind") in CLOSED_KINDS:
            for rings in _polygons(feature.get("geometry") or {}):
                for number, ring in enumerate(rings):
                    if (corners := _cells(grid, ring, frame)) is not None:
                        draw.polygon(corners, fill=1 if number == 0 else 0)
    return np.asarray(picture, bool)


def _polygons(geometry: dict[str, Any]) -> list[Any]:
    """The polygons of a geometry, each a list of rings: the outline, then its holes."""
    coordinates, kind = geometry.get("coordinates") or [], geometry.get("type")
    return [coordinates] if kind == "Polygon" else list(coordinates) if kind == "MultiPolygon" else []


def _cells(grid: Grid, ring: Any, frame: LocalFrame) -> list[tuple[float, float]] | None:
    """A ring's corners as (column, row); None for what is no ring, as a stranger's map may hold."""
    try:
        lon, lat = np.asarray(ring, np.float64)[:, :2].T
        at = (frame.to_local(lat, lon) - (grid.west_m, grid.south_m)) / grid.cell_m - 0.5
    except (ValueError, TypeError, IndexError, CampusError):
        return None
    return [(float(east), float(north)) for east, north in at] if len(at) > 2 else None
