"""Three heads and a gallery -> one probability map over the campus -> everything a fix says.

Every voter is a set of isotropic Gaussian kernels: the regression a few of growing width at its offset (a heavy tail),
each zone one at its centre, each similar gallery photo one at its position. A kernel is a product of a function of east
and a function of north, so the whole map is one matrix product, however many kernels vote. What the zones need for it
does not change from photo to photo, and a row of the map needs only the zones near it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from core.campus.gallery import Gallery, most_similar
from core.campus.zones import nearest

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from core.campus.zones import Zones
    from core.engines.engines import Heads

    Float = NDArray[np.float64]
    Float32 = NDArray[np.float32]

# A two-dimensional Student t with 3 degrees of freedom as a mixture of three Gaussians: (width factor, weight), found
# by least squares on the log density out to 8 widths, where it is nowhere off by more than 0.08.
HEAVY_TAIL = ((0.824, 0.531), (1.573, 0.377), (3.198, 0.092))
# No vote is sharper than a label: phones know their own place to 2 m at best. Without a floor, photos that share their
# exact coordinates would have a kernel of no width, whose likelihood is infinite, fitted to them.
LEAST_WIDTH_M = 2.0
CANDIDATE_APART_M = 25.0  # two modes nearer than this are one place to a person looking around
CANDIDATE_LEAST_MASS = 0.05
MAX_CANDIDATES = 5
REACH_WIDTHS = 6.0  # a Gaussian has 1.5e-8 of its height left there, less than float32 tells apart
_BAND_ROWS = 32
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


@dataclass(frozen=True)
class PosteriorParams:
    """What is fitted on the calibration split. Weights are those of the voters, and the four sum to 1."""

    regression_weight: float = 0.35
    zone_weight: float = 0.15
    retrieval_weight: float = 0.48
    floor_weight: float = 0.02
    regression_width_m: float = 12.0  # times the spread that the network itself says, where it has such an output
    zone_temperature: float = 1.0
    zone_width: float = 1.0  # times each zone's own spread
    retrieval_temperature: float = 0.05  # of the softmax over cosine similarities
    retrieval_width_m: float = 6.0
    neighbours: int = 24


@dataclass(frozen=True)
class Kernels:
    """A mixture of isotropic Gaussians for each photo of a batch.

    (B, M, 2) centres and (B, M) widths in metres, (B, M) weights that sum to 1 less the floor's.
    """

    centre_m: Float
    width_m: Float
    weight: Float


@dataclass(frozen=True)
class ProbabilityMap:
    """A probability over the campus: `mass` is (rows, columns) float32 and sums to 1."""

    grid: Grid
    mass: Float32 = field(repr=False)

    def median_m(self) -> Float:
        """The point of least expected distance, (2,) local metres: the map's geometric median.

        Weiszfeld's iteration, in the form of Vardi and Zhang (PNAS 2000) by way of a half-cell offset under the root,
        which keeps a cell's centre from capturing it. It starts from the mean of the cells that hold the most mass.
        """
        mass = self.mass.ravel()
        held = np.flatnonzero(mass > mass.max() * 1e-3)
        weight = mass[held].astype(np.float64)
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
            east, north = self.grid.east_m[columns] - at_m[0], self.grid.north_m[rows] - at_m[1]
            mass = self.mass[rows, columns]
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


class Posterior:
    """The voters of one campus, with all that does not change from photo to photo computed once."""

    def __init__(
        self, grid: Grid, zones: Zones, gallery: Gallery | None, params: PosteriorParams, scale_m: float
    ) -> None:
        self.grid, self.zones, self.gallery, self.params, self.scale_m = grid, zones, gallery, params, scale_m
        self._zone_centres = zones.centres_m
        self._zone_widths = np.maximum(zones.spreads_m * params.zone_width, LEAST_WIDTH_M)
        self._floor_density = params.floor_weight / (grid.rows * grid.columns * grid.cell_m**2)

    @cached_property
    def _standing(self) -> _Standing:
        return _Standing(self.grid, self._zone_centres, self._zone_widths)

    @cached_property
    def _zone_of_cell(self) -> NDArray[np.intp]:
        return nearest_by_cell(self.grid, self._zone_centres).ravel()

    def _moving(self, heads: Heads) -> Kernels:
        """The kernels of regression and retrieval, which stand elsewhere for each photo."""
        p, batch = self.params, len(heads)
        spread = np.ones((batch, 1)) if heads.log_spread is None else np.exp(heads.log_spread.astype(np.float64))
        factors, shares = np.array(HEAVY_TAIL).T
        centre = np.repeat(heads.offset[:, None].astype(np.float64) * self.scale_m, len(factors), axis=1)
        width = factors * spread * p.regression_width_m
        weight = np.broadcast_to(shares * p.regression_weight, (batch, len(shares)))
        if heads.embedding is not None and self.gallery is not None:
            top, similarity = most_similar(heads.embedding, self.gallery, p.neighbours)
            centre = np.concatenate([centre, self.gallery.local_m[top]], axis=1)
            width = np.concatenate([width, np.full(top.shape, p.retrieval_width_m)], axis=1)
            odds = softmax(similarity.astype(np.float64), p.retrieval_temperature)
            weight = np.concatenate([weight, odds * p.retrieval_weight], axis=1)
        return Kernels(centre, np.maximum(width, LEAST_WIDTH_M), weight)

    def _zone_weights(self, heads: Heads) -> Float | None:
        """(B, K) weights of the zones' kernels; None without that voter."""
        if heads.zone_logits is None or not len(self.zones):
            return None
        return softmax(heads.zone_logits.astype(np.float64), self.params.zone_temperature) * self.params.zone_weight

    def kernels(self, heads: Heads) -> Kernels:
        """The mixtures that the voters make of a batch; an absent head or gallery only removes its voter."""
        moving, zones = self._moving(heads), self._zone_weights(heads)
        if zones is None:
            return moving
        centre = np.broadcast_to(self._zone_centres, (len(heads), *self._zone_centres.shape))
        width = np.broadcast_to(self._zone_widths, zones.shape)
        return Kernels(
            np.concatenate([moving.centre_m, centre], axis=1),
            np.concatenate([moving.width_m, width], axis=1),
            np.concatenate([moving.weight, zones], axis=1),
        )

    def log_likelihood(self, heads: Heads, local_m: Float) -> Float:
        """(B,) log probability density (per square metre) of each photo's mixture at (B, 2) positions."""
        kernels = self.kernels(heads)
        squared = ((kernels.centre_m - local_m[:, None]) ** 2).sum(axis=2) / kernels.width_m**2
        density = (kernels.weight * np.exp(-0.5 * squared) / (2 * np.pi * kernels.width_m**2)).sum(axis=1)
        return np.asarray(np.log(density + self._floor_density + 1e-300))

    def map(self, heads: Heads) -> ProbabilityMap:
        """The probability that one photo (a batch of 1) was taken in each cell of the campus."""
        moving, zones = self._moving(heads), self._zone_weights(heads)
        weight = moving.weight[0]
        east, north = _profiles(self.grid, moving.centre_m[0], moving.width_m[0])
        # The factors' own sums tell what the whole map adds up to, so it is made normalised and passed over once.
        total = weight @ (east.sum(axis=1) * north.sum(axis=1))
        total += self._floor_density * self.grid.rows * self.grid.columns
        if zones is not None:
            total += self._standing.total(zones[0])
        mass = (north * (weight / total)[:, None]).astype(np.float32).T @ east.astype(np.float32)
        mass += np.float32(self._floor_density / total)
        if zones is not None:
            self._standing.add_to(mass, zones[0] / total)
        return ProbabilityMap(self.grid, mass)

    def zone_odds(self, probability: ProbabilityMap) -> Float:
        """(K,) the mass of the map in each zone's cell."""
        if not len(self.zones):
            return np.zeros(0)
        odds = np.bincount(self._zone_of_cell, probability.mass.ravel(), minlength=len(self.zones))
        return np.asarray(odds, np.float64)
