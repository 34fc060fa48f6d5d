"""How much of the backbone learns: each depth is trained for a while, and calibration photos choose."""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from typing import TYPE_CHECKING

from train.fit.config import EVERY_STAGE, FitConfig

if TYPE_CHECKING:
    from train.fit.run_folder import Epoch
    from train.fit.training_data import TrainingData

log = logging.getLogger(__name__)

FROZEN_TRIED = (3, EVERY_STAGE)  # stages; with 3 a training step on a CPU takes half the time of none
SHARE = 1 / 3  # of the epochs and minutes, for each


def with_depth(task: TrainingData, config: FitConfig) -> FitConfig:
    """`config` with its `frozen_stages`: where they are None, those of FROZEN_TRIED whose network scores best on the
    calibration split when it is trained for a third as long.
    """
    if config.frozen_stages is not None:
        return config
    scores_m = {stages: _score_m(task, replace(config, frozen_stages=stages)) for stages in FROZEN_TRIED}
    best = min(scores_m, key=scores_m.__getitem__)
    log.info("%s, as calibration photos are nearer so", _told(best))
    return replace(config, frozen_stages=best)


def _score_m(task: TrainingData, config: FitConfig) -> float:
    """The best epoch's score of a short training, in metres."""
    from train.fit.trainer import Trainer

    epochs = math.ceil(config.epochs * SHARE)
    trainer = Trainer(task, replace(config, epochs=epochs))
    done: list[Epoch] = [trainer.measured_epoch()]
    while len(done) < epochs and not _over(sum(epoch.seconds for epoch in done), config.minutes):
        done.append(trainer.measured_epoch())
    score_m = min(epoch.score_m for epoch in done)
    log.info("tried for %d epochs: %s: calibration %.1f m", len(done), _told(config.frozen_stages), score_m)
    return score_m


def _over(seconds: float, minutes: float | None) -> bool:
    return minutes is not None and seconds >= 60 * minutes * SHARE


def _told(stages: int | None) -> str:
    return "the backbone stays as pretrained" if stages == EVERY_STAGE else f"all but {stages} stages of it learn"
