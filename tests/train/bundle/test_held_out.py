"""Cross-fitting: which photos a network and its gallery have not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from core.network.backbones import pooled_widths
from core.network.campus_net import CampusNet
from core.network.net_config import NetConfig
from tests.small_backbones import CNN
from tests.train.fit.training_sets import COUNTS, SIZE, make_task
from train.bundle.held_out import cross_fitted, heads_of, largest
from train.dataset.dataset import Dataset
from train.dataset.split import SplitConfig, Splits
from train.fit.recipes.whitened import WhitenedConfig
from train.fit.training_data import TrainingData


@pytest.fixture(scope="module")
def net() -> CampusNet:
    return make_net()


def make_net(backbone: str = CNN) -> CampusNet:
    config = NetConfig(backbone=backbone, image_size=SIZE, layout="whitened", pooling="multi", embedding=1)
    torch.manual_seed(0)
    return CampusNet(config).eval()


def make_sessions(root: Path, sessions: int) -> TrainingData:
    return of_sessions(root, [f"s{row % sessions}" for row in range(sum(COUNTS.values()))])


def of_sessions(root: Path, sessions: Sequence[str], group_by: str | None = "standpoint") -> TrainingData:
    """The task with each of its photos in one of `sessions`."""
    task = make_task(root, WhitenedConfig(image_size=SIZE))
    splits = Splits(SplitConfig(group_by), task.splits.names)
    return replace(task, dataset=Dataset(root, task.dataset.table.assign(session=sessions), root), splits=splits)


def made_up_features(net: CampusNet) -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(0, 1, (88, sum(pooled_widths(net.config)))).astype(np.float32)


@pytest.mark.parametrize("group_by", ["standpoint", "session", None])
@pytest.mark.parametrize("strays", [1, 6, 26])
def test_a_session_of_nearly_all_photos_is_not_answered_by_the_few_of_others(
    strays: int, group_by: str | None, net: CampusNet, tmp_path: Path
) -> None:
    of_80 = ["walk"] * (80 - strays) + ["later"] * strays
    fitted = cross_fitted(net, of_sessions(tmp_path, [*of_80, *["walk"] * 8], group_by), made_up_features(net))
    assert sorted(fitted.asked_rows) == list(range(80))
    assert all(part.gallery is not None and len(part.gallery) >= 80 / 3 for part in fitted.held_out)


def test_two_sessions_of_which_one_has_a_third_answer_each_other(net: CampusNet, tmp_path: Path) -> None:
    sessions = ["walk"] * 53 + ["later"] * 35
    fitted = cross_fitted(net, of_sessions(tmp_path, sessions), made_up_features(net))
    assert sorted(len(rows) for rows in fitted.asked) == [27, 53]


def test_what_one_more_session_brings_is_not_told_by_a_few_stray_photos(net: CampusNet, tmp_path: Path) -> None:
    sessions = ["a"] * 44 + ["b"] * 34 + ["c"] + ["d"] * 9  # without a and b, two of 80 photos would be left
    fitted = cross_fitted(net, of_sessions(tmp_path, sessions), made_up_features(net))
    assert len(fitted.asked) == 4
    assert fitted.fewer == ()


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
