"""What another way of running the network costs, in metres: the fixes of INT8 beside those of FP32."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from core.campus.manifest import Parity
from core.engines.heads import Heads
from core.locate.posterior import Posterior

if TYPE_CHECKING:
    from numpy.typing import NDArray

INT8_MAX_COST = 0.05  # INT8 becomes the CPU's model where it adds at most this share to FP32's mean error


def positions_m(posterior: Posterior, heads: Heads) -> NDArray[np.float64]:
    """(N, 2) local metres: where each photo of a batch of heads is located."""
    return np.array([posterior.map(heads.one(row)).median_m() for row in range(len(heads))])


def int8_parity(fp32_m: NDArray[np.float64], int8_m: NDArray[np.float64], truth_m: NDArray[np.float64]) -> Parity:
    """The mean errors of both, and how far apart their fixes are; each (N, 2) local metres."""
    return Parity(
        fp32_mean_m=mean_distance_m(fp32_m, truth_m),
        int8_mean_m=mean_distance_m(int8_m, truth_m),
        apart_mean_m=mean_distance_m(fp32_m, int8_m),
    )


def mean_distance_m(one_m: NDArray[np.float64], other_m: NDArray[np.float64]) -> float:
    """The mean distance in metres between the rows of two (N, 2) arrays of local metres."""
    return float(np.linalg.norm(one_m - other_m, axis=1).mean())
