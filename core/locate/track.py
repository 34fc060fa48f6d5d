"""Course and speed out of the last places of a walk, once they are known."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import atan2, degrees, hypot, sqrt

import numpy as np

_WINDOW_S = 25.0  # people turn corners: older places say nothing of the present course
_KEPT = 16
_LEAST_SPAN_S = 3.0
_PLACE_M = 2.0  # no place is known better than a label is
_MOVING_M_S = 0.25  # slower than anyone walks: standing
_TIMES_ERROR = 2.0


@dataclass(frozen=True)
class Velocity:
    """(east, north) in m/s, and the standard error of each."""

    east_m_s: float
    north_m_s: float
    error_m_s: float

    @property
    def speed_m_s(self) -> float:
        """0 while the walker stands, as far as anyone can tell."""
        return hypot(self.east_m_s, self.north_m_s) if self.moving else 0.0

    @property
    def moving(self) -> bool:
        speed = hypot(self.east_m_s, self.north_m_s)
        return speed >= _MOVING_M_S and speed >= _TIMES_ERROR * self.error_m_s

    @property
    def course_deg(self) -> float | None:
        """Clockwise from the grid's north, 0 to 360; None while the walker stands."""
        return degrees(atan2(self.east_m_s, self.north_m_s)) % 360 if self.moving else None


class Track:
    """The last places of a walk; memory does not grow."""

    def __init__(self) -> None:
        self._places: deque[tuple[float, float, float]] = deque(maxlen=_KEPT)
        self._velocity: Velocity | None = None

    def add(self, time_s: float, east_m: float, north_m: float) -> None:
        self._places.append((time_s, east_m, north_m))
        while time_s - self._places[0][0] > _WINDOW_S:
            self._places.popleft()
        self._velocity = self._line()

    def velocity(self) -> Velocity | None:
        """The straight line through the last places, by least squares; None while there are too few of them."""
        return self._velocity

    def _line(self) -> Velocity | None:
        if len(self._places) < 3 or self._places[-1][0] - self._places[0][0] < _LEAST_SPAN_S:
            return None
        places = np.array(self._places)
        at_s = places[:, 0] - places[:, 0].mean()
        spread = float(at_s @ at_s)
        off = places[:, 1:] - places[:, 1:].mean(axis=0)
        east, north = at_s @ off / spread
        rest = off - at_s[:, None] * (east, north)
        variance = float((rest**2).sum()) / (2 * max(len(places) - 2, 1)) + _PLACE_M**2
        return Velocity(float(east), float(north), sqrt(variance / spread))
