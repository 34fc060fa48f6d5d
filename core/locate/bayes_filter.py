"""A Bayes filter over the campus grid: photos in the order of time -> where the walker is, and later where it was.

Pure maps: nothing here knows a photo or a network. The state is one map and a few thumbnails, however long it runs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from math import exp, isfinite
from typing import TYPE_CHECKING

import numpy as np

from core.errors import TimeReversed
from core.locate.fusion import COPY_CORRELATION, agreement, information, log_evidence
from core.locate.motion import NO_DRIFT, Motion
from core.locate.track import Track, Velocity

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from core.campus.fusion_parameters import FusionParams, MotionParams
    from core.campus.grid import Grid
    from core.locate.prior import Prior

    Float32 = NDArray[np.float32]

REMEMBERED = 32  # counted photos that a new one is compared with
# Mixed into every map, so that no place is ever ruled out for good and no map can be empty.
_NEVER_RULED_OUT = np.float32(1e-9)


@dataclass(frozen=True)
class Move:
    """What led from one photo's map to the next one's.

    dt_s: seconds of motion, 0 for the same picture again. drift_m_s: (east, north) the course that could be kept.
    weight: what the photo counted, 0 to 1.
    """

    dt_s: float
    drift_m_s: tuple[float, float]
    weight: float


@dataclass(frozen=True)
class Step:
    """One photo's step of a walk.

    mass: (rows, columns) float32, sums to 1: where the walker is, by all photos so far. agreement: the probability,
    given all photos so far, that its own map is right about the place.
    """

    mass: Float32 = field(repr=False)
    move: Move
    agreement: float


class WalkFilter:
    """Where a walker is, photo by photo; memory does not grow."""

    def __init__(self, grid: Grid, prior: Prior, fusion: FusionParams, motion: MotionParams) -> None:
        self.grid, self.prior, self.fusion = grid, prior, fusion
        self.motion = Motion(grid, prior.standing, motion)
        self.mass = prior.standing
        self.time_s: float | None = None
        self._track = Track()
        self._remembered: deque[tuple[float, Float32]] = deque(maxlen=REMEMBERED)
        self._stands = False  # whether the last step was the last counted picture

    @property
    def velocity(self) -> Velocity | None:
        """Course and speed; None while too little is known."""
        return self._track.velocity()

    def step(self, mass: Float32, time_s: float, thumbnail: Float32 | None = None, certainty: float = 1.0) -> Step:
        """Take in a photo's map, (rows, columns) float32, at `time_s` seconds on any clock.

        `thumbnail` tells copies, `certainty` (0 to 1) is what the photo is trusted; at 0 only time passes. Raises
        TimeReversed for a photo older than the last one, and for a time that is no number; the walk stays as it was.
        """
        self._check(time_s)
        news, same_again = self._news(time_s, thumbnail)
        # Nothing has moved where the same picture is seen again.
        dt_s = 0.0 if self.time_s is None or same_again else time_s - self.time_s
        evidence = log_evidence(mass, self.prior.reference, self.fusion.floor)
        velocity = self.velocity
        drift = (velocity.east_m_s, velocity.north_m_s) if velocity is not None and velocity.moving else NO_DRIFT
        move = Move(dt_s, drift, news * certainty * information(mass, evidence))
        self.mass = update(self.motion, self.mass, move, evidence)
        self.time_s = time_s
        self._track.add(time_s, *_main_place(self.grid, self.mass))
        self._stands = same_again
        if same_again:
            self._remembered[-1] = (time_s, self._remembered[-1][1])  # forgotten from when it was last seen
        elif thumbnail is not None and move.weight > 0:
            self._remembered.append((time_s, thumbnail))
            self._stands = True
        return Step(self.mass, move, agreement(self.mass, evidence, self.fusion.floor))

    def _check(self, time_s: float) -> None:
        if not isfinite(time_s):
            raise TimeReversed(
                f"a photo's time is {time_s}", remedy="give it in seconds, or leave it out to use the present"
            )
        if self.time_s is not None and time_s < self.time_s:
            raise TimeReversed(
                f"a photo is {self.time_s - time_s:.1f} s older than the one before it",
                remedy="add photos in the order of time, or start another walk where the clock was set back",
            )

    def _news(self, time_s: float, thumbnail: Float32 | None) -> tuple[float, bool]:
        """How much news a photo is after those before, 0 to 1, and whether it is the last counted picture again.

        What it shares with an earlier photo, a copy all and any other a part, is forgotten with time.
        """
        if self.time_s is None:
            return 1.0, False
        memory_s = self.motion.params.memory_s
        shared = (1.0 - self.fusion.further_weight) * exp(-(time_s - self.time_s) / memory_s)
        if thumbnail is None or not self._remembered:
            return 1.0 - shared, False
        alike = np.stack([seen for _, seen in self._remembered]) @ thumbnail >= COPY_CORRELATION
        # Where other photos came between, the camera may have moved, and the picture is as old as it is.
        if alike[-1] and self._stands:
            return 0.0, True
        times = [seen_s for (seen_s, _), copy in zip(self._remembered, alike, strict=True) if copy]
        if times:
            shared = max(shared, exp(-(time_s - max(times)) / memory_s))
        return 1.0 - shared, False


def update(motion: Motion, mass: Float32, move: Move, evidence: Float32) -> Float32:
    """One step of the filter: move, then multiply by the evidence to the power of its weight; sums to 1."""
    if move.dt_s == 0 and move.weight == 0:
        return mass
    moved = motion.forward(mass, move.dt_s, move.drift_m_s) if move.dt_s > 0 else mass
    if move.weight > 0:
        moved = moved * np.exp(np.float32(move.weight) * evidence)
    moved *= np.float32((1 - _NEVER_RULED_OUT) / moved.sum(dtype=np.float64))
    moved += _NEVER_RULED_OUT * motion.prior
    return moved


def smooth(
    motion: Motion, start: Float32, later: Float32, moves: Sequence[Move], evidence: Callable[[int], Float32]
) -> Iterator[tuple[int, Float32, Float32]]:
    """Forward and backward over N steps, last step first: (step, map by all photos, message to the step before).

    start: the map before the first of these steps; later: (rows, columns) what photos after them say of the last one's
    place, ones where there are none; evidence(i): the log evidence of step i. N forward maps are held in memory; call
    it on parts of a long walk, the last part first, with the last message of one part as `later` of the part before.
    (Rabiner, A tutorial on hidden Markov models, Proc. IEEE 1989: the forward-backward procedure.)
    """
    said = [evidence(index) for index in range(len(moves))]
    filtered = [start]
    for index, move in enumerate(moves):
        filtered.append(update(motion, filtered[-1], move, said[index]))
    message = later
    for index in reversed(range(len(moves))):
        move = moves[index]
        mass = filtered[index + 1] * message
        mass /= mass.sum(dtype=np.float64)
        if move.weight > 0:
            message = message * np.exp(np.float32(move.weight) * said[index])
        if move.dt_s > 0:
            message = motion.backward(message, move.dt_s, move.drift_m_s)
        message = np.asarray(message / message.max() + _NEVER_RULED_OUT, np.float32)
        yield index, np.asarray(mass, np.float32), message


def _main_place(grid: Grid, mass: Float32) -> tuple[float, float]:
    """(east, north) metres: the mean of the cells that hold the most mass, where a leak elsewhere does not pull."""
    held = np.flatnonzero(mass > 0.2 * mass.max())
    weight = mass.ravel()[held].astype(np.float64)
    weight /= weight.sum()
    row, column = np.divmod(held, grid.columns)
    return float(weight @ grid.east_m[column]), float(weight @ grid.north_m[row])
