"""Photos of other places are refused by what the fold's other sessions show, and not by what the place itself does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from core.network.backbones import pooled_widths
from core.network.weights import load_imagenet_weights
from tests.train.bundle.test_held_out import make_net, make_sessions
from train.bundle.ood_refusals import refusals
from train.fit.elsewhere import mean_feature

LITE0 = "efficientnet_lite0"  # what other places look like ships for it


def test_strangers_are_refused_and_most_own_photos_are_not(tmp_path: Path) -> None:
    net, task = make_net(LITE0), make_sessions(tmp_path, 3)
    load_imagenet_weights(net)
    rng = np.random.default_rng(0)
    width = sum(pooled_widths(net.config))

    def photos_like(look: np.ndarray, count: int) -> np.ndarray:  # type: ignore[type-arg]
        return (look + rng.normal(0, 0.2, (count, width))).astype(np.float32).clip(0)

    own = rng.uniform(0, 1, width)
    known = mean_feature(LITE0, 32)
    assert known is not None
    other = np.concatenate([known * np.linalg.norm(own[: len(known)]), own[len(known) :]])
    features = photos_like(own, 88)
    folds = [task, replace(task, rows={**task.rows, "test": task.rows["train"][:8], "train": task.rows["train"][8:]})]
    tested, stranger, same = refusals(net, folds, features, [photos_like(other, 30), photos_like(own, 40)])
    assert (tested.n, stranger.n, same.n) == (16, 30, 40)
    assert stranger.share == 1
    assert tested.share < 0.3
    assert same.share < 0.3
