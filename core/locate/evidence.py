"""What matches of local features say of gallery photos, beside the likeness of whole photos."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Float = NDArray[np.float64]
    Index = NDArray[np.intp]


@dataclass(frozen=True)
class Evidence:
    """Log-likelihood ratios of the gallery photos that a batch was matched with.

    rows (B, K) gallery rows, each at most once a photo; log_ratio (B, K), 0 where nothing matches.
    """

    rows: Index
    log_ratio: Float

    def at(self, rows: Index) -> Float:
        """(B, M) gallery rows -> (B, M) their ratios, 0 for those that were not matched."""
        order = np.argsort(self.rows, axis=1)
        known, ratio = (np.take_along_axis(values, order, axis=1) for values in (self.rows, self.log_ratio))
        found = np.zeros(rows.shape)
        for one in range(len(rows)):
            place = np.minimum(np.searchsorted(known[one], rows[one]), known.shape[1] - 1)
            found[one] = np.where(known[one][place] == rows[one], ratio[one][place], 0.0)
        return found

    def scaled(self, weight: float) -> Evidence:
        """The same evidence, weighed."""
        return Evidence(self.rows, self.log_ratio * weight)
