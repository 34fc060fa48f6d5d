"""The ways to train. Each is one file, found by its name: `--recipe campus` is `campus.py`.

Such a file has `CONFIG`, its frozen config, and `RECIPE`, which answers to the trainer: its network, views, sampler,
loss, schedule and choice of epoch; `whitened` alone trains nothing. What they share, the loop, averaging, processes and
checkpoints, is `train/fit/trainer.py`. `docs/templates/recipe.py` is one to begin with.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from core.errors import CampusError, DatasetError
from core.program import choices, chosen
from train.fit.config import FitConfig

if TYPE_CHECKING:
    from train.fit.recipe import Recipe
    from train.fit.training_data import TrainingData

FORMER = ("compile", "few_photos")  # fields that earlier runs have
DEFAULT_RECIPE = "whitened"  # on both real campuses no training did better on sessions never seen


def recipe_names() -> tuple[str, ...]:
    """Those that may be chosen."""
    return choices(__name__)


def config_class(recipe: str) -> type[FitConfig]:
    """The config of a recipe. Raises CampusError for an unknown one."""
    file = chosen(__name__, recipe)
    if file is None:
        raise CampusError(f"recipe {recipe!r} is not one of {', '.join(recipe_names())}")
    found: type[FitConfig] = file.CONFIG
    return found


def new_config(recipe: str, *, photos: int | None = None, **given: Any) -> FitConfig:
    """The config of a recipe, by name, with some fields given; the others made for as many training `photos`, where
    that is known. Raises CampusError for an unknown recipe.
    """
    config = config_class(recipe)(**given)
    return config if photos is None else replace(config.for_photos(photos), **given)


def saved_config(data: dict[str, Any], where: str) -> FitConfig:
    """A config as `asdict` gave it. Raises DatasetError, naming `where`, when it holds what no recipe has."""
    data = {name: value for name, value in data.items() if name not in FORMER}
    recipe = str(data.get("recipe", "campus"))
    if recipe not in recipe_names():
        raise DatasetError(f"recipe {recipe!r} is unknown to this version", path=where, remedy="train again")
    kind = config_class(recipe)
    if strange := data.keys() - {field.name for field in fields(kind)}:
        raise DatasetError(f"{', '.join(sorted(strange))} is unknown to this version", path=where, remedy="train again")
    return kind(**data)


def open_recipe(task: TrainingData, config: FitConfig) -> Recipe:
    """The recipe that a config is for."""
    recipe: Recipe = chosen(__name__, config.recipe).RECIPE(task, config)
    return recipe
