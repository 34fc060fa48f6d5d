"""Smart zones: the cells a campus is divided into, with their outlines and human names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Zone:
    """One cell, in metres east and north of the campus centre.

    centre_m is the mean of the training positions in it; spread_m their root mean square distance from it along one
    axis; outline_m the corners of its polygon, counter-clockwise, not closed.
    """

    name: str
    centre_m: tuple[float, float]
    spread_m: float
    outline_m: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Zones:
    """All zones of a campus; a zone's id is its place in the tuple."""

    zones: tuple[Zone, ...]

    def __len__(self) -> int:
        return len(self.zones)

    def __getitem__(self, zone_id: int) -> Zone:
        return self.zones[zone_id]

    @property
    def centres_m(self) -> NDArray[np.float64]:
        """(K, 2) metres east and north of the campus centre."""
        return np.array([zone.centre_m for zone in self.zones], np.float64).reshape(-1, 2)

    @property
    def spreads_m(self) -> NDArray[np.float64]:
        """(K,) metres."""
        return np.array([zone.spread_m for zone in self.zones], np.float64)

    def assign(self, local_m: ArrayLike) -> NDArray[np.int64]:
        """(N, 2) local metres -> (N,) id of the nearest centre, which is what a k-means cell is."""
        return nearest(np.asarray(local_m, np.float64), self.centres_m)


def nearest(points_m: NDArray[np.float64], centres_m: NDArray[np.float64]) -> NDArray[np.int64]:
    """(N, 2) and (K, 2) metres -> (N,) index of the nearest centre."""
    squared = (
        (points_m**2).sum(1)[:, None] - 2 * points_m @ centres_m.T + (centres_m**2).sum(1)
    )  # |p - c|^2 as one matrix product: a 2 m grid against hundreds of centres stays small
    return np.asarray(squared.argmin(axis=1), np.int64)
