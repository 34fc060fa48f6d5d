"""How a probability map changes while its walker does what nobody saw: stands, walks, or turns up elsewhere.

People stand, turn and take photos, and then walk on. In a time dt the walker has stood all along with probability
exp(-dt / standing_s). Else the displacement is that of an Ornstein-Uhlenbeck velocity: straight on at first, diffusive
once the direction is forgotten. A course that is known is kept half of the time, standing or not. A small leak lets
the walker turn up wherever the prior says people stand.
"""

from __future__ import annotations

from functools import lru_cache
from math import exp, expm1
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from core.campus.fusion_parameters import MotionParams
    from core.campus.grid import Grid

    Float32 = NDArray[np.float32]

_REACH = 3.5  # widths: beyond them a Gaussian has 0.05 % of its mass
_BLOCK = 64  # rows of a banded product, of which only the band is multiplied; 32 to 84 take as long
_STANDS_STILL = 0.02  # cells: a shorter way than this changes no map
_ON_COURSE = 0.5  # the probability that a course, once known, is kept until the next photo
_LEAST_WAY = 0.5  # cells: a shorter way on course is not worth a blur of its own
_COURSE_WIDTH = 0.5  # of the width without a course: speed and direction still change
NO_DRIFT = (0.0, 0.0)


class Motion:
    """The transition of a map on one grid, forward in time, and its transpose for messages backward in time."""

    def __init__(self, grid: Grid, prior: Float32, params: MotionParams) -> None:
        """`prior`: (rows, columns) float32, sums to 1."""
        self.grid, self.prior, self.params = grid, prior, params

    def forward(self, mass: Float32, dt_s: float, drift_m_s: tuple[float, float] = NO_DRIFT) -> Float32:
        """A map `dt_s` seconds later; it still sums to 1, but for who left the grid on course.

        `drift_m_s`: (east, north) the course that may be kept.
        """
        kept, leaked = self._walk(mass, dt_s, drift_m_s, transpose=False)
        kept += np.float32(leaked) * self.prior
        return kept

    def backward(self, message: Float32, dt_s: float, drift_m_s: tuple[float, float] = NO_DRIFT) -> Float32:
        """What a likelihood of later photos says of each cell `dt_s` seconds earlier."""
        kept, leaked = self._walk(message, dt_s, drift_m_s, transpose=True)
        kept += np.float32(leaked * float(np.vdot(self.prior, message)))
        return kept

    def _walk(
        self, values: Float32, dt_s: float, drift_m_s: tuple[float, float], transpose: bool
    ) -> tuple[Float32, float]:
        """All but the leak, and the leak's share."""
        p = self.params
        leaked = -expm1(-dt_s / p.leak_s)
        width = p.width_m(dt_s) / self.grid.cell_m
        # A course is forgotten as a direction is: nobody walks straight on for minutes.
        way_s = p.persistence_s * -expm1(-dt_s / p.persistence_s)
        east, north = (speed * way_s / self.grid.cell_m for speed in drift_m_s)
        on_course = _ON_COURSE if abs(east) + abs(north) >= _LEAST_WAY else 0.0
        stood = (1 - on_course) * exp(-dt_s / p.standing_s)
        kept = np.float32((1 - leaked) * stood) * values
        if (walked := 1 - on_course - stood) > 0:
            kept += np.float32((1 - leaked) * walked) * _blur(values, width, 0.0, 0.0, transpose)
        if on_course:
            moved = _blur(values, width * _COURSE_WIDTH, east, north, transpose)
            kept += np.float32((1 - leaked) * on_course) * moved
        return kept, leaked


def _blur(values: Float32, width: float, east: float, north: float, transpose: bool) -> Float32:
    """Blur by `width` about a shift, all in cells; what would leave the grid stays in the cells near its edge."""
    if width < _STANDS_STILL:
        return values
    rows, columns = (_band(count, width, s, transpose) for count, s in zip(values.shape, (north, east), strict=True))
    return rows.times(columns.times(values.T).T)


class Band:
    """A banded matrix that spreads each of `count` cells as a Gaussian of `width` about a shift, in cells.

    Each of its columns adds up to 1, unless `whole` is false: then what leaves the grid is lost. `transpose`: it is
    the transpose of that.
    """

    def __init__(
        self, count: int, width: float, shift: float = 0.0, transpose: bool = False, whole: bool = True
    ) -> None:
        self.count = count
        shift = float(np.clip(shift, -count, count))
        reach = max(1, int(np.ceil(_REACH * width)))
        # The lowest and highest distance, in cells, from a source to where it may get.
        low, high = max(int(np.floor(shift)) - reach, 1 - count), min(int(np.ceil(shift)) + reach, count - 1)
        profile = np.exp(-0.5 * ((np.arange(1 - count, count) - shift) / width) ** 2)
        profile[: low + count - 1] = profile[high + count :] = 0.0
        sums = np.concatenate([[0.0], np.cumsum(profile)])
        norm = sums[count:] - sums[:count]
        norm = norm[::-1] if whole else np.ones(count)
        share = np.where(norm > 1e-6, 1 / np.maximum(norm, 1e-6), 0.0)  # who could only leave the grid is gone
        if transpose:
            low, high = -high, -low
            profile = profile[::-1]
        # matrix[target, source] = profile[count - 1 + target - source], of which no exponential is taken twice.
        matrix = np.lib.stride_tricks.sliding_window_view(profile[::-1], count)[::-1]
        self._blocks = []
        for first in range(0, count, _BLOCK):
            last = min(first + _BLOCK, count)
            targets, sources = slice(first, last), slice(max(0, first - high), min(count, last - low))
            if sources.start < sources.stop:
                block = matrix[targets, sources] * (share[targets, None] if transpose else share[sources])
                self._blocks.append((targets, sources, block.astype(np.float32)))

    def times(self, values: Float32) -> Float32:
        """(count, K) float32 -> this matrix times it, (count, K)."""
        out = np.zeros((self.count, values.shape[1]), np.float32)
        for targets, sources, block in self._blocks:
            np.matmul(block, values[sources], out=out[targets])
        return out


@lru_cache(maxsize=32)
def _band(count: int, width: float, shift: float, transpose: bool) -> Band:
    """A camera's photos are equally far apart in time, and then the same band is needed again and again."""
    return Band(count, width, shift, transpose)
