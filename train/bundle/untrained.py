"""Never worse than no training: a backbone's untrained features in place of a trained network, or beside it."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from core.campus.gallery import Gallery
from core.errors import CampusError
from train.bundle.calibrate import positions_off_m, posterior_parameters
from train.bundle.held_out import Fitted, Ground, HeldOut, folds, gallery_of, heads_of
from train.bundle.parts import ground_of
from train.fit.config import FitConfig
from train.fit.recipes.whitened import WhitenedConfig

if TYPE_CHECKING:  # torch is imported where it works, so that the command tells its options without it
    from core.network.campus_net import CampusNet
    from train.fit.training_data import TrainingData

Float = NDArray[np.float64]
Float32 = NDArray[np.float32]

log = logging.getLogger(__name__)

SHARES = (0.25, 0.5, 0.75)  # of a similarity that untrained features may have beside learned ones
LEAST_GAIN = 0.05  # of the error, for a network that takes more than half as long again


def nearer_than_trained(trained: Fitted, task: TrainingData, fit: FitConfig) -> tuple[CampusNet, FitConfig] | None:
    """The network that is nearer than `trained` on the calibration split, rounded, and its recipe; None where none is.

    Tried are the backbone's untrained features, whitened across the sessions of the training split, alone and beside
    the learned embedding. Each answers by a posterior that is fitted on other sessions than those it is judged by.
    None, too, where the untrained weights cannot be had.
    """
    from core.network.onnx_export import round_weights
    from train.fit.whitened_net import pooled_features, pretrained_net, sessions_of, whitened_across

    if fit.recipe == WhitenedConfig.recipe:
        return None
    config = WhitenedConfig(backbone=fit.backbone, image_size=fit.image_size, seed=fit.seed, weights=fit.weights)
    try:
        untrained, _ = pretrained_net(config)
    except CampusError as error:
        log.info("not compared with untrained features: %s", error)
        return None
    round_weights(untrained)
    training, calibration = task.rows["train"], task.rows["calibration"]
    session = sessions_of(task)
    features = {part: pooled_features(untrained, task.images[task.rows[part]]) for part in ("train", "calibration")}
    whitened = whitened_across(untrained, features["train"], task.local_m[training], session[training])
    gallery = gallery_of(heads_of(whitened, features["train"]), task.local_m[training])
    plain = HeldOut(heads_of(whitened, features["calibration"]), task.local_m[calibration], gallery)
    (learned,) = trained.held_out
    share = nearest_share(learned, plain, session[calibration], ground_of(task, training))
    if share == 0:
        return None
    return (untrained, config) if share == 1 else (trained.net.beside(whitened, share), fit)


def nearest_share(learned: HeldOut, untrained: HeldOut, session: NDArray[np.str_], ground: Ground) -> float:
    """The untrained features' share of a similarity that has the least error on photos of (N,) sessions.

    0 is the learned embedding alone, 1 the untrained features alone. What both at once gain must be LEAST_GAIN, and
    twice its standard error, since the best of some is taken.
    """
    parts = {0.0: learned, **{share: beside(learned, untrained, share) for share in SHARES}, 1.0: untrained}
    errors_m = {share: cross_fitted_m(part, session, ground) for share, part in parts.items()}
    error_m = {share: float(errors.mean()) for share, errors in errors_m.items()}
    alone = min((0.0, 1.0), key=error_m.__getitem__)
    both = min(SHARES, key=error_m.__getitem__)
    gain_m = errors_m[alone] - errors_m[both]
    asked_m = max(LEAST_GAIN * error_m[alone], 2 * float(gain_m.std()) / len(gain_m) ** 0.5)
    share = both if gain_m.mean() >= asked_m else alone
    log.info(
        "calibration error trained %.1f m, untrained %.1f m, both %.1f m: %s",
        error_m[0.0],
        error_m[1.0],
        error_m[both],
        "training pays"
        if share == 0
        else "training does not pay, the bundle holds the untrained features"
        if share == 1
        else f"the bundle holds both, {share:.0%} of a similarity untrained",
    )
    return share


def beside(learned: HeldOut, untrained: HeldOut, share: float) -> HeldOut:
    """The same photos by both embeddings at once, as `CampusNet.beside` has them."""

    def both(one: Float32 | None, other: Float32 | None) -> Float32:
        assert one is not None
        assert other is not None
        return np.concatenate([(1 - share) ** 0.5 * one, share**0.5 * other], axis=1).astype(np.float32)

    assert learned.gallery is not None
    assert untrained.gallery is not None
    gallery = Gallery(both(learned.gallery.embedding, untrained.gallery.embedding), learned.gallery.local_m)
    heads = replace(learned.heads, embedding=both(learned.heads.embedding, untrained.heads.embedding))
    return replace(learned, heads=heads, gallery=gallery)


def cross_fitted_m(part: HeldOut, session: NDArray[np.str_], ground: Ground) -> Float:
    """(N,) errors in metres of photos of (N,) sessions, each by a posterior that is fitted on other sessions.

    Of one session, halves of it stand for sessions.
    """
    masks = folds(session)
    if len(masks) == 1:
        half = np.arange(len(session)) < len(session) // 2
        masks = [half, ~half]
    error_m = np.empty(len(session))
    for mask in masks:
        error_m[mask] = positions_off_m(part.at(mask), ground, posterior_parameters([part.at(~mask)], ground))
    return error_m
