"""The ways to train. Each is one file: its network, views, sampler, loss, schedule and choice of epoch.

What they share, the loop, averaging, processes and checkpoints, is `train/fit/trainer.py`; their constants are
`train/fit/config.py`.
"""

from __future__ import annotations

from train.fit.config import CampusConfig, FitConfig, OriginalConfig
from train.fit.recipes.base import Recipe
from train.fit.recipes.campus import Campus
from train.fit.recipes.original import Original
from train.fit.training_data import TrainingData

__all__ = ["Campus", "Original", "Recipe", "open_recipe"]


def open_recipe(task: TrainingData, config: FitConfig) -> Recipe:
    """The recipe that a config is for."""
    if isinstance(config, CampusConfig):
        return Campus(task, config)
    assert isinstance(config, OriginalConfig)
    return Original(task, config)
