"""How much larger radii would have to be, followed photo by photo: adaptive conformal prediction."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]

STANDPOINT_M = 10.0
STEP = 0.05  # of the logarithm for each photo: after some 50 photos the start is forgotten


def adapted_factor(error_m: Float, radius_m: Float, share: float, step: float = STEP) -> Float:
    """(N,) errors and radii in the order of time -> (N,) the factor on the radius after each photo, from 1 on.

    A miss makes the factor larger by `share` steps, a hit smaller by `1 - share`, so that in the long run the share of
    misses is right whatever happens to the photos (Gibbs and Candès, Adaptive conformal inference under distribution
    shift, NeurIPS 2021; as a quantile tracker: Angelopoulos et al., Conformal PID control, NeurIPS 2023).
    """
    log_factor, out = 0.0, np.empty(len(error_m))
    for index, (error, radius) in enumerate(zip(error_m.tolist(), radius_m.tolist(), strict=True)):
        missed = error > radius * np.exp(log_factor)
        log_factor += step * (share if missed else share - 1)
        out[index] = np.exp(log_factor)
    return out


def stops(local_m: Float, time_s: Float, walk: NDArray[np.str_]) -> NDArray[np.int64]:
    """(N, 2) local metres, (N,) seconds or NaN, (N,) walks -> (N,) the standpoint of each photo, numbered in order.

    People stand still and take several photos, which hold or fail together. A standpoint ends where a walk does, or
    where a photo is farther than STANDPOINT_M from the standpoint's first.
    """
    order = np.lexsort((np.nan_to_num(time_s), np.unique(walk, return_inverse=True)[1]))
    out, number, first = np.empty(len(local_m), np.int64), -1, -1
    for row in order.tolist():
        new = first < 0 or walk[row] != walk[first] or np.hypot(*(local_m[row] - local_m[first])) > STANDPOINT_M
        if new:
            number, first = number + 1, row
        out[row] = number
    return out
