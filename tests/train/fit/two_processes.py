"""Run alone or by a launcher: train both recipes for two epochs, and write the first process's curves as JSON."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tests.small_backbones import CNN
from tests.train.fit.training_sets import SIZE, make_task
from train.fit.recipes.campus import Campus, CampusConfig
from train.fit.recipes.original import Original, OriginalConfig
from train.fit.trainer import Trainer
from train.fit.training_data import calibration_errors

EPOCHS, WEIGHTS = 2, "weights.pth"


def as_it_is(photos: Tensor) -> Tensor:
    return photos.permute(0, 3, 1, 2).float()


class PlainCampus(Campus):
    """Without random views: each process draws them for its own share, so they would differ."""

    def views(self, photos: Tensor, chosen: Tensor, generator: torch.Generator) -> tuple[Tensor, ...]:  # noqa: ARG002
        return (as_it_is(photos),)


class PlainOriginal(Original):
    """The same; the second view is the photo a little darker."""

    def views(self, photos: Tensor, chosen: Tensor, generator: torch.Generator) -> tuple[Tensor, ...]:  # noqa: ARG002
        return as_it_is(photos), 0.8 * as_it_is(photos)


def curve(trainer: Trainer) -> dict[str, list[float]]:
    """What the log would say of each epoch, and how far the processes' weights and memories are apart at the end."""
    for module in trainer.net.modules():
        if isinstance(module, (nn.Dropout, nn.Dropout2d)):
            module.p = 0.0  # drawn by each process for its own share, as the views are
    rows: dict[str, list[float]] = {"loss": []}
    for _ in range(EPOCHS):
        rows["loss"].append(trainer.train_epoch())
        errors = calibration_errors(trainer.task, trainer.heads("calibration"), trainer.recipe.embeddings())
        for name, value in asdict(errors).items():
            if value is not None:
                rows.setdefault(name, []).append(value)
    kept = (*trainer.net.parameters(), *trainer.recipe.buffers())
    own = torch.cat([value.detach().flatten().float() for value in kept]).nan_to_num(
        -1.0
    )  # headings are NaN where unknown
    everyones = trainer.accelerator.gather(own).reshape(trainer.processes, -1)
    rows["apart"] = [float((everyones - everyones[0]).abs().max())]
    return rows


def main(out: Path) -> None:
    network = {"backbone": CNN, "weights": str(out.parent / WEIGHTS), "image_size": SIZE}
    common: dict[str, Any] = network | {"epochs": EPOCHS, "batch": 16, "frozen_stages": 0}
    campus, original = CampusConfig(**common), OriginalConfig(**common)
    curves = {}
    for config, recipe in ((campus, PlainCampus), (original, PlainOriginal)):
        task = make_task(out.parent, config)
        trainer = Trainer(task, config, recipe(task, config))  # type: ignore[arg-type]
        curves[config.recipe] = curve(trainer)
    curves["processes"] = {"count": [trainer.processes]}
    if trainer.is_main:
        out.write_text(json.dumps(curves), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
