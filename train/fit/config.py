"""What a run depends on beside its photos and their split: one frozen config for each recipe. Needs no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, Self

from core.errors import CampusError, DatasetError

EVERY_STAGE = 99  # more than any backbone has


@dataclass(frozen=True, kw_only=True)
class FitConfig:
    """What every recipe has; a recipe's own config sets what is open here and adds the constants of its loss."""

    recipe: str
    backbone: str
    weights: str | None = None  # a local file of ImageNet weights
    layout: Literal["campus", "original", "whitened"]  # of the network's heads
    pooling: Literal["mean", "multi"] = "mean"  # of the backbone's maps
    embedding: int  # its length
    photos_per_zone: int  # as many zones as that allows, at most 300
    image_size: int = 224

    epochs: int
    least_steps: int = 0  # a dataset so small that `epochs` take fewer is given more epochs
    few_photos: int = 0  # fewer training photos than this leave the whole backbone as it was pretrained
    patience: int = 15  # stop when the calibration split has not improved for as many epochs; the original's
    minutes: float | None = None  # stop after the epoch that passes it
    batch: int = 32  # photos a step, of all processes together; the original's
    accumulate: int = 1  # batches whose gradients make one step of the optimiser

    learning_rate: float
    backbone_learning_rate_factor: float = 1.0  # the pretrained backbone learns at this share of the heads' rate
    frozen_stages: int = 0  # of the backbone
    weight_decay: float = 0.05  # the original's
    max_gradient_norm: float | None = None  # largest norm of a step's gradient
    ema_decay: float = 0.0  # per step, of the weights that are kept (exponential moving average); 0: the last weights

    precision: str = "auto"  # of the backbone while training: fp32, bf16, fp16, or auto (fp32 on a CPU)
    compile: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        """Raise CampusError for a number that cannot be."""
        least = {
            "image_size": 32,
            "epochs": 1,
            "patience": 1,
            "batch": 2,
            "accumulate": 1,
        }  # batch norm needs two photos
        for name, value in least.items():
            if getattr(self, name) < value:
                flag = name.replace("_", "-")
                raise CampusError(f"--{flag} {getattr(self, name)}: must be at least {value}")

    def for_photos(self, photos: int) -> Self:
        """This config for as many training photos: a few need more passes to move the heads, and a backbone would learn
        them by heart.
        """
        steps = math.ceil(photos / self.batch / self.accumulate)
        return replace(
            self,
            epochs=max(self.epochs, math.ceil(self.least_steps / steps)),
            frozen_stages=EVERY_STAGE if photos < self.few_photos else self.frozen_stages,
        )


@dataclass(frozen=True, kw_only=True)
class CampusConfig(FitConfig):
    """The recipe of this project (`train/fit/recipes/campus.py`)."""

    recipe: str = "campus"
    backbone: str = "efficientnet_lite0"
    layout: Literal["campus", "original", "whitened"] = "campus"
    embedding: int = 128
    photos_per_zone: int = 8  # fewer teach a zone's class nothing
    epochs: int = 24
    least_steps: int = 300
    few_photos: int = 500  # frozen is better by a tenth at 154 (real), worse by as much at 630 (rendered)
    learning_rate: float = 1e-3
    backbone_learning_rate_factor: float = 0.5
    frozen_stages: int = 3  # a training step on a CPU takes half the time
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


@dataclass(frozen=True, kw_only=True)
class OriginalConfig(FitConfig):
    """The original project's training (`train/fit/recipes/original.py`); every constant is its own."""

    recipe: str = "original"
    backbone: str = "resnet50"
    layout: Literal["campus", "original", "whitened"] = "original"
    embedding: int = 256
    photos_per_zone: int = 1  # 300 zones, however few photos each
    epochs: int = 240
    learning_rate: float = 1e-4

    regression_loss_weight: float = 200.0
    zone_loss_weight: float = 0.3
    triplet_loss_weight: float = 10.0
    strong_view_weight: float = 0.7  # of the strong view in the regression's and the zones' loss
    label_smoothing: float = 0.1  # of the zone labels
    margin: float = 1.5
    negative_m: float = 20.0  # a triplet's negative is farther than that


@dataclass(frozen=True, kw_only=True)
class WhitenedConfig(FitConfig):
    """Nothing is trained by gradients (`train/fit/whitening.py`): pretrained features, whitened across sessions."""

    recipe: str = "whitened"
    backbone: str = "efficientnet_lite0"
    layout: Literal["campus", "original", "whitened"] = "whitened"
    pooling: Literal["mean", "multi"] = "multi"
    embedding: int = 512  # at most: photos span no more axes than there are of them; 256 to 800 do on the real campus
    photos_per_zone: int = 8
    image_size: int = 288  # 1 to 2 m better than 224 on the real campus, with the second look too
    epochs: int = 1
    learning_rate: float = 0.0
    frozen_stages: int = EVERY_STAGE


DEFAULT_RECIPE = "whitened"  # on both real campuses no training did better on sessions never seen

CONFIGS: dict[str, type[CampusConfig] | type[OriginalConfig] | type[WhitenedConfig]] = {
    "campus": CampusConfig,
    "original": OriginalConfig,
    "whitened": WhitenedConfig,
}


def new_config(recipe: str, *, photos: int | None = None, **given: Any) -> FitConfig:
    """The config of a recipe, by name, with some fields given; the others made for as many training `photos`, where
    that is known. Raises CampusError for an unknown recipe.
    """
    if recipe not in CONFIGS:
        raise CampusError(f"recipe {recipe!r} is not one of {', '.join(CONFIGS)}")
    config = CONFIGS[recipe](**given)
    return config if photos is None else replace(config.for_photos(photos), **given)


def saved_config(data: dict[str, Any], where: str) -> FitConfig:
    """A config as `asdict` gave it. Raises DatasetError, naming `where`, when it holds what no recipe has."""
    recipe = str(data.get("recipe", "campus"))
    if recipe not in CONFIGS:
        raise DatasetError(f"{where}: recipe {recipe!r} is unknown to this version: train again")
    if strange := data.keys() - {field.name for field in fields(CONFIGS[recipe])}:
        raise DatasetError(f"{where}: {', '.join(sorted(strange))} is unknown to this version: train again")
    return CONFIGS[recipe](**data)
