"""A bundle is never worse than its backbone's untrained features, by photos of other sessions."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from core.network.campus_net import CampusNet
from core.network.net_config import NetConfig
from core.network.weights import saved_net_config
from tests.train.bundle.test_held_out import make_sessions
from tests.train.fit.training_sets import SIZE
from train.bundle.calibrate import positions_off_m
from train.bundle.held_out import cross_fitted, held_out_split
from train.bundle.parts import fitted_and_calibrated, ground_of
from train.bundle.untrained import cross_fitted_m, where_training_does_not_pay
from train.fit.fit import fit
from train.fit.recipes import new_config
from train.fit.recipes.whitened import WhitenedConfig
from train.fit.run_folder import BEST, CONFIG
from train.fit.training_data import TrainingData


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    return make_sessions(tmp_path_factory.mktemp("dataset"), 3)


@pytest.fixture(scope="module")
def blind() -> CampusNet:
    """Heads that learned nothing."""
    torch.manual_seed(0)
    return CampusNet(NetConfig(image_size=SIZE, zones=8, embedding=16)).eval()


def test_training_that_made_it_worse_is_left_out(task: TrainingData, blind: CampusNet) -> None:
    config = new_config("campus", image_size=SIZE)
    found = where_training_does_not_pay(held_out_split(blind, task), task, config)
    assert found is not None
    net, kept = found
    assert (kept.recipe, kept.backbone, kept.image_size) == ("whitened", config.backbone, SIZE)
    session = np.array([f"s{row % 3}" for row in task.rows["calibration"]])
    ground = ground_of(task, task.rows["train"])
    blind_m = cross_fitted_m(held_out_split(blind, task).held_out[0], session, ground)
    fitted = cross_fitted(net, task)
    params, _ = fitted_and_calibrated(fitted, ground, task)
    bundled_m = np.concatenate([positions_off_m(part, ground, params) for part in fitted.held_out]).mean()
    assert bundled_m < blind_m


def test_training_that_pays_is_kept(task: TrainingData, tmp_path: Path) -> None:
    """Beside weights that see nothing, the heads of one epoch on ImageNet's are worth having."""
    config = new_config("campus", image_size=SIZE, epochs=1)
    run = fit(task, tmp_path / "run", config)
    trained = CampusNet(saved_net_config(json.loads((run / CONFIG).read_text())["net"])).eval()
    trained.load_state_dict(load_file(run / BEST))
    nothing = {name: torch.zeros_like(value) for name, value in trained.backbone.state_dict().items()}
    save_file(nothing, tmp_path / "nothing.safetensors")
    beside_nothing = replace(config, weights=str(tmp_path / "nothing.safetensors"))
    fitted = held_out_split(trained, task)
    assert where_training_does_not_pay(fitted, task, beside_nothing) is None
    assert where_training_does_not_pay(fitted, task, config) is not None


def test_what_was_not_trained_is_compared_with_nothing(task: TrainingData, blind: CampusNet) -> None:
    assert where_training_does_not_pay(held_out_split(blind, task), task, WhitenedConfig(image_size=SIZE)) is None


def test_without_its_weights_there_is_nothing_to_compare_with(task: TrainingData, blind: CampusNet) -> None:
    config = replace(new_config("campus", image_size=SIZE), weights="no-such-file.pth")
    assert where_training_does_not_pay(held_out_split(blind, task), task, config) is None
