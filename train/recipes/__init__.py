"""The ways to train. Each is one file: its network, views, sampler, loss, schedule and choice of epoch.

What they share, the loop, averaging, processes and checkpoints, is `train/trainer.py`; their constants are
`train/config.py`.
"""

from __future__ import annotations

from train.config import CampusConfig, FitConfig, OriginalConfig
from train.recipes.base import Recipe
from train.recipes.campus import Campus
from train.recipes.original import Original
from train.task import Task

__all__ = ["Campus", "Original", "Recipe", "open_recipe"]


def open_recipe(task: Task, config: FitConfig) -> Recipe:
    """The recipe that a config is for."""
    if isinstance(config, CampusConfig):
        return Campus(task, config)
    assert isinstance(config, OriginalConfig)
    return Original(task, config)
