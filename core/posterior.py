"""Three heads and a gallery -> one probability map over the campus -> everything a fix says.

Every voter is a set of isotropic Gaussian kernels: the regression a few of growing width at its offset (a heavy tail),
each zone one at its centre, each similar gallery photo one at its position. A kernel is a product of a function of east
and a function of north, so the whole map is one matrix product, however many kernels vote.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from core.zones import nearest

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from core.engines import Heads
    from core.zones import Zones

    Float = NDArray[np.float64]

# A two-dimensional Student t with 3 degrees of freedom as a mixture of three Gaussians: (width factor, weight), found
# by least squares on the log density out to 8 widths, where it is nowhere off by more than 0.08.
HEAVY_TAIL = ((0.824, 0.531), (1.573, 0.377), (3.198, 0.092))
# No vote is sharper than a label: phones know their own place to 2 m at best. Without a floor, photos that share their
# exact coordinates would have a kernel of no width, whose likelihood is infinite, fitted to them.
LEAST_WIDTH_M = 2.0
CANDIDATE_APART_M = 25.0  # two modes nearer than this are one place to a person looking around
CANDIDATE_LEAST_MASS = 0.05
MAX_CANDIDATES = 5


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
class Gallery:
    """The training photos as the network sees them: (N, D) unit embeddings, and (N, 2) local metres, float32."""

    embedding: NDArray[np.float32]
    local_m: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.embedding)


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
    """A probability over the campus: `mass` is (rows, columns) float64 and sums to 1."""

    grid: Grid
    mass: Float = field(repr=False)

    def median_m(self) -> Float:
        """The point of least expected distance, (2,) local metres: the map's geometric median.

        Weiszfeld's iteration, in the form of Vardi and Zhang (PNAS 2000) by way of a half-cell offset under the root,
        which keeps a cell's centre from capturing it. It starts from the mean of the cells that hold the most mass.
        """
        mass = self.mass.ravel()
        held = np.flatnonzero(mass > mass.max() * 1e-3)
        points, weight = self.grid.centres_m[held], mass[held]
        top = points[weight > weight.max() * 0.5]
        at = np.asarray(top.mean(axis=0))
        for _ in range(100):
            pull = weight / np.sqrt(((points - at) ** 2).sum(axis=1) + (self.grid.cell_m / 2) ** 2)
            step = pull @ points / pull.sum() - at
            at = at + step
            if np.abs(step).max() < 0.01:  # a centimetre is far below what a cell can say
                break
        return at

    def radii_m(self, at_m: Float, shares: tuple[float, ...]) -> tuple[float, ...]:
        """For each share of the mass, the radius in metres of the circle about `at_m` that holds it."""
        east, north = self.grid.east_m - at_m[0], self.grid.north_m - at_m[1]
        distance = np.sqrt(north[:, None] ** 2 + east[None, :] ** 2)
        step = self.grid.cell_m / 4
        rings = np.cumsum(np.bincount((distance / step).astype(np.int64).ravel(), self.mass.ravel()))
        found = np.searchsorted(rings, np.asarray(shares) * rings[-1])
        return tuple(float((ring + 1) * step) for ring in found)

    def candidates(self) -> list[tuple[float, float, float]]:
        """Separate places that fit, best first: (east m, north m, mass within CANDIDATE_APART_M)."""
        left = self.mass.copy()
        found: list[tuple[float, float, float]] = []
        reach = int(CANDIDATE_APART_M / self.grid.cell_m)
        while len(found) < MAX_CANDIDATES:
            row, column = np.unravel_index(int(left.argmax()), left.shape)
            rows = slice(max(0, int(row) - reach), int(row) + reach + 1)
            columns = slice(max(0, int(column) - reach), int(column) + reach + 1)
            east, north = self.grid.east_m[columns], self.grid.north_m[rows]
            near = (
                np.hypot(north[:, None] - self.grid.north_m[row], east[None, :] - self.grid.east_m[column])
                <= reach * self.grid.cell_m
            )
            block = left[rows, columns] * near
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


def most_similar(
    embedding: NDArray[np.float32], gallery: Gallery, count: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """(B, D) unit embeddings -> (B, count) indices and cosine similarities of the nearest photos, best first."""
    similarity = embedding @ gallery.embedding.T
    count = min(count, len(gallery))
    top = np.argpartition(-similarity, count - 1, axis=1)[:, :count]
    order = np.argsort(-np.take_along_axis(similarity, top, axis=1), axis=1, kind="stable")
    top = np.take_along_axis(top, order, axis=1)
    return top, np.take_along_axis(similarity, top, axis=1)


class Posterior:
    """The voters of one campus, with all that does not change from photo to photo computed once."""

    def __init__(
        self, grid: Grid, zones: Zones, gallery: Gallery | None, params: PosteriorParams, scale_m: float
    ) -> None:
        self.grid, self.zones, self.gallery, self.params, self.scale_m = grid, zones, gallery, params, scale_m
        self._zone_centres, self._zone_widths = zones.centres_m, zones.spreads_m * params.zone_width
        self._zone_of_cell = nearest(grid.centres_m, self._zone_centres) if len(zones) else None
        self._floor_density = params.floor_weight / (grid.rows * grid.columns * grid.cell_m**2)

    def kernels(self, heads: Heads) -> Kernels:
        """The mixtures that the voters make of a batch; an absent head or gallery only removes its voter."""
        p, batch = self.params, len(heads)
        spread = np.ones((batch, 1)) if heads.log_spread is None else np.exp(heads.log_spread.astype(np.float64))
        factors, shares = np.array(HEAVY_TAIL).T
        centres = [np.repeat(heads.offset[:, None].astype(np.float64) * self.scale_m, len(factors), axis=1)]
        widths = [factors * spread * p.regression_width_m]
        weights = [np.broadcast_to(shares * p.regression_weight, (batch, len(shares)))]
        if heads.zone_logits is not None and len(self.zones):
            centres.append(np.broadcast_to(self._zone_centres, (batch, *self._zone_centres.shape)))
            widths.append(np.broadcast_to(self._zone_widths, (batch, len(self.zones))))
            weights.append(softmax(heads.zone_logits.astype(np.float64), p.zone_temperature) * p.zone_weight)
        if heads.embedding is not None and self.gallery is not None:
            top, similarity = most_similar(heads.embedding, self.gallery, p.neighbours)
            centres.append(self.gallery.local_m[top].astype(np.float64))
            widths.append(np.full(top.shape, p.retrieval_width_m))
            weights.append(softmax(similarity.astype(np.float64), p.retrieval_temperature) * p.retrieval_weight)
        width = np.maximum(np.concatenate(widths, axis=1), LEAST_WIDTH_M)
        return Kernels(np.concatenate(centres, axis=1), width, np.concatenate(weights, axis=1))

    def log_likelihood(self, heads: Heads, local_m: Float) -> Float:
        """(B,) log probability density (per square metre) of each photo's mixture at (B, 2) positions."""
        kernels = self.kernels(heads)
        squared = ((kernels.centre_m - local_m[:, None]) ** 2).sum(axis=2) / kernels.width_m**2
        density = (kernels.weight * np.exp(-0.5 * squared) / (2 * np.pi * kernels.width_m**2)).sum(axis=1)
        return np.asarray(np.log(density + self._floor_density + 1e-300))

    def map(self, heads: Heads) -> ProbabilityMap:
        """The probability that one photo (a batch of 1) was taken in each cell of the campus."""
        kernels = self.kernels(heads)
        centre, weight = kernels.centre_m[0], kernels.weight[0]
        # At least half a cell wide, or a kernel could fall between the cells' centres.
        width = np.maximum(kernels.width_m[0], self.grid.cell_m / 2)
        east = np.exp(-0.5 * ((self.grid.east_m - centre[:, :1]) / width[:, None]) ** 2)
        north = np.exp(-0.5 * ((self.grid.north_m - centre[:, 1:]) / width[:, None]) ** 2)
        density = (north * (weight / (2 * np.pi * width**2))[:, None]).T @ east + self._floor_density
        return ProbabilityMap(self.grid, density / density.sum())

    def zone_odds(self, probability: ProbabilityMap) -> Float:
        """(K,) the mass of the map in each zone's cell."""
        if self._zone_of_cell is None:
            return np.zeros(0)
        odds = np.bincount(self._zone_of_cell, probability.mass.ravel(), minlength=len(self.zones))
        return np.asarray(odds, np.float64)
