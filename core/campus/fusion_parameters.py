"""How several photos become one fix, as the bundle keeps it: parameters, and radii for each number of photos."""

from __future__ import annotations

from dataclasses import dataclass
from math import expm1, sqrt
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator


@dataclass(frozen=True)
class FusionParams:
    """How photos of one standpoint are fused; all but the first two are fitted on calibration bursts by likelihood.

    further_weight: what each photo after the first counts, 0 to 1. floor: the probability, 0 to 1, that a photo's map
    says nothing of its place. prior_exponent and prior_width_m: the prior is the density of the training positions,
    blurred by so many metres, to this power. common_weight: how much of what the other photos look like, 0 to 1, is
    taken off each photo. refused_until: where fewer photos than this are taken for this campus, refused ones beside
    them make up for what is missing, as far as their maps say what those say; 0: never.
    """

    further_weight: float = 0.5
    floor: float = 0.2
    prior_exponent: float = 0.7
    prior_width_m: float = 15.0
    common_weight: float = 0.0
    refused_until: float = 0.0


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


class RadiusCurve(BaseModel):
    """Split-conformal factors of both radii at some of the map's own 68 % radii (ascending), interpolated between."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    radius_at_m: tuple[float, ...] = Field(min_length=1, max_length=10_000)
    radius68_factors: tuple[Annotated[float, Field(gt=0, le=1e6)], ...]
    radius95_factors: tuple[Annotated[float, Field(gt=0, le=1e6)], ...]

    @model_validator(mode="after")
    def _one_factor_for_each_radius(self) -> RadiusCurve:
        if not len(self.radius_at_m) == len(self.radius68_factors) == len(self.radius95_factors):
            raise ValueError("radius_at_m and both lists of factors must be of one length")
        if sorted(self.radius_at_m) != list(self.radius_at_m):
            raise ValueError("radius_at_m must ascend")
        return self

    def radii_m(self, raw_m: tuple[float, ...]) -> tuple[float, float]:
        """The map's own radii for 68 and 95 % of its mass -> those that hold as many held-out fixes."""
        factor68, factor95 = (
            float(np.interp(raw_m[0], self.radius_at_m, factors))
            for factors in (self.radius68_factors, self.radius95_factors)
        )
        radius68_m = raw_m[0] * factor68
        return radius68_m, max(raw_m[1] * factor95, radius68_m)


class RadiusFactors(RadiusCurve):
    """The factors of one kind of fix, and how many held-out fixes they were taken from."""

    fixes: int = Field(ge=1)


RadiusKind = Literal["2", "3", "4+", "walk", "smoothed"]


class Fusion(BaseModel):
    """The manifest's section on several photos; a bundle made before there was one has these defaults.

    radii: for 2, 3, and 4 or more photos of one standpoint, for a walk and for a smoothed one; a kind that is absent
    has the radii of a single photo. first_look_radii: the same where photos are not looked at twice, of a campus that
    has a second look; empty: `radii`. photos, walks: how many calibration photos and walks it was fitted on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    together: FusionParams = FusionParams()
    motion: MotionParams = MotionParams()
    radii: dict[RadiusKind, RadiusFactors] = Field(default_factory=dict)
    first_look_radii: dict[RadiusKind, RadiusFactors] = Field(default_factory=dict)
    photos: int = 0
    walks: int = 0

    @field_validator("together")
    @classmethod
    def _probabilities(cls, params: FusionParams) -> FusionParams:
        sane = 0 <= params.further_weight <= 1 and 1e-6 <= params.floor <= 1 and 0 <= params.prior_exponent <= 4
        sane = sane and 0 <= params.common_weight <= 1 and 0 <= params.refused_until <= 100
        if not (sane and 0.1 <= params.prior_width_m <= 1e4):
            raise ValueError("has weights, a floor or a prior that cannot be")
        return params

    @field_validator("motion")
    @classmethod
    def _a_walker(cls, params: MotionParams) -> MotionParams:
        if not all(1e-3 <= value <= 1e9 for value in vars(params).values()):
            raise ValueError("is no way in which anything moves")
        return params
