"""A probability over the campus, and what is read off it: median, radii, candidates."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from core.campus.grid import Grid

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Float = NDArray[np.float64]
    Float32 = NDArray[np.float32]


CANDIDATE_APART_M = 25.0  # two modes nearer than this are one place to a person looking around

CANDIDATE_LEAST_MASS = 0.05

MAX_CANDIDATES = 5


@dataclass(frozen=True)
class ProbabilityMap:
    """A probability over the campus: `mass` is (rows, columns) float32 and sums to 1; `sharpness` is for its median."""

    grid: Grid
    mass: Float32 = field(repr=False)
    sharpness: float = 1.0

    def median_m(self) -> Float:
        """The point of least expected distance, (2,) local metres: the map's geometric median.

        Of the map to the power of its sharpness: what it gives to places that hardly fit, for the sake of photos whose
        best match is wrong, draws the median to the middle.
        Weiszfeld's iteration, in the form of Vardi and Zhang (PNAS 2000) by way of a half-cell offset under the root,
        which keeps a cell's centre from capturing it. It starts from the mean of the cells that hold the most mass.
        """
        mass = self.mass.ravel()
        held = np.flatnonzero(mass > mass.max() * 1e-3)
        weight = mass[held].astype(np.float64)
        if self.sharpness != 1:
            weight = (weight / weight.max()) ** self.sharpness
        row, column = np.divmod(held, self.grid.columns)
        east, north = self.grid.east_m[column], self.grid.north_m[row]
        top = weight > weight.max() * 0.5
        at_east, at_north = east[top].mean(), north[top].mean()
        offset = (self.grid.cell_m / 2) ** 2
        for _ in range(100):
            squared = (east - at_east) ** 2
            squared += (north - at_north) ** 2
            squared += offset
            pull = weight / np.sqrt(squared, out=squared)
            total = pull.sum()
            step_east, step_north = pull @ east / total - at_east, pull @ north / total - at_north
            at_east, at_north = at_east + step_east, at_north + step_north
            if max(abs(step_east), abs(step_north)) < 0.01:  # a centimetre is far below what a cell can say
                break
        return np.array([at_east, at_north])

    def radii_m(self, at_m: Float, shares: tuple[float, ...]) -> tuple[float, ...]:
        """For each share of the mass, the radius in metres of the circle about `at_m` that holds it."""
        step = self.grid.cell_m / 4
        reach_m = 32 * self.grid.cell_m
        while True:  # a window about the place, widened until it holds the circles
            rows, columns = self._window(at_m, reach_m)
            mass = self.mass[rows, columns]
            if mass.shape != self.mass.shape and mass.sum(dtype=np.float64) < max(shares):
                reach_m *= 2  # far too small, without a look at its rings
                continue
            east, north = self.grid.east_m[columns] - at_m[0], self.grid.north_m[rows] - at_m[1]
            distance = np.sqrt((north**2)[:, None] + east**2)
            distance *= 1 / step
            rings = np.bincount(distance.astype(np.intp).ravel(), mass.ravel()).cumsum()
            if mass.shape == self.mass.shape:
                found = np.searchsorted(rings, np.asarray(shares) * rings[-1])
                break
            whole = rings[: int(reach_m / step)]  # rings further out leave the window at its corners
            if max(shares) <= whole[-1]:
                found = np.searchsorted(whole, shares)
                break
            reach_m *= 2
        return tuple(float((ring + 1) * step) for ring in found)

    def _window(self, at_m: Float, reach_m: float) -> tuple[slice, slice]:
        """Rows and columns of the cells up to `reach_m` north, south, east and west of a place."""
        grid = self.grid
        east, north = (at_m - (grid.west_m, grid.south_m)) / grid.cell_m
        reach = reach_m / grid.cell_m + 1
        return (
            slice(max(0, int(north - reach)), max(1, int(north + reach) + 1)),
            slice(max(0, int(east - reach)), max(1, int(east + reach) + 1)),
        )

    def candidates(self) -> list[tuple[float, float, float]]:
        """Separate places that fit, best first: (east m, north m, mass within CANDIDATE_APART_M)."""
        left = self.mass.copy()
        found: list[tuple[float, float, float]] = []
        reach = int(CANDIDATE_APART_M / self.grid.cell_m)
        all_east, all_north = self.grid.east_m, self.grid.north_m
        while len(found) < MAX_CANDIDATES:
            row, column = divmod(int(left.argmax()), self.grid.columns)
            rows = slice(max(0, row - reach), row + reach + 1)
            columns = slice(max(0, column - reach), column + reach + 1)
            east, north = all_east[columns], all_north[rows]
            squared = ((north - all_north[row]) ** 2)[:, None] + (east - all_east[column]) ** 2
            block = np.where(squared <= (reach * self.grid.cell_m) ** 2, left[rows, columns], 0.0)
            mass = float(block.sum())
            if mass < CANDIDATE_LEAST_MASS:
                break
            found.append((float(block.sum(0) @ east / mass), float(block.sum(1) @ north / mass), mass))
            left[rows, columns] -= block
        return sorted(found, key=lambda place: -place[2])
