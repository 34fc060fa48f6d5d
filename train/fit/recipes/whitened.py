"""Nothing is trained by gradients: pretrained features, whitened across sessions (`train/fit/whitening.py`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from core.network.net_config import Pooling
from train.fit.config import EVERY_STAGE, FitConfig


@dataclass(frozen=True, kw_only=True)
class WhitenedConfig(FitConfig):
    """Its constants; epochs and learning rate say nothing here."""

    recipe: str = "whitened"
    backbone: str = "efficientnet_lite0"
    layout: Literal["campus", "original", "whitened"] = "whitened"
    pooling: Pooling = "multi"
    embedding: int = 512  # at most: photos span no more axes than there are of them; 256 to 800 do on the real campus
    photos_per_zone: int = 8
    image_size: int = 288  # 1 to 2 m better than 224 on the real campus, with the second look too
    epochs: int = 1
    learning_rate: float = 0.0
    frozen_stages: int | None = EVERY_STAGE


CONFIG = WhitenedConfig
