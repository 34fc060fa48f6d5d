"""What is fitted on the calibration split, as the bundle keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Float = NDArray[np.float64]
    Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class PosteriorParams:
    """What is fitted on the calibration split. Weights are those of the components, and the four sum to 1."""

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
    sharpness: float = 1.0  # the fix is the median of the map to this power; probabilities and radii are the map's own
