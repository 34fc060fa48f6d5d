"""Which way the camera looked: the heading output of the network read as a direction with a spread."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Float = NDArray[np.float64]


def direction_deg(heading: NDArray[np.float32]) -> Float:
    """(B, 2) east and north -> (B,) degrees clockwise from true north, 0 up to 360."""
    east, north = heading.astype(np.float64).T
    return np.asarray(np.degrees(np.arctan2(east, north)) % 360)


def raw_spread_deg(heading: NDArray[np.float32]) -> Float:
    """(B, 2) -> (B,) degrees: 1 / sqrt(length), the standard deviation of a concentrated von Mises distribution."""
    concentration = np.linalg.norm(heading.astype(np.float64), axis=1)
    return np.asarray(np.degrees(1 / np.sqrt(np.maximum(concentration, 1e-6))))


def angle_between_deg(a: Float, b: Float) -> Float:
    """The smaller angle between two directions in degrees, 0 to 180; NaN where either is unknown."""
    return np.asarray(np.abs((a - b + 180) % 360 - 180))
