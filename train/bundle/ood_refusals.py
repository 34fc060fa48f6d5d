"""Out-of-distribution (OOD) photos: how many are refused by networks that were whitened without whole sessions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from core.engines.heads import Heads
from train.bundle.held_out import cross_fitted, heads_of
from train.bundle.parts import OFF_CAMPUS_SHARE
from train.dataset.images import decode_images
from train.dataset.ingest import find_photos
from train.evaluate.coverage import Proportion, proportion

if TYPE_CHECKING:
    from core.network.campus_net import CampusNet
    from train.fit.training_data import TrainingData

Float32 = NDArray[np.float32]


def features_of_place(net: CampusNet, folder: Path) -> Float32:
    """(N, F) the pretrained features of the photos in a folder.

    Raises DatasetError where it holds none, PhotoError for one that cannot be read.
    """
    from train.fit.whitened_net import pooled_features

    paths = [folder / name for name in find_photos(folder)[0]]
    return pooled_features(net, decode_images(paths, net.config.image_size))


def refusals(
    net: CampusNet, folds: Sequence[TrainingData], features: Float32, places: Sequence[Float32]
) -> tuple[Proportion, ...]:
    """How many of the folds' own test photos are refused, then of the photos of each other place.

    features (M, F) of the dataset's photos, places (N, F) of each place's. A photo is refused where its OOD score is
    above all but OFF_CAMPUS_SHARE of those that the fold's other sessions have, each without itself: the first look's
    rule. A photo of another place is asked of every fold, and counts as refused where most of them refuse it.
    """
    own, others = [], []
    for task in folds:
        fitted = cross_fitted(net, task, features)
        known = np.concatenate([_ood(part.heads) for part in fitted.held_out])
        limit = np.quantile(known, 1 - OFF_CAMPUS_SHARE)
        own.append(_ood(heads_of(fitted.net, features[task.rows["test"]])) > limit)
        others.append([_ood(heads_of(fitted.net, place)) > limit for place in places])
    by_most = (np.mean(by_fold, axis=0) > 0.5 for by_fold in zip(*others, strict=True))
    return tuple(proportion(hit) for hit in (np.concatenate(own), *by_most))


def _ood(heads: Heads) -> Float32:
    assert heads.ood_score is not None
    return heads.ood_score[:, 0]
