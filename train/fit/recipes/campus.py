"""The recipe of this project: each head learns by the likelihood of its own mixture component."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.network.campus_net import Outputs
from train.fit.augment import augment
from train.fit.config import FitConfig
from train.fit.losses import heading_nll, regression_nll, retrieval_nll, zone_nll
from train.fit.recipe import Recipe
from train.fit.training_data import SCALE_M, CalibrationErrors, TrainingData

LEAST_HEADINGS = 0.5  # share of the training photos that must carry a heading for the network to learn it


@dataclass(frozen=True, kw_only=True)
class CampusConfig(FitConfig):
    """Its constants."""

    recipe: str = "campus"
    backbone: str = "efficientnet_lite0"
    layout: Literal["campus", "original", "whitened"] = "campus"
    embedding: int = 128
    photos_per_zone: int = 8  # fewer teach a zone's class nothing
    epochs: int = 24
    least_steps: int = 300
    learning_rate: float = 1e-3
    backbone_learning_rate_factor: float = 0.5
    frozen_stages: int | None = None  # all is better by a tenth at 154 photos (real), 3 by as much at 630 (rendered)
    max_gradient_norm: float | None = 5.0
    ema_decay: float = 0.99
    warmup: float = 0.05  # share of the steps

    darkened_share: float = 0.25  # of the day photos, so that night is not new
    regression_loss_weight: float = 1.0
    regression_power: float = 1.0  # of the density of the regression's errors: 1 Laplace, 2 Gauss
    zone_loss_weight: float = 0.5
    retrieval_loss_weight: float = 1.0
    heading_loss_weight: float = 0.3  # where the photos carry one
    zone_width_m: float = 8.0
    retrieval_width_m: float = 6.0
    temperature: float = 0.05


class Campus(Recipe):
    """One view; likelihood losses; a memory of all training embeddings, so that retrieval sees the whole campus."""

    heading_rad: Tensor  # (N,) NaN where unknown
    memory: Tensor  # (N, D) the embedding that each training photo had last, 0 before the first

    def __init__(self, task: TrainingData, config: CampusConfig) -> None:
        heading_rad = np.radians(task.heading_deg[task.rows["train"]])
        known = float(np.isfinite(heading_rad).mean())
        super().__init__(task, config, heading=bool(config.heading_loss_weight) and known >= LEAST_HEADINGS)
        self.config = config
        self.constant("heading_rad", torch.from_numpy(heading_rad).float())
        self.register_buffer("memory", torch.zeros(len(heading_rad), config.embedding))

    def order(self, generator: torch.Generator) -> Tensor:
        return torch.randperm(len(self.memory), generator=generator)

    def views(self, photos: Tensor, chosen: Tensor, generator: torch.Generator) -> tuple[Tensor, ...]:
        return (augment(photos, self.night[chosen], generator, self.config.darkened_share),)

    def loss(self, views: Sequence[Outputs], chosen: Tensor) -> Tensor:
        config, (heads,) = self.config, views
        target_m = self.target_m[chosen]

        similarity = heads.embedding @ self.memory.clone().T  # a copy: the memory changes below, before the gradient
        unseen = ~self.memory.any(dim=1)
        similarity = similarity.masked_fill(unseen, -torch.inf)
        similarity[torch.arange(len(chosen), device=chosen.device), chosen] = -torch.inf
        self.memory[chosen] = heads.embedding.detach()
        assert heads.log_spread is not None
        assert heads.zone_logits is not None
        to_zones, to_photos = _squared(target_m, self.zone_centres_m), _squared(target_m, self.target_m)
        loss = (
            config.regression_loss_weight
            * regression_nll(heads.offset, heads.log_spread, target_m / SCALE_M, config.regression_power)
            + config.zone_loss_weight * zone_nll(heads.zone_logits, to_zones, config.zone_width_m)
            + config.retrieval_loss_weight
            * retrieval_nll(similarity, to_photos, config.retrieval_width_m, config.temperature)
        )
        if heads.heading is not None:
            loss = loss + config.heading_loss_weight * heading_nll(heads.heading, self.heading_rad[chosen])
        return loss

    def learning_rate_factor(self, step: int, steps: int) -> float:
        """Linear warm-up, then a cosine to zero."""
        done = step / steps
        warm = min(1.0, done / self.config.warmup + 1 / steps) if self.config.warmup else 1.0
        return warm * 0.5 * (1 + math.cos(math.pi * done))

    def embeddings(self) -> NDArray[np.float32]:
        return self.memory.cpu().numpy()

    def score_m(self, errors: CalibrationErrors) -> float:
        assert errors.retrieval_m is not None
        return errors.retrieval_m  # the component that fitted posteriors trust most, by far


def _squared(a: Tensor, b: Tensor) -> Tensor:
    return torch.cdist(a, b).square()


CONFIG, RECIPE = CampusConfig, Campus
