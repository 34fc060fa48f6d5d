"""What photos of other places look like, to a backbone that was trained on none: it tells strangers from hard photos.

The mean feature of 300 photos of the rendered demo campus ships with the program. No real photo is in it. Along the
direction in which a campus's own photos differ most from it (Fisher's linear discriminant, with the campus's own
covariance alone), photos of third places lie away from the campus as well: real ones too (RESULTS.md).
`python -m train.fit.elsewhere DEMO_DATASET` makes the file anew.
"""

from __future__ import annotations

import sys
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]

FILE = "elsewhere.npz"  # BACKBONE-SIZE -> (C,) float16
BACKBONES, SIZES = ("efficientnet_lite0",), (128, 192, 224, 288, 320)
PHOTOS = 300  # 30 of them serve as well
SHRINKAGE = 1.0  # of the campus's covariance, in shares of its mean variance; 0.3 to 3 do
# What one standard deviation of the campus's photos along the direction counts beside a cosine; 0.02 to 0.04 do.
WEIGHT = 0.03
LEAST_SPREAD = 1e-6  # less is rounding


def mean_feature(backbone: str, image_size: int) -> Float32 | None:
    """(C,) the mean unit feature of other places, at the size nearest to `image_size`; None where none is known."""
    with np.load(str(files(__package__) / FILE)) as known:
        sizes = [int(name.rsplit("-", 1)[1]) for name in known.files if name.rsplit("-", 1)[0] == backbone]
        if not sizes:
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
    # Woodbury's identity: of few photos the Gram matrix is the smaller one.
    gram = spread @ spread.T + shrinkage * np.eye(len(unit))
    direction = away - spread.T @ np.linalg.solve(gram, spread @ away)
    return np.asarray(direction * WEIGHT / np.linalg.norm(spread @ direction), np.float32)


def unit_length(features: Float32) -> Float32:
    """(N, C) rows at unit length."""
    return np.asarray(features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12), np.float32)


def _make(dataset: Path) -> None:
    """Write the file from PHOTOS photos of a dataset, drawn by a fixed seed."""
    from train.dataset.dataset import Dataset
    from train.dataset.images import decode_images
    from train.fit.recipes.whitened import WhitenedConfig
    from train.fit.whitened_net import last_map_mean, pooled_features, pretrained_net

    paths = Dataset.load(dataset).image_paths
    chosen = [paths[row] for row in np.random.default_rng(0).permutation(len(paths))[:PHOTOS]]
    means = {}
    for backbone in BACKBONES:
        for size in SIZES:
            net, _ = pretrained_net(WhitenedConfig(backbone=backbone, image_size=size))
            plain = last_map_mean(net, pooled_features(net, decode_images(chosen, size)))
            means[f"{backbone}-{size}"] = unit_length(plain).mean(axis=0).astype(np.float16)
    np.savez_compressed(Path(__file__).with_name(FILE), **means)  # type: ignore[arg-type]


if __name__ == "__main__":
    _make(Path(sys.argv[1]))
