"""Cross-fitting: which photos a network and its gallery have not seen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.network.backbones import pooled_widths
from core.network.campus_net import CampusNet
from core.network.net_config import NetConfig
from tests.small_backbones import CNN
from tests.train.fit.training_sets import SIZE, make_task
from train.bundle.held_out import cross_fitted, heads_of, largest
from train.dataset.dataset import Dataset
from train.fit.recipes.whitened import WhitenedConfig
from train.fit.training_data import TrainingData


@pytest.fixture(scope="module")
def net() -> CampusNet:
    return make_net()


def make_net(backbone: str = CNN) -> CampusNet:
    config = NetConfig(backbone=backbone, image_size=SIZE, layout="whitened", pooling="multi", embedding=1)
    return CampusNet(config).eval()


def make_sessions(root: Path, sessions: int) -> TrainingData:
    task = make_task(root, WhitenedConfig(image_size=SIZE))
    table = task.dataset.table.assign(session=[f"s{row % sessions}" for row in range(len(task.local_m))])
    return replace(task, dataset=Dataset(root, table, root))


def test_each_session_is_answered_without_itself_and_without_each_other_one(net: CampusNet, tmp_path: Path) -> None:
    task = make_sessions(tmp_path, 4)
    features = np.random.default_rng(0).normal(0, 1, (88, sum(pooled_widths(net.config)))).astype(np.float32)
    fitted = cross_fitted(net, task, features)
    assert [len(part.truth_m) for part in fitted.held_out] == [20] * 4
    assert [len(part.truth_m) for part in fitted.fewer] == [20] * 12  # each beside each of the three others
    assert all(part.gallery is not None and len(part.gallery) == 60 for part in fitted.held_out)
    assert all(part.gallery is not None and len(part.gallery) == 40 for part in fitted.fewer)
    for part in fitted.fewer:
        assert part.gallery is not None
        apart = np.abs(part.gallery.local_m - part.truth_m.astype(np.float32)[:, None]).max(axis=2)
        assert apart.min() > 1e-3
    assert cross_fitted(net, make_sessions(tmp_path, 3), features).fewer == ()


def test_a_network_is_kept_that_has_not_seen_the_largest_part(net: CampusNet, tmp_path: Path) -> None:
    task = make_sessions(tmp_path, 3)  # sessions of 27, 27 and 26 photos
    features = np.random.default_rng(0).normal(0, 1, (88, sum(pooled_widths(net.config)))).astype(np.float32)
    fitted = cross_fitted(net, task, features)
    index = largest(fitted.asked)
    asked, part = fitted.asked[index], fitted.held_out[index]
    assert len(asked) == max(len(rows) for rows in fitted.asked)
    apart, whole = (heads_of(one, features[asked]).embedding for one in (fitted.apart, fitted.net))
    assert apart is not None
    assert whole is not None
    assert part.heads.embedding is not None
    np.testing.assert_allclose(apart, part.heads.embedding, atol=1e-5)
    assert apart.shape != whole.shape or np.abs(apart - whole).max() > 0.01
