"""Never worse than no training: a trained network beside its backbone's untrained features, on calibration photos."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from core.errors import CampusError
from train.bundle.calibrate import positions_off_m, posterior_parameters
from train.bundle.held_out import Fitted, Ground, HeldOut, folds, gallery_of, heads_of
from train.bundle.parts import ground_of
from train.fit.config import FitConfig
from train.fit.recipes.whitened import WhitenedConfig

if TYPE_CHECKING:  # torch is imported where it works, so that the command tells its options without it
    from core.network.campus_net import CampusNet
    from train.fit.training_data import TrainingData

log = logging.getLogger(__name__)


def where_training_does_not_pay(
    trained: Fitted, task: TrainingData, fit: FitConfig
) -> tuple[CampusNet, WhitenedConfig] | None:
    """The untrained backbone and its recipe where they are nearer than `trained` on the calibration split, else None.

    Untrained features are whitened across the sessions of the training split. Both answer by a posterior that is fitted
    on other sessions than those it is judged by. None, too, where the untrained weights cannot be had.
    """
    from train.fit.whitened_net import pooled_features, pretrained_net, sessions_of, whitened_on

    if fit.recipe == WhitenedConfig.recipe:
        return None
    config = WhitenedConfig(backbone=fit.backbone, image_size=fit.image_size, seed=fit.seed, weights=fit.weights)
    try:
        untrained, _ = pretrained_net(config)
    except CampusError as error:
        log.info("not compared with untrained features: %s", error)
        return None
    training, calibration = task.rows["train"], task.rows["calibration"]
    session = sessions_of(task.dataset, task.splits.config.group_by)
    features = {part: pooled_features(untrained, task.images[task.rows[part]]) for part in ("train", "calibration")}
    whitened = whitened_on(untrained, features["train"], task.local_m[training], session[training])
    gallery = gallery_of(heads_of(whitened, features["train"]), task.local_m[training])
    part = HeldOut(heads_of(whitened, features["calibration"]), task.local_m[calibration], gallery)
    ground = ground_of(task, training)
    parts = (*trained.held_out, part)
    trained_m, untrained_m = (cross_fitted_m(one, session[calibration], ground) for one in parts)
    pays = trained_m <= untrained_m
    log.info(
        "calibration error trained %.1f m, untrained %.1f m: %s",
        trained_m,
        untrained_m,
        "training pays" if pays else "training does not pay, the bundle holds the untrained features",
    )
    return None if pays else (untrained, config)


def cross_fitted_m(part: HeldOut, session: NDArray[np.str_], ground: Ground) -> float:
    """The mean error in metres of photos of (N,) sessions, each by a posterior that is fitted on other sessions.

    Of one session, halves of it stand for sessions.
    """
    masks = folds(session)
    if len(masks) == 1:
        half = np.arange(len(session)) < len(session) // 2
        masks = [half, ~half]
    error_m = [positions_off_m(part.at(mask), ground, posterior_parameters([part.at(~mask)], ground)) for mask in masks]
    return float(np.concatenate(error_m).mean())
