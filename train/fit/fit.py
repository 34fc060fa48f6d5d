"""Fit a network to a dataset's training split.

The default recipe, whitened, trains nothing: it whitens pretrained features across sessions. The others train by
gradients and choose the epoch on the calibration split.

Many GPUs or machines: `accelerate launch -m train fit …`; machines must see the same folders.
"""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import numpy as np

from core.errors import CampusError, OccupiedError
from core.io.files import check_replaceable
from core.network.net_config import Pooling
from train.dataset.dataset import Dataset
from train.dataset.expectation import expect
from train.dataset.split import SPLITS, add_split_arguments, config_of, seed_number, split_or_load
from train.fit.config import FitConfig
from train.fit.depth import FROZEN_TRIED, with_depth
from train.fit.recipes import DEFAULT_RECIPE, new_config, recipe_names
from train.fit.recipes.whitened import WhitenedConfig
from train.fit.run_folder import (
    BEST,
    CONFIG,
    CURVES,
    LAST,
    LOG,
    NEXT,
    Epoch,
    check_same,
    check_same_photos,
    draw_curves,
    read_config,
    read_log,
    write_json,
    write_log,
    write_next,
)

if TYPE_CHECKING:
    from core.network.campus_net import CampusNet
    from train.fit.training_data import TrainingData

log = logging.getLogger(__name__)

OF_TRAINING = frozenset({"epochs", "patience", "minutes", "batch", "accumulate", "precision", "frozen_stages"})


def fit(task: TrainingData, run: Path, config: FitConfig, resume: bool = False, force: bool = False) -> Path:
    """Train and leave a run folder: config.json, splits.json, log.csv, curves.png, NEXT.txt, best.safetensors, last.pt.

    `best` is the averaged network of the epoch that the recipe's score chooses on the calibration split. Stops after
    `config.epochs`, or when the score has not improved for `config.patience` epochs, or when `config.minutes` are over.
    Raises OccupiedError where `run` holds another run and neither `resume` nor `force` is given, or anything that is no
    run; DatasetError where the run to resume was started with another config, or trained on other photos.
    """
    from train.fit.trainer import Trainer

    check_replaceable(run, resume or force, "run", CONFIG)
    if resume and (run / CONFIG).exists():
        if config.frozen_stages is None:  # chosen when the run began
            config = replace(config, frozen_stages=read_config(run).frozen_stages)
        check_same(run, config)
        check_same_photos(run, task.dataset.root, task.splits)
    if isinstance(config, WhitenedConfig):
        return _fit_whitened(task, run, config)
    resume = resume and (run / LAST).exists()
    config = with_depth(task, config)
    trainer = Trainer(task, config)
    epochs: list[Epoch] = []
    if resume:
        trainer.restore(run / LAST)
        epochs = read_log(run)[: trainer.epoch]
    trainer.accelerator.wait_for_everyone()  # before the first writes what the others look for
    if trainer.is_main:
        _begin(run, task, config, trainer.net, trainer.weights, keep=resume)
    photos, zones = len(task.rows["train"]), len(task.zones)
    log.info("%d training photos, %d zones, %s on %s", photos, zones, config.backbone, trainer.device.type)
    try:
        while (reason := _finished(epochs, config)) is None:
            epochs.append(trainer.measured_epoch())
            log.info("%s", _told(epochs, config))
            if trainer.is_main:
                if _best(epochs) is epochs[-1]:
                    trainer.save_net(run / BEST)
                write_log(run, epochs)
                trainer.save(run / LAST)
    finally:
        if trainer.is_main and epochs:
            draw_curves(run, epochs)
    if trainer.is_main:
        after = write_next(run, task.dataset.root)
        log.info("%s; epoch %d is kept; go on with:\n%s", reason, _best(epochs).epoch, after)
    return run


def _fit_whitened(task: TrainingData, run: Path, config: WhitenedConfig) -> Path:
    """The run folder of a recipe that has no epochs: its log has one line. The main process alone makes it: there is
    nothing to share, and two writers would remove each other's files.
    """
    import torch
    from accelerate import PartialState

    from train.fit.whitened_net import save_whitened_net, whitened_net

    processes = PartialState(cpu=not torch.cuda.is_available())
    processes.wait_for_everyone()  # before the main process writes what the others look for
    if not processes.is_main_process:
        return run
    started = time.perf_counter()
    net, weights, epoch = whitened_net(task, config)
    _begin(run, task, config, net, weights, keep=False)
    save_whitened_net(net, run / BEST)
    write_log(run, [replace(epoch, seconds=time.perf_counter() - started)])
    log.info("whitened across sessions; go on with:\n%s", write_next(run, task.dataset.root))
    return run


def _begin(run: Path, task: TrainingData, config: FitConfig, net: CampusNet, weights: str, keep: bool) -> None:
    """Lay out the folder. Unless resuming, delete the previous run's files once the new config is on disk."""
    stale = () if keep else (run / old for old in (LAST, BEST, LOG, CURVES, NEXT))
    run.mkdir(parents=True, exist_ok=True)
    data = {
        "dataset": str(task.dataset.root.resolve()),
        "fit": asdict(config),
        "net": asdict(net.config),
        "weights": weights,
        "frame": asdict(task.frame),
        "zones": asdict(task.zones)["zones"],
    }
    write_json(run / CONFIG, data, stale)
    task.splits.save(run)
    write_next(run, task.dataset.root)


def _told(epochs: Sequence[Epoch], config: FitConfig) -> str:
    """The last epoch in a line: how many there are, how long the rest takes at most, and the figure that chooses."""
    last, best = epochs[-1], _best(epochs)
    left_s = float(np.mean([row.seconds for row in epochs])) * (config.epochs - len(epochs))
    if config.minutes is not None:
        left_s = min(left_s, max(0.0, 60 * config.minutes - sum(row.seconds for row in epochs)))
    watched = "the best so far" if best is last else f"{best.score_m:.1f} m in epoch {best.epoch} is the best so far"
    return (
        f"epoch {last.epoch} of {config.epochs}, at most {_duration(left_s)} to go: loss {last.loss:.3f}, calibration: "
        f"regression {last.regression_m:.1f} m, zone {last.zone_m:.1f} m; chosen by {last.score_m:.1f} m ({watched})"
    )


def _duration(seconds: float) -> str:
    return (
        f"{seconds:.0f} s"
        if seconds < 90
        else f"{seconds / 60:.0f} min"
        if seconds < 5400
        else f"{seconds / 3600:.1f} h"
    )


def _best(epochs: Sequence[Epoch]) -> Epoch:
    return min(epochs, key=lambda row: row.score_m)


def _finished(epochs: Sequence[Epoch], config: FitConfig) -> str | None:
    """Why a run is over, or None while it goes on."""
    if len(epochs) >= config.epochs:
        return f"{len(epochs)} epochs"
    if epochs and epochs[-1].epoch - _best(epochs).epoch >= config.patience:
        return f"no better for {config.patience} epochs"
    if epochs and config.minutes is not None and sum(row.seconds for row in epochs) >= 60 * config.minutes:
        return f"{config.minutes:g} minutes are over"
    return None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    plain = new_config(DEFAULT_RECIPE)
    own = f" ({DEFAULT_RECIPE}; other recipes have their own)"
    parser.add_argument("dataset", type=Path, metavar="DATASET", help="folder made by `ingest`")
    parser.add_argument("--out", type=Path, required=True, metavar="RUN", help="run folder to write")
    parser.add_argument(
        "--recipe",
        choices=recipe_names(),
        help="default whitened, which trains nothing; campus and original: this project's and the original's training",
    )
    parser.add_argument(
        "--backbone",
        metavar="NAME",
        help=f"any model of timm, or resnet50; default {plain.backbone}{own}",
    )
    parser.add_argument("--weights", metavar="FILE", help="local ImageNet weights for the backbone")
    parser.add_argument(
        "--pooling",
        choices=get_args(Pooling),
        help="of the backbone's maps: mean or GeM of the last; multi: both, and the mean of the map before it; "
        f"token: a transformer's class token; default {plain.pooling}{own}",
    )
    parser.add_argument("--image-size", type=int, metavar="PX", help=f"default {plain.image_size}{own}")
    parser.add_argument("--seed", type=seed_number, metavar="N", help=f"default {plain.seed}")
    training = parser.add_argument_group(f"training, which the recipe {DEFAULT_RECIPE} does not do")
    training.add_argument(
        "--epochs", type=int, metavar="N", help="at most; default: the recipe's own; campus: more on a small dataset"
    )
    training.add_argument(
        "--patience", type=int, metavar="N", help=f"epochs without progress; default {plain.patience}"
    )
    training.add_argument(
        "--frozen-stages",
        type=int,
        metavar="N",
        help=f"of the backbone, left as pretrained; default: campus tries {FROZEN_TRIED[0]} and all of them, and "
        "calibration photos choose",
    )
    training.add_argument("--minutes", type=float, metavar="N", help="stop after the epoch that passes them")
    training.add_argument("--batch", type=int, metavar="N", help=f"of all processes together; default {plain.batch}")
    training.add_argument("--accumulate", type=int, metavar="N", help="batches a step; default 1")
    training.add_argument("--precision", choices=("auto", "fp32", "bf16", "fp16"), help="default auto: half on a GPU")
    add_split_arguments(parser)
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted run, with its own flags")
    parser.add_argument("--force", action="store_true", help="replace a run that is there")


def _config(args: argparse.Namespace, photos: int) -> FitConfig:
    """The flags given, over those of the run to resume, or over the recipe's defaults.

    Raises CampusError for a flag that the recipe cannot heed, and DatasetError for one that a resumed run cannot.
    """
    given = {f.name: value for f in fields(FitConfig) if (value := getattr(args, f.name, None)) is not None}
    if args.resume and (args.out / CONFIG).exists():
        config = replace(read_config(args.out), **given)
        check_same(args.out, config)  # before photos are decoded for it
    else:
        recipe = given.pop("recipe", DEFAULT_RECIPE)
        config = new_config(recipe, photos=photos, **given)
    if isinstance(config, WhitenedConfig) and (idle := sorted(given.keys() & OF_TRAINING)):
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in idle)
        raise CampusError(f"the recipe {config.recipe} does not train", path=flags, remedy="--recipe campus does")
    return config


def _check_out(args: argparse.Namespace) -> None:
    """Raise CampusError or OSError where the run cannot be written: asked before photos are divided and decoded."""
    try:
        check_replaceable(args.out, args.resume or args.force, "run", CONFIG)
    except OccupiedError as error:
        if not error.replaceable:
            raise
        raise CampusError(
            "holds a run already", path=args.out, remedy="go on with --resume, start again with --force"
        ) from error


def main(args: argparse.Namespace) -> int:
    import torch
    from accelerate import PartialState

    from train.fit.training_data import prepare

    processes = PartialState(cpu=not torch.cuda.is_available())
    if not processes.is_main_process:
        logging.getLogger("train").setLevel(logging.ERROR)
    with processes.main_process_first():  # it divides the dataset and decodes the photos for all
        dataset, how = Dataset.load(args.dataset), config_of(args)
        _check_out(args)
        _config(args, len(dataset))  # flags that disagree leave the dataset as it is
        splits = split_or_load(dataset, how)
        config = _config(args, len(splits.of("train")))
        if args.resume and (args.out / CONFIG).exists():
            check_same_photos(args.out, dataset.root, splits)  # before photos are decoded for it
        log.info("split %s: %s", splits.describe(), ", ".join(f"{split} {len(splits.of(split))}" for split in SPLITS))
        for line in expect(dataset.latlon[splits.indices(dataset, "train")]).lines():
            log.info("%s", line)
        task = prepare(dataset, splits, config)
    fit(task, args.out, config, args.resume, args.force)
    return 0
