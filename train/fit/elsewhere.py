"""What photos of other places look like, to a backbone that was trained on none: it tells them from hard photos.

The mean feature of 300 photos of the rendered demo campus ships with the program. No real photo is in it. Along the
direction in which a campus's own photos differ most from it (Fisher's linear discriminant, with the campus's own
covariance alone), photos of third places lie away from the campus as well: real ones too (RESULTS.md).
`python -m train.fit.make_elsewhere DEMO_DATASET` makes the file anew.
"""

from __future__ import annotations

from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from train.fit.whitening import unit_length

Float32 = NDArray[np.float32]

FILE = "elsewhere.npz"  # BACKBONE-SIZE -> (C,) float16
PROBE = "probe-"  # before a backbone's name: its unit feature of a fixed pattern, float16
SAME_WEIGHTS = 0.99  # cosine; what rounding leaves
SHRINKAGE = 1.0  # of the campus's covariance, in shares of its mean variance; 0.3 to 3 do
# What one standard deviation of the campus's photos along the direction counts beside a cosine; 0.02 to 0.04 do.
WEIGHT = 0.03
LEAST_SPREAD = 1e-6  # less is rounding


def mean_feature(backbone: str, image_size: int, probe: Float32 | None = None) -> Float32 | None:
    """(C,) the mean unit feature of other places, at the size nearest to `image_size`; None where none is known.

    probe: (C,) what the backbone says of a fixed pattern, which tells other weights from those that the features were
    made by; None: it has those.
    """
    with np.load(str(files(__package__) / FILE)) as known:
        sizes = [int(name.rsplit("-", 1)[1]) for name in known.files if name.rsplit("-", 1)[0] == backbone]
        if not sizes or not (probe is None or known[PROBE + backbone].astype(np.float32) @ probe > SAME_WEIGHTS):
            return None
        nearest = min(sizes, key=lambda size: abs(size - image_size))
        found: Float32 = known[f"{backbone}-{nearest}"].astype(np.float32)
    return found


def towards_elsewhere(plain: Float32, elsewhere: Float32) -> Float32:
    """(C,) the direction of unit features along which a campus's photos differ most from other places.

    From (N, C) plain features of the campus's photos, and (C,) the mean unit feature of other places. Along it the
    campus's photos have a standard deviation of WEIGHT; 0 where they do not differ among themselves.
    """
    unit = unit_length(plain).astype(np.float64)
    mean = unit.mean(axis=0)
    away = elsewhere - mean
    spread = (unit - mean) / np.sqrt(max(len(unit) - 1, 1))  # its covariance is spread.T @ spread
    if np.linalg.norm(spread) < LEAST_SPREAD:
        return np.zeros(len(mean), np.float32)
    shrinkage = SHRINKAGE * (spread**2).sum() / len(mean)
    if len(unit) < len(mean):  # Woodbury's identity: of few photos the Gram matrix is the smaller one
        gram = spread @ spread.T + shrinkage * np.eye(len(unit))
        direction = away - spread.T @ np.linalg.solve(gram, spread @ away)
    else:
        direction = np.linalg.solve(spread.T @ spread + shrinkage * np.eye(len(mean)), away)
    return np.asarray(direction * WEIGHT / np.linalg.norm(spread @ direction), np.float32)
