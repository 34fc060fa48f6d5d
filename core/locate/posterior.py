"""Three heads and a gallery -> one probability map over the campus -> everything a fix says.

Every component is a set of isotropic Gaussian kernels: the regression a few of growing width at its offset (a heavy
tail), each zone one at its centre, each near gallery photo one at its position. A kernel is a product of a function of
east and a function of north, so the whole map is one matrix product, however many kernels there are. What the zones
need for it does not change from photo to photo, and a row of the map needs only the zones near it.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from core.campus.gallery import Gallery, nearest_neighbours
from core.campus.grid import Grid, nearest_by_cell
from core.campus.parameters import PosteriorParams
from core.locate.evidence import Evidence
from core.locate.mixture import HEAVY_TAIL, LEAST_WIDTH_M, Kernels, Standing, profiles, softmax
from core.locate.probability_map import ProbabilityMap

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from core.campus.zones import Zones
    from core.engines.heads import Heads

    Float = NDArray[np.float64]
    Float32 = NDArray[np.float32]
    Near = tuple[NDArray[np.intp], Float32]  # of `nearest_neighbours`


class Posterior:
    """The components of one campus, with all that does not change from photo to photo computed once."""

    def __init__(
        self, grid: Grid, zones: Zones, gallery: Gallery | None, params: PosteriorParams, scale_m: float
    ) -> None:
        self.grid, self.zones, self.gallery, self.params, self.scale_m = grid, zones, gallery, params, scale_m
        self.matched: Posterior | None = None  # fitted to photos with evidence, and asked for these
        self._zone_centres = zones.centres_m
        self._zone_widths = np.maximum(zones.spreads_m * params.zone_width, LEAST_WIDTH_M)
        self._floor_density = params.floor_weight / (grid.rows * grid.columns * grid.cell_m**2)

    @cached_property
    def _standing(self) -> Standing:
        return Standing(self.grid, self._zone_centres, self._zone_widths)

    @cached_property
    def _zone_of_cell(self) -> NDArray[np.intp]:
        return nearest_by_cell(self.grid, self._zone_centres).ravel()

    def _moving(self, heads: Heads, evidence: Evidence | None, near: Near | None = None) -> Kernels:
        """The kernels of regression and retrieval, which stand elsewhere for each photo."""
        p, batch = self.params, len(heads)
        spread = np.ones((batch, 1)) if heads.log_spread is None else np.exp(heads.log_spread.astype(np.float64))
        factors, shares = np.array(HEAVY_TAIL).T
        centre = np.repeat(heads.offset[:, None].astype(np.float64) * self.scale_m, len(factors), axis=1)
        width = factors * spread * p.regression_width_m
        weight = np.broadcast_to(shares * p.regression_weight, (batch, len(shares)))
        if heads.embedding is not None and self.gallery is not None:
            top, similarity = near or nearest_neighbours(heads.embedding, self.gallery, p.neighbours)
            centre = np.concatenate([centre, self.gallery.local_m[top]], axis=1)
            width = np.concatenate([width, np.full(top.shape, p.retrieval_width_m)], axis=1)
            logits = similarity.astype(np.float64) / p.retrieval_temperature
            odds = softmax(logits if evidence is None else logits + evidence.at(top))
            weight = np.concatenate([weight, odds * p.retrieval_weight], axis=1)
        return Kernels(centre, np.maximum(width, LEAST_WIDTH_M), weight)

    def _zone_weights(self, heads: Heads) -> Float | None:
        """(B, K) weights of the zones' kernels; None without that component."""
        if heads.zone_logits is None or not len(self.zones):
            return None
        return softmax(heads.zone_logits.astype(np.float64), self.params.zone_temperature) * self.params.zone_weight

    def kernels(self, heads: Heads, evidence: Evidence | None = None, near: Near | None = None) -> Kernels:
        """The mixtures that the components make of a batch; an absent head or gallery only removes its component.

        `evidence` is the log-likelihood ratio of gallery photos that were matched by local features; `near` are the
        nearest neighbours, where they are known already.
        """
        moving, zones = self._moving(heads, evidence, near), self._zone_weights(heads)
        if zones is None:
            return moving
        centre = np.broadcast_to(self._zone_centres, (len(heads), *self._zone_centres.shape))
        width = np.broadcast_to(self._zone_widths, zones.shape)
        return Kernels(
            np.concatenate([moving.centre_m, centre], axis=1),
            np.concatenate([moving.width_m, width], axis=1),
            np.concatenate([moving.weight, zones], axis=1),
        )

    def log_likelihood(
        self, heads: Heads, local_m: Float, evidence: Evidence | None = None, near: Near | None = None
    ) -> Float:
        """(B,) log probability density (per square metre) of each photo's mixture at (B, 2) positions."""
        kernels = self.kernels(heads, evidence, near)
        squared = ((kernels.centre_m - local_m[:, None]) ** 2).sum(axis=2) / kernels.width_m**2
        density = (kernels.weight * np.exp(-0.5 * squared) / (2 * np.pi * kernels.width_m**2)).sum(axis=1)
        return np.asarray(np.log(density + self._floor_density + 1e-300))

    def map(self, heads: Heads, evidence: Evidence | None = None, near: Near | None = None) -> ProbabilityMap:
        """The probability that one photo (a batch of 1) was taken in each cell of the campus; as `kernels` takes it."""
        if evidence is not None and self.matched is not None:
            return self.matched.map(heads, evidence, near)
        moving, zones = self._moving(heads, evidence, near), self._zone_weights(heads)
        weight = moving.weight[0]
        east, north = profiles(self.grid, moving.centre_m[0], moving.width_m[0])
        # The factors' own sums tell what the whole map adds up to, so it is made normalised and passed over once.
        total = weight @ (east.sum(axis=1) * north.sum(axis=1))
        total += self._floor_density * self.grid.rows * self.grid.columns
        if zones is not None:
            total += self._standing.total(zones[0])
        mass = (north * (weight / total)[:, None]).astype(np.float32).T @ east.astype(np.float32)
        mass += np.float32(self._floor_density / total)
        if zones is not None:
            self._standing.add_to(mass, zones[0] / total)
        return ProbabilityMap(self.grid, mass, self.params.sharpness)

    def zone_odds(self, probability: ProbabilityMap) -> Float:
        """(K,) the mass of the map in each zone's cell."""
        if not len(self.zones):
            return np.zeros(0)
        odds = np.bincount(self._zone_of_cell, probability.mass.ravel(), minlength=len(self.zones))
        return np.asarray(odds, np.float64)
