"""Whether errors have grown since the campus was measured, of the same kind of photos then and now."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import numpy as np
from numpy.typing import NDArray

from core.campus.manifest import Metrics
from train.evaluate.metrics import ALL_PHOTOS


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


def compared(refused: NDArray[np.bool_], measured: Metrics) -> tuple[NDArray[np.bool_], float, str]:
    """(N,) which field photos compare with the held-out ones, the median error of these, and of which both are.

    Accepted photos compare with accepted ones. Of a campus that keeps no figure of those (earlier versions made it, or
    a refresh measured it) all are compared with all: refused ones are in its figure, too.
    """
    if measured.accepted is not None:
        return ~refused, measured.accepted.median_m, "accepted photos"
    return np.ones(len(refused), np.bool_), measured.median_m, ALL_PHOTOS


def growth(error_m: NDArray[np.float64], refused: NDArray[np.bool_], measured: Metrics | None) -> Growth | None:
    """(N,) errors of field photos in metres, and which are refused; None where nothing compares."""
    if measured is None:
        return None
    rows, was_m, of = compared(refused, measured)
    return Growth(float(np.median(error_m[rows])), was_m, of) if rows.any() else None
