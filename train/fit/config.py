"""What a run depends on beside its photos and their split, whatever its recipe. Needs no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, Self, get_args

from core.errors import CampusError
from core.network.net_config import Pooling

EVERY_STAGE = 99  # more than any backbone has


@dataclass(frozen=True, kw_only=True)
class FitConfig:
    """What every recipe has; a recipe's own config sets what is open here and adds the constants of its loss."""

    recipe: str
    backbone: str
    weights: str | None = None  # a local file of ImageNet weights
    layout: Literal["campus", "original", "whitened"]  # of the network's heads
    pooling: Pooling = "mean"
    embedding: int  # its length
    photos_per_zone: int  # as many zones as that allows, at most 300
    image_size: int = 224

    epochs: int
    least_steps: int = 0  # a dataset so small that `epochs` take fewer is given more epochs
    patience: int = 15  # stop when the calibration split has not improved for as many epochs; the original's
    minutes: float | None = None  # stop after the epoch that passes it
    batch: int = 32  # photos a step, of all processes together; the original's
    accumulate: int = 1  # batches whose gradients make one step of the optimiser

    learning_rate: float
    backbone_learning_rate_factor: float = 1.0  # the pretrained backbone learns at this share of the heads' rate
    frozen_stages: int | None = 0  # of the backbone; None: what calibration photos choose, by `train/fit/depth.py`
    weight_decay: float = 0.05  # the original's
    max_gradient_norm: float | None = None  # largest norm of a step's gradient
    ema_decay: float = 0.0  # per step, of the weights that are kept (exponential moving average); 0: the last weights

    precision: str = "auto"  # of the backbone while training: fp32, bf16, fp16, or auto (fp32 on a CPU)
    seed: int = 0

    def __post_init__(self) -> None:
        """Raise CampusError for a number that cannot be."""
        least = {
            "image_size": 32,
            "epochs": 1,
            "patience": 1,
            "batch": 2,
            "accumulate": 1,
            "frozen_stages": 0,
        }  # batch norm needs two photos
        for name, value in least.items():
            if (given := getattr(self, name)) is not None and given < value:
                flag = name.replace("_", "-")
                raise CampusError(f"must be at least {value}", path=f"--{flag} {given}")
        if self.pooling not in get_args(Pooling):
            known = ", ".join(get_args(Pooling))
            raise CampusError(f"is not one of {known}", path=f"--pooling {self.pooling}")

    def for_photos(self, photos: int) -> Self:
        """This config for as many training photos: a few need more passes to move the heads."""
        steps = math.ceil(photos / self.batch / self.accumulate)
        return replace(self, epochs=max(self.epochs, math.ceil(self.least_steps / steps)))
