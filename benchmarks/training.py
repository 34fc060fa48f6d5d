"""Training samples a second against the original's loop with the same backbone."""

from __future__ import annotations

import csv
import logging
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks import original
from benchmarks.timing import ROOT, Effort, Section, Target, interleaved
from core.network.campus_net import CampusNet
from core.photo.load import load_photo
from train.dataset.dataset import Dataset
from train.dataset.split import SplitConfig, split_dataset
from train.fit.recipes.campus import CampusConfig
from train.fit.trainer import Trainer
from train.fit.training_data import prepare

ORIGINAL = "the original's loop"
SLICE = ROOT / "tests" / "train" / "slice"  # rendered photos, of the size that the original's loop reads


def dataset_of(photos: list[Path], folder: Path) -> Dataset:
    """A dataset of links to photos with their own positions."""
    (folder / "images").mkdir()
    with (folder / "gt.csv").open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["image_name", "lat", "lon"])
        for number, path in enumerate(photos):
            name = f"{number:04}.jpg"
            (folder / "images" / name).symlink_to(path)
            capture = load_photo(path).capture
            rows.writerow([name, capture.lat_deg, capture.lon_deg])
    return Dataset.load(folder)


def epochs(folder: Path, effort: Effort, precisions: dict[str, str]) -> tuple[dict[str, Callable[[], object]], int]:
    """An epoch of each of `train fit`'s precisions by its name, of the first without frozen stages, and of the
    original's loop, on the GPU where there is one; and of how many photos.
    """
    photos = sorted(SLICE.rglob("*.jpg"))[: 32 if effort.tiny else 144]
    config = config_of(effort)
    dataset = dataset_of(photos, folder)
    task = prepare(dataset, split_dataset(dataset, SplitConfig()), config)
    rows = task.rows["train"]
    trainers = {name: Trainer(task, replace(config, precision=given)) for name, given in precisions.items()}
    first = next(iter(precisions.values()))
    trainers[f"{next(iter(precisions))}, no stage frozen"] = Trainer(
        task, replace(config, precision=first, frozen_stages=0)
    )
    net = next(iter(trainers.values())).net
    theirs = original.Training(
        original.OriginalNet(CampusNet(net.config).backbone, 1280),
        [dataset.image_paths[row] for row in rows],
        torch.from_numpy(task.local_m[rows]).float() / 100,
        torch.from_numpy(task.zones.assign(task.local_m[rows])),
        next(net.parameters()).device,
    )
    ways: dict[str, Callable[[], object]] = {name: trainer.train_epoch for name, trainer in trainers.items()}
    return ways | {ORIGINAL: lambda: theirs.epoch(config.batch)}, len(rows)


def config_of(effort: Effort) -> CampusConfig:
    """The same size and batch for both."""
    return CampusConfig(image_size=64 if effort.tiny else 224, batch=16 if effort.tiny else 32, frozen_stages=3)


def run(effort: Effort) -> Section:
    """An epoch of each in turn."""
    logging.getLogger("train").setLevel(logging.WARNING)
    config = config_of(effort)
    with tempfile.TemporaryDirectory() as folder:
        ways, count = epochs(Path(folder), effort, {"train fit": "fp32"})  # as the original, also on a GPU
        times = interleaved(ways, Effort(effort.seconds * 3, min(effort.least, 3), 10, effort.tiny))
    section = Section(
        "Training",
        f"{config.backbone} at {config.image_size} px on both sides, FP32, batches of {config.batch}, epochs of "
        f"{count} rendered photos, {torch.get_num_threads()} torch threads. A sample is a photo, which the "
        "original's loop opens with Pillow and shows twice. The gain: decoding once, one view, augmenting a batch at a "
        "time, early stages frozen.",
    )
    section.keep("training", times)
    plain = times[ORIGINAL].median
    section.tables.append(
        [("", "an epoch: median (p10 – p90)", "samples/s", "against the original's")]
        + [
            (name, str(value), f"{count / value.median:.1f}", f"{plain / value.median:.1f} x")
            for name, value in times.items()
        ]
    )
    ratio = plain / times["train fit"].median
    section.targets.append(Target("2 x the original's samples a second", f"{ratio:.1f} x", ratio >= 2))
    return section
