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
        # One sorted list of all photos' rows: each photo's own lie in a range of their own.
        span = int(max(self.rows.max(initial=0), rows.max(initial=0))) + 1
        start = span * np.arange(len(rows))[:, None]
        known = (self.rows + start).ravel()
        order = np.argsort(known)
        place = np.minimum(np.searchsorted(known, rows + start, sorter=order), len(known) - 1)
        return np.where(known[order[place]] == rows + start, self.log_ratio.ravel()[order[place]], 0.0)

    def of(self, photos: Index | slice) -> Evidence:
        """The evidence of some photos of the batch."""
        return Evidence(self.rows[photos], self.log_ratio[photos])

    def scaled(self, weight: float) -> Evidence:
        """The same evidence, weighed."""
        return Evidence(self.rows, self.log_ratio * weight)
