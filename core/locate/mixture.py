"""Gaussian mixtures on the grid: kernels, their profiles, and those that stand still from photo to photo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Float = NDArray[np.float64]
    Float32 = NDArray[np.float32]
from core.campus.grid import Grid

# A two-dimensional Student t with 3 degrees of freedom as a mixture of three Gaussians: (width factor, weight), found
# by least squares on the log density out to 8 widths, where it is nowhere off by more than 0.08.
HEAVY_TAIL = ((0.824, 0.531), (1.573, 0.377), (3.198, 0.092))

# No component is sharper than a label: phones know their own place to 2 m at best. Without a floor, photos that share
# their exact coordinates would have a kernel of no width, whose likelihood is infinite, fitted to them.
LEAST_WIDTH_M = 2.0


REACH_WIDTHS = 6.0  # a Gaussian has 1.5e-8 of its height left there, less than float32 tells apart

_NOTHING = -36.0  # log of 2e-16
_TILE_CELLS = 64  # of 32 to 128 the fastest


@dataclass(frozen=True)
class Kernels:
    """A mixture of isotropic Gaussians for each photo of a batch.

    (B, M, 2) centres and (B, M) widths in metres, (B, M) weights that sum to 1 less the floor's.
    """

    centre_m: Float
    width_m: Float
    weight: Float


def softmax(logits: Float, temperature: float = 1.0) -> Float:
    """Softmax of (..., K) over the last axis at a temperature."""
    shifted = (logits - logits.max(axis=-1, keepdims=True)) / temperature
    odds = np.exp(shifted)
    return np.asarray(odds / odds.sum(axis=-1, keepdims=True))


class Standing:
    """Kernels that stand where they are from photo to photo, ready to be added to a map with other weights.

    A tile of the map needs only the kernels that reach into it.
    """

    def __init__(self, grid: Grid, centre_m: Float, width_m: Float) -> None:
        """(K, 2) centres and (K,) widths in metres."""
        east, north = profiles(grid, centre_m, width_m)
        self._total = east.sum(axis=1) * north.sum(axis=1)
        reach = REACH_WIDTHS * width_m
        self._parts: list[tuple[slice, slice, NDArray[np.intp], Float32, Float32]] = []
        for row in _tiles(grid.rows):
            from_north = _reached(grid.north_m[row], centre_m[:, 1], reach)
            for column in _tiles(grid.columns):
                kernels = np.flatnonzero(from_north & _reached(grid.east_m[column], centre_m[:, 0], reach))
                if len(kernels):
                    by_row = np.ascontiguousarray(north[kernels, row].T, np.float32)
                    by_column = np.ascontiguousarray(east[kernels, column], np.float32)
                    self._parts.append((row, column, kernels, by_row, by_column))

    def total(self, weight: Float) -> float:
        """What the densities of all cells add up to under (K,) weights."""
        return float(weight @ self._total)

    def add_to(self, mass: Float32, weight: Float) -> None:
        """Add the densities under (K,) weights to a (rows, columns) map in place."""
        weight32 = weight.astype(np.float32)
        for row, column, kernels, north, east in self._parts:
            mass[row, column] += (north * weight32[kernels]) @ east


def _tiles(count: int) -> list[slice]:
    return [slice(first, min(first + _TILE_CELLS, count)) for first in range(0, count, _TILE_CELLS)]


def _reached(at_m: Float, centre_m: Float, reach_m: Float) -> NDArray[np.bool_]:
    """(K,) which kernels reach between the first and the last of ascending places."""
    return np.asarray((centre_m + reach_m >= at_m[0]) & (centre_m - reach_m <= at_m[-1]))


def profiles(grid: Grid, centre_m: Float, width_m: Float) -> tuple[Float, Float]:
    """(M, 2) centres and (M,) widths -> (M, columns) and (M, rows) factors, whose product is a Gaussian's density."""
    # At least half a cell wide, or a kernel could fall between the cells' centres.
    width = np.maximum(width_m, grid.cell_m / 2)[:, None]
    height = 1 / (np.sqrt(2 * np.pi) * width)
    east = _gaussian((grid.east_m - centre_m[:, :1]) / width)
    north = _gaussian((grid.north_m - centre_m[:, 1:]) / width)
    return east * height, north * height


def _gaussian(widths: Float) -> Float:
    """exp(-x²/2), and 0 where that is mere rounding: processors multiply numbers near the least float far slower."""
    log_height = -0.5 * widths**2
    return np.where(log_height > _NOTHING, np.exp(log_height), 0.0)
