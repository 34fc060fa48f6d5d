"""A probability, or how thick training photos stand, as a picture to lay on a map."""

from __future__ import annotations

import base64
import io
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from app.map.drawn import draws_heat
from app.map.shapes import DARK, LIGHT, Theme, lonlat
from core.campus.basemap import Picture

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from app.map.drawn import Shown
    from core.campus.bundle import Bundle
    from core.campus.grid import Grid
    from core.locate.fix import Fix

    Float = NDArray[np.float64]

_LEAST_HEAT = 0.03  # cells below this share of the likeliest one are left clear


def fix_heat(bundle: Bundle, fix: Fix | None, shown: Shown, *, dark: bool) -> Picture | None:
    """Where an answer may lie; None where the map does not draw it."""
    if fix is None or fix.probability is None or not draws_heat(fix, shown):
        return None
    return _heat(bundle, fix.probability.grid, fix.probability.mass.astype(np.float64), DARK if dark else LIGHT)


@lru_cache(maxsize=4)
def coverage_heat(bundle: Bundle, *, dark: bool) -> Picture | None:
    """Where training photos stand thick or thin; None where the bundle keeps none."""
    if bundle.gallery is None:
        return None
    counts = photo_density(bundle.manifest.grid, bundle.gallery.local_m.astype(np.float64))
    return _heat(bundle, bundle.manifest.grid, np.sqrt(counts), DARK if dark else LIGHT)


def photo_density(grid: Grid, local_m: Float, width_m: float = 6.0) -> Float:
    """(N, 2) positions -> (rows, columns) photos per square metre, smoothed by a Gaussian of `width_m`."""
    width = max(width_m, grid.cell_m / 2)
    east = np.exp(-0.5 * ((grid.east_m - local_m[:, :1]) / width) ** 2)
    north = np.exp(-0.5 * ((grid.north_m - local_m[:, 1:]) / width) ** 2)
    return np.asarray(north.T @ east / (2 * np.pi * width**2))


def _heat(bundle: Bundle, grid: Grid, value: Float, theme: Theme) -> Picture:
    """A (rows, columns) grid as a picture on the map, below its names, turned as the grid is to north."""
    share = value / max(float(value.max()), 1e-12)
    warm = share > _LEAST_HEAT
    rows, columns = _span(np.asarray(warm.any(axis=1))), _span(np.asarray(warm.any(axis=0)))
    share = share[rows, columns]
    west, south = grid.west_m + columns.start * grid.cell_m, grid.south_m + rows.start * grid.cell_m
    north, east = south + share.shape[0] * grid.cell_m, west + share.shape[1] * grid.cell_m
    corners = lonlat(bundle, [[west, north], [east, north], [east, south], [west, south]])
    return Picture(_heat_png(share, theme), tuple((lon, lat) for lon, lat in corners))


def _span(kept: NDArray[np.bool_]) -> slice:
    """The part from the first to the last true value, with one more on each side."""
    at = np.flatnonzero(kept)
    return slice(max(int(at[0]) - 1, 0), int(at[-1]) + 2) if len(at) else slice(0, 1)


def _heat_png(share: Float, theme: Theme) -> str:
    """(rows, columns) in 0..1, row 0 in the south -> a PNG in a data URL."""
    from PIL import Image

    stops, ramp = np.array([0.0, 0.45, 1.0]), np.array(theme.heat, np.float64)
    colour = np.stack([np.interp(share, stops, ramp[:, channel]) for channel in range(3)], axis=-1)
    alpha = np.where(share > _LEAST_HEAT, 30 + 170 * share**0.6, 0.0)
    rgba = np.concatenate([colour, alpha[..., None]], axis=-1).round().astype(np.uint8)[::-1]
    buffer = io.BytesIO()
    Image.fromarray(rgba).save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
