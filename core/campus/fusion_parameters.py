"""How several photos become one fix, as the bundle keeps it: parameters, and radii for each number of photos."""

from __future__ import annotations

from dataclasses import dataclass
from math import expm1, sqrt


@dataclass(frozen=True)
class FusionParams:
    """How photos of one standpoint are fused; fitted on calibration bursts by likelihood.

    further_weight: what each photo after the first counts, 0 to 1. floor: the probability, 0 to 1, that a photo's map
    says nothing of its place. prior_exponent and prior_width_m: the prior is the density of the training positions,
    blurred by so many metres, to this power.
    """

    further_weight: float = 0.5
    floor: float = 0.2
    prior_exponent: float = 0.7
    prior_width_m: float = 15.0


@dataclass(frozen=True)
class MotionParams:
    """How a walker moves; fitted on calibration walks by likelihood.

    speed_m_s: root mean square while walking. persistence_s: how long a direction is kept. standing_s: how long a
    walker stands. leak_s: once in so many seconds the map is wrong about everything. memory_s: how long a photo's
    mistake is shared by those after it.
    """

    speed_m_s: float = 1.2
    persistence_s: float = 15.0
    standing_s: float = 4.0
    leak_s: float = 2000.0
    memory_s: float = 30.0

    def width_m(self, dt_s: float) -> float:
        """The standard deviation of the displacement along one axis in `dt_s` of walking.

        That of an Ornstein-Uhlenbeck velocity (Uhlenbeck and Ornstein, Phys. Rev. 1930).
        """
        keep = self.persistence_s
        return self.speed_m_s * sqrt(max(keep * dt_s + keep**2 * expm1(-dt_s / keep), 0.0))
