"""How well new photos match the gallery without their own walk: what a second look tells other places (OOD) by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from core.campus.gallery import Gallery, nearest_neighbours
from core.campus.local_gallery import LocalGallery
from core.campus.manifest import SecondLook
from core.locate.threads import one_blas_thread
from core.locate.verification import match_strength
from train.bundle.calibrate import percentiles
from train.bundle.calibration_photos import CalibrationPhotos

Float32 = NDArray[np.float32]

MOST_MATCHED = 200  # new photos of one refresh: each takes 6 to 15 ms, and quantiles of more are no better


def with_strengths(
    photos: CalibrationPhotos, gallery: Gallery, local: LocalGallery, features: Sequence[Float32], look: SecondLook
) -> CalibrationPhotos:
    """The calibration photos with the best match strength of the last ones, whose local `features` these are.

    gallery and local: the grown campus's. Of many photos some are matched, evenly spread.
    """
    strength, first = photos.strength.copy(), len(photos) - len(features)
    chosen = first + np.linspace(0, len(features) - 1, min(len(features), MOST_MATCHED)).round().astype(int)
    assert photos.heads.embedding is not None
    with one_blas_thread():
        for walk in np.unique(photos.walk[chosen]):
            own = chosen[photos.walk[chosen] == walk]
            known = np.flatnonzero(photos.gallery_walk != walk)
            others = Gallery(gallery.embedding[known], gallery.local_m[known])
            near = nearest_neighbours(photos.heads.embedding[own], others, look.candidates)[0]
            for row, rows in zip(own, near, strict=True):
                strength[row] = match_strength(features[row - first], local.at(known[rows])).max()
    return replace(photos, strength=strength)


def ood_quantiles(look: SecondLook, photos: CalibrationPhotos) -> tuple[float, ...]:
    """How strange own photos are by both looks, as `SecondLook` has it; of those whose match strength is known."""
    told = np.isfinite(photos.strength)
    statistic = look.ood_statistic(photos.heads.own_ood_score[told], photos.strength[told])
    return percentiles(statistic)
