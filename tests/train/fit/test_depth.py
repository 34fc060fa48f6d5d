"""How much of the backbone learns is what calibration photos choose."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import pytest

from core.errors import CampusError
from tests.small_backbones import CNN, small_backbone
from tests.train.fit.training_sets import SIZE, make_task
from train.fit import depth
from train.fit.config import EVERY_STAGE
from train.fit.fit import fit
from train.fit.recipes.campus import CampusConfig
from train.fit.run_folder import Epoch, read_config, read_log
from train.fit.trainer import Trainer


@pytest.fixture
def config(tmp_path: Path) -> CampusConfig:
    small_backbone(CNN, SIZE, tmp_path / "weights.pth")
    return CampusConfig(backbone=CNN, weights=str(tmp_path / "weights.pth"), image_size=SIZE, epochs=5, batch=32)


@pytest.mark.parametrize("best", depth.FROZEN_TRIED)
def test_the_depth_that_is_nearest_on_calibration_photos_is_kept(
    best: int, config: CampusConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = []

    def measured(trainer: Trainer) -> Epoch:
        trained.append((trainer.config.frozen_stages, trainer.config.epochs))
        learning = any(parameter.requires_grad for parameter in trainer.net.backbone.parameters())
        score_m = 10.0 if learning == (best != EVERY_STAGE) else 20.0
        return Epoch(len(trained), 1.0, 30.0, 30.0, 30.0, score_m=score_m, seconds=1.0)

    monkeypatch.setattr(Trainer, "measured_epoch", measured)
    assert depth.with_depth(make_task(tmp_path / "dataset", config), config) == replace(config, frozen_stages=best)
    assert trained == [(stages, 2) for stages in depth.FROZEN_TRIED for _ in range(2)]  # a third of five epochs


def test_a_depth_that_is_given_is_not_tried(config: CampusConfig, tmp_path: Path) -> None:
    given = replace(config, frozen_stages=1)
    assert depth.with_depth(make_task(tmp_path / "dataset", config), given) is given
    with pytest.raises(CampusError, match=r"^--frozen-stages -1: must be at least 0"):
        replace(config, frozen_stages=-1)


def test_a_run_keeps_the_depth_that_it_chose(
    config: CampusConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(config, epochs=2)
    task = make_task(tmp_path / "dataset", config)
    run = fit(task, tmp_path / "run", replace(config, minutes=0.0))
    chosen = read_config(run).frozen_stages
    assert chosen in depth.FROZEN_TRIED
    assert len(read_log(run)) == 1
    monkeypatch.setattr(depth, "_score_m", None)  # nothing is tried again
    fit(task, run, config, resume=True)
    assert asdict(read_config(run)) == asdict(replace(config, frozen_stages=chosen))
    assert len(read_log(run)) == 2
