"""What a recipe answers to the trainer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from core.errors import CampusError
from core.network.backbones import backbone_names, is_backbone
from core.network.campus_net import Outputs
from core.network.net_config import NetConfig
from train.fit.config import FitConfig
from train.fit.training_data import CalibrationErrors, TrainingData


class Recipe(nn.Module, ABC):
    """One way to train. Its buffers are what it knows of the N training photos; those that change while training are
    persistent, so that a checkpoint carries them.
    """

    night: Tensor  # (N,) bool
    target_m: Tensor  # (N, 2) local metres
    zone_centres_m: Tensor  # (K, 2)

    def __init__(self, task: TrainingData, config: FitConfig, heading: bool = False) -> None:
        """`heading`: whether the network has a head for it."""
        super().__init__()
        if not is_backbone(config.backbone):
            known = " nor ".join(backbone_names())
            raise CampusError(f"backbone {config.backbone!r} is neither {known}, nor a model of timm")
        self.net_config = NetConfig(
            backbone=config.backbone,
            zones=len(task.zones),
            image_size=config.image_size,
            layout=config.layout,
            pooling=config.pooling,
            embedding=config.embedding,
            heading=heading,
        )
        training = task.rows["train"]
        self.constant("night", torch.from_numpy(task.dataset.is_night[training]))
        self.constant("target_m", torch.from_numpy(task.local_m[training]).float())
        self.constant("zone_centres_m", torch.from_numpy(task.zones.centres_m).float())

    def constant(self, name: str, value: Tensor) -> None:
        """Keep a tensor that moves to the training device and is no part of a checkpoint."""
        self.register_buffer(name, value, persistent=False)

    @abstractmethod
    def order(self, generator: torch.Generator) -> Tensor:
        """The rows of one epoch, int64 of any length in 0..N-1, drawn on the CPU alike by every process."""

    @abstractmethod
    def views(self, photos: Tensor, chosen: Tensor, generator: torch.Generator) -> tuple[Tensor, ...]:
        """(B, S, S, 3) uint8 photos and their rows (B,) -> one or more (B, 3, S, S) float32 in 0..255, each photo
        changed in its own way.
        """

    @abstractmethod
    def loss(self, views: Sequence[Outputs], chosen: Tensor) -> Tensor:
        """What the network says of each view of a batch, (B, …) each, and the batch's rows (B,) -> scalar.

        A batch is that of all processes together: no recipe needs to know how many there are.
        """

    def embeddings(self) -> NDArray[np.float32] | None:
        """(N, D) the embedding that each training photo had last, or None where the recipe keeps none."""
        return None

    @abstractmethod
    def learning_rate_factor(self, step: int, steps: int) -> float:
        """The share of the peak learning rate at a step of the run."""

    @abstractmethod
    def score_m(self, errors: CalibrationErrors) -> float:
        """What the choice of epoch and early stopping minimise."""
