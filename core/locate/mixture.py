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

# No vote is sharper than a label: phones know their own place to 2 m at best. Without a floor, photos that share their
# exact coordinates would have a kernel of no width, whose likelihood is infinite, fitted to them.
LEAST_WIDTH_M = 2.0


REACH_WIDTHS = 6.0  # a Gaussian has 1.5e-8 of its height left there, less than float32 tells apart

_BAND_ROWS = 32


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


class _Standing:
    """Kernels that stand where they are from photo to photo, ready to be added to a map with other weights.

    They are sorted from south to north, so that those that reach into a band of rows are neighbours in the arrays.
    """

    def __init__(self, grid: Grid, centre_m: Float, width_m: Float) -> None:
        """(K, 2) centres and (K,) widths in metres."""
        self._order = np.argsort(centre_m[:, 1], kind="stable")
        centre, width = centre_m[self._order], width_m[self._order]
        east, north = _profiles(grid, centre, width)
        self._total = east.sum(axis=1) * north.sum(axis=1)
        self._east, self._north = east.astype(np.float32), north.astype(np.float32)
        reach = REACH_WIDTHS * float(width.max())
        self._bands = []
        for top in range(0, grid.rows, _BAND_ROWS):
            rows = slice(top, min(top + _BAND_ROWS, grid.rows))
            edges = grid.north_m[[rows.start, rows.stop - 1]] + (-reach, reach)
            first, last = np.searchsorted(centre[:, 1], edges)
            if first < last:
                self._bands.append((rows, slice(int(first), int(last))))

    def total(self, weight: Float) -> float:
        """What the densities of all cells add up to under (K,) weights."""
        return float(weight[self._order] @ self._total)

    def add_to(self, mass: Float32, weight: Float) -> None:
        """Add the densities under (K,) weights to a (rows, columns) map in place."""
        by_north = weight[self._order].astype(np.float32)[:, None]
        for rows, kernels in self._bands:
            mass[rows] += (self._north[kernels, rows] * by_north[kernels]).T @ self._east[kernels]


def _profiles(grid: Grid, centre_m: Float, width_m: Float) -> tuple[Float, Float]:
    """(M, 2) centres and (M,) widths -> (M, columns) and (M, rows) factors, whose product is a Gaussian's density."""
    # At least half a cell wide, or a kernel could fall between the cells' centres.
    width = np.maximum(width_m, grid.cell_m / 2)[:, None]
    height = 1 / (np.sqrt(2 * np.pi) * width)
    east = np.exp(-0.5 * ((grid.east_m - centre_m[:, :1]) / width) ** 2)
    north = np.exp(-0.5 * ((grid.north_m - centre_m[:, 1:]) / width) ** 2)
    return east * height, north * height
