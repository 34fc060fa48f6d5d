"""Training samples a second against the original's loop with the same backbone."""

from __future__ import annotations

import csv
import logging
import tempfile
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks import original
from benchmarks.timing import ROOT, Effort, Section, Target, interleaved
from core.network.campus_net import CampusNet
from core.photo.load import load_photo
from train.dataset.dataset import Dataset
from train.dataset.split import SplitConfig, split_dataset
from train.fit.config import CampusConfig
from train.fit.trainer import Trainer
from train.fit.training_data import prepare

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


def run(effort: Effort) -> Section:
    """An epoch of each in turn."""
    logging.getLogger("train").setLevel(logging.WARNING)
    photos = sorted(SLICE.rglob("*.jpg"))[: 48 if effort.tiny else 144]
    config = CampusConfig(image_size=64 if effort.tiny else 224, batch=16 if effort.tiny else 32)
    with tempfile.TemporaryDirectory() as folder:
        dataset = dataset_of(photos, Path(folder))
        task = prepare(dataset, split_dataset(dataset, SplitConfig()), config)
        rows = task.rows["train"]
        ours = Trainer(task, config)
        thawed = Trainer(task, replace(config, frozen_stages=0))
        theirs = original.Training(
            original.OriginalNet(CampusNet(ours.net.config).backbone, 1280),
            [dataset.image_paths[row] for row in rows],
            torch.from_numpy(task.local_m[rows]).float() / 100,
            torch.from_numpy(task.zones.assign(task.local_m[rows])),
        )
        times = interleaved(
            {
                "train fit": ours.train_epoch,
                "train fit, no stage frozen": thawed.train_epoch,
                "the original's loop": lambda: theirs.epoch(config.batch),
            },
            Effort(effort.seconds * 3, min(effort.least, 3), 10, effort.tiny),
        )
    section = Section(
        "Training",
        f"{config.backbone} at {config.image_size} px on both sides, FP32, batches of {config.batch}, epochs of "
        f"{len(rows)} rendered photos, {torch.get_num_threads()} torch threads. A sample is a photo, which the "
        "original's loop opens with Pillow and shows twice. The gain: decoding once, one view, augmenting a batch at a "
        "time, early stages frozen.",
    )
    section.keep("training", times)
    plain = times["the original's loop"].median
    section.tables.append(
        [("", "an epoch: median (p10 – p90)", "samples/s", "against the original's")]
        + [
            (name, str(value), f"{len(rows) / value.median:.1f}", f"{plain / value.median:.1f} x")
            for name, value in times.items()
        ]
    )
    ratio = plain / times["train fit"].median
    section.targets.append(Target("2 x the original's samples a second", f"{ratio:.1f} x", ratio >= 2))
    return section
