"""Whether errors have grown since the campus was measured, of the same kind of photos then and now."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import numpy as np
from numpy.typing import NDArray

from core.campus.manifest import Metrics
from train.evaluate.metrics import ALL_PHOTOS

ACCEPTED_PHOTOS = "accepted photos"


@dataclass(frozen=True)
class Growth:
    """The median error in metres now and when it was measured, and of which photos both are, in words."""

    now_m: float
    was_m: float
    of: str

    @property
    def times(self) -> float:
        """How many times as large it is now; infinitely many where half of the photos were not off at all."""
        return self.now_m / self.was_m if self.was_m else inf

    def rows(self, refused: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """(N,) which of the field photos were compared; `refused` (N,) are those that were refused."""
        return _rows(self.of, refused)


def growth(error_m: NDArray[np.float64], refused: NDArray[np.bool_], measured: Metrics | None) -> Growth | None:
    """(N,) errors of field photos in metres, and which are refused; None where nothing compares.

    Accepted photos compare with accepted ones. Of a campus that keeps no figure of those (earlier versions made it, or
    a refresh measured it) all are compared with all: refused ones are in its figure, too.
    """
    if measured is None:
        return None
    kept = measured.accepted
    was_m, of = (measured.median_m, ALL_PHOTOS) if kept is None else (kept.median_m, ACCEPTED_PHOTOS)
    rows = _rows(of, refused)
    return Growth(float(np.median(error_m[rows])), was_m, of) if rows.any() else None


def _rows(of: str, refused: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return ~refused if of == ACCEPTED_PHOTOS else np.ones(len(refused), np.bool_)
