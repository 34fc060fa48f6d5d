"""Square cells over the campus, on which every probability map lies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from core.campus.zones import nearest

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Float = NDArray[np.float64]
    Float32 = NDArray[np.float32]


_BLOCK_CELLS = 16


@dataclass(frozen=True)
class Grid:
    """Square cells over the campus; a map on it is (rows, columns) with row 0 in the south, column 0 in the west."""

    west_m: float
    south_m: float
    cell_m: float
    rows: int
    columns: int

    @classmethod
    def around(cls, local_m: ArrayLike, margin_m: float, cell_m: float) -> Grid:
        """The smallest grid over (N, 2) local metres with a margin."""
        points = np.asarray(local_m, np.float64)
        west, south = points.min(axis=0) - margin_m
        columns, rows = np.ceil((points.max(axis=0) + margin_m - (west, south)) / cell_m).astype(int)
        return cls(float(west), float(south), cell_m, int(rows), int(columns))

    @property
    def east_m(self) -> Float:
        """(columns,) the cells' centres."""
        return self.west_m + (np.arange(self.columns, dtype=np.float64) + 0.5) * self.cell_m

    @property
    def north_m(self) -> Float:
        """(rows,) the cells' centres."""
        return self.south_m + (np.arange(self.rows, dtype=np.float64) + 0.5) * self.cell_m

    @property
    def centres_m(self) -> Float:
        """(rows * columns, 2) the cells' centres, row by row."""
        east, north = np.meshgrid(self.east_m, self.north_m)
        return np.stack([east.ravel(), north.ravel()], axis=1)


def nearest_by_cell(grid: Grid, centres_m: Float) -> NDArray[np.intp]:
    """(rows, columns) index of the centre nearest to each cell's own; centres (K, 2) in metres.

    Block by block: a centre farther from a block's middle than the nearest one by more than the block's diagonal is
    nearest to none of its cells.
    """
    nearest_one = np.empty((grid.rows, grid.columns), np.intp)
    for top in range(0, grid.rows, _BLOCK_CELLS):
        for left in range(0, grid.columns, _BLOCK_CELLS):
            block = slice(top, top + _BLOCK_CELLS), slice(left, left + _BLOCK_CELLS)
            north, east = grid.north_m[block[0]], grid.east_m[block[1]]
            middle = np.array([east[0] + east[-1], north[0] + north[-1]]) / 2
            distance = np.hypot(*(centres_m - middle).T)
            diagonal = np.hypot(east[-1] - east[0], north[-1] - north[0])
            near = np.flatnonzero(distance <= distance.min() + diagonal + 1e-6)
            cells = np.stack(np.meshgrid(east, north), axis=-1).reshape(-1, 2)
            nearest_one[block] = near[nearest(cells, centres_m[near])].reshape(len(north), len(east))
    return nearest_one
