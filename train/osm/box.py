"""The rectangle of the Earth that a campus map covers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from core.campus.frame import LocalFrame

MARGIN_M = 100.0  # least of map beyond the outermost photo
MARGIN_SHARE = 0.35  # of the campus's longer side: a phone's screen is higher than wide


@dataclass(frozen=True)
class Box:
    """A rectangle in degrees, and the same in metres of a campus frame."""

    south: float
    west: float
    north: float
    east: float
    low_m: tuple[float, float]
    high_m: tuple[float, float]

    @classmethod
    def about(cls, local_m: ArrayLike, frame: LocalFrame) -> Box:
        """The square about (N, 2) positions in local metres, with a margin, so that no screen shows its edge."""
        points = np.asarray(local_m, np.float64).reshape(-1, 2)
        low, high = points.min(axis=0), points.max(axis=0)
        longer = float((high - low).max())
        half = longer / 2 + max(MARGIN_M, MARGIN_SHARE * longer)
        low, high = (low + high) / 2 - half, (low + high) / 2 + half
        corners = frame.to_latlon([low, (low[0], high[1]), high, (high[0], low[1])])
        (south, west), (north, east) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
        return cls(south, west, north, east, (float(low[0]), float(low[1])), (float(high[0]), float(high[1])))
