"""A small training task made of numbers: a campus of coloured squares, nothing to decode."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from core.campus.frame import LocalFrame
from train.dataset.dataset import Dataset
from train.dataset.split import SplitConfig, Splits
from train.dataset.zoning import fit_zones
from train.fit.config import FitConfig
from train.fit.training_data import TrainingData

SIZE = 32
COUNTS = {"train": 64, "calibration": 16, "test": 8}


def make_task(root: Path, config: FitConfig) -> TrainingData:
    """Photos whose colours say where on a 200 m campus they were taken; every fourth by night."""
    rng = np.random.default_rng(7)
    count = sum(COUNTS.values())
    local_m = rng.uniform(-100, 100, (count, 2))
    frame = LocalFrame.about(47.0, 8.4)
    colours = np.concatenate([local_m + 128, np.full((count, 1), 128)], axis=1)
    images = colours[:, None, None] + rng.normal(0, 25, (count, SIZE, SIZE, 3))
    latlon = frame.to_latlon(local_m)
    names = [f"{index}.jpg" for index in range(count)]
    table = pd.DataFrame({"image_name": names, "lat": latlon[:, 0], "lon": latlon[:, 1]})
    table["is_night"] = np.arange(count) % 4 == 0
    ends = np.cumsum([0, *COUNTS.values()])
    rows = {split: np.arange(*ends[index : index + 2]) for index, split in enumerate(COUNTS)}
    splits = Splits(SplitConfig(), {split: tuple(names[row] for row in where) for split, where in rows.items()})
    zones = fit_zones(local_m[rows["train"]], config.seed, config.photos_per_zone)
    pixels = images.clip(0, 255).astype(np.uint8)
    return TrainingData(Dataset(root, table, root), splits, pixels, frame, local_m, rows, zones)
