"""A way to train to begin with: copy it to train/fit/recipes/NAME.py, and `train fit --recipe NAME` finds it.

This one learns positions by their squared error, and zones. `python -m train compare` sets it beside the others on the
same folds; constants are chosen there with `--on calibration`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from core.network.campus_net import Outputs
from train.fit.augment import augment
from train.fit.config import FitConfig
from train.fit.recipe import Recipe
from train.fit.training_data import SCALE_M, CalibrationErrors, TrainingData


@dataclass(frozen=True, kw_only=True)
class PlainConfig(FitConfig):
    """What a run of this recipe is known by; saved beside it, and told to `fit` and `compare` by these names."""

    recipe: str = __name__.rpartition(".")[2]  # the file's name
    backbone: str = "efficientnet_lite0"
    layout: Literal["campus", "original", "whitened"] = "campus"  # of the network's heads
    embedding: int = 64
    photos_per_zone: int = 8
    epochs: int = 24
    learning_rate: float = 1e-3
    zone_loss_weight: float = 0.1


class Plain(Recipe):
    """What changes while training, and is part of a checkpoint, is a buffer; nothing else may."""

    def __init__(self, task: TrainingData, config: PlainConfig) -> None:
        super().__init__(task, config)
        self.config = config

    def order(self, generator: torch.Generator) -> Tensor:
        return torch.randperm(len(self.target_m), generator=generator)

    def views(self, photos: Tensor, chosen: Tensor, generator: torch.Generator) -> tuple[Tensor, ...]:
        return (augment(photos, self.night[chosen], generator, 0.0),)

    def loss(self, views: Sequence[Outputs], chosen: Tensor) -> Tensor:
        (heads,) = views
        target_m = self.target_m[chosen]
        assert heads.zone_logits is not None
        zone = torch.cdist(target_m, self.zone_centres_m).argmin(dim=1)
        return F.mse_loss(heads.offset, target_m / SCALE_M) + self.config.zone_loss_weight * F.cross_entropy(
            heads.zone_logits, zone
        )

    def learning_rate_factor(self, step: int, steps: int) -> float:
        return 1 - step / steps

    def score_m(self, errors: CalibrationErrors) -> float:
        return errors.regression_m


CONFIG, RECIPE = PlainConfig, Plain
