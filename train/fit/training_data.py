"""A dataset made ready to train on: photos as the network sees them, positions in the campus frame, zones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.campus.frame import LocalFrame
from core.campus.grid import Grid
from core.campus.parameters import PosteriorParams
from core.campus.zones import Zones
from core.engines.heads import Heads
from core.errors import DatasetError
from core.locate.mixture import softmax
from train.dataset.dataset import Dataset
from train.dataset.images import cached_images
from train.dataset.split import Splits
from train.dataset.zoning import fit_zones
from train.fit.config import FitConfig

SCALE_M = 100.0  # one unit of the network's `offset`, as in the original
CELL_M = 2.0
GRID_MARGIN_M = 30.0  # a person may stand a little beyond the outermost training photo
SIZE_LIMIT_CELLS = 4_000_000  # a campus of 16 km² at 2 m: more is several campuses, or a wrong label


@dataclass(frozen=True)
class TrainingData:
    """Everything of a dataset that training and bundling read; `rows` are its rows by split."""

    dataset: Dataset
    splits: Splits
    images: NDArray[np.uint8]
    frame: LocalFrame
    local_m: NDArray[np.float64]
    rows: dict[str, NDArray[np.int64]]
    zones: Zones

    @property
    def heading_deg(self) -> NDArray[np.float64]:
        """(N,) where the camera looked, clockwise from true north, NaN where unknown."""
        table = self.dataset.table
        return table["heading_deg"].to_numpy(np.float64) if "heading_deg" in table else np.full(len(table), np.nan)


def prepare(dataset: Dataset, splits: Splits, config: FitConfig) -> TrainingData:
    """Frame and zones come from the training split alone. Raises DatasetError where it is too small, or lies with the
    calibration split too far apart for one campus.
    """
    rows = {split: splits.indices(dataset, split) for split in splits.names}
    training = rows["train"]
    if len(training) < 8:
        raise DatasetError(f"{len(training)} training photos: at least 8 are needed", path=dataset.root)
    frame = LocalFrame.of_points(*dataset.latlon[training].T)
    local_m = frame.to_local(*dataset.latlon.T)
    campus_grid(local_m[np.concatenate([training, rows["calibration"]])], dataset.root)  # before photos are decoded
    return TrainingData(
        dataset,
        splits,
        cached_images(dataset.image_paths, config.image_size, dataset.root / "cache"),
        frame,
        local_m,
        rows,
        fit_zones(local_m[training], config.seed, photos_per_zone=config.photos_per_zone),
    )


def campus_grid(local_m: NDArray[np.float64], source: Path) -> Grid:
    """The grid about (N, 2) photos' positions. Raises DatasetError, naming `source`, where they are no campus."""
    grid = Grid.around(local_m, GRID_MARGIN_M, CELL_M)
    if grid.rows * grid.columns > SIZE_LIMIT_CELLS:
        raise DatasetError(
            f"photos span {grid.columns * CELL_M:.0f} × {grid.rows * CELL_M:.0f} m, which is no campus",
            path=source,
            remedy="make a dataset of each campus, or look for wrong labels in gt.csv",
        )
    return grid


@dataclass(frozen=True)
class CalibrationErrors:
    """Mean error in metres on the calibration split: of the regression alone, of the best zone's centre, and the
    distance that the retrieval component expects of a photo from its place, None where the recipe keeps no embeddings.
    """

    regression_m: float
    zone_m: float
    retrieval_m: float | None = None


def calibration_errors(
    task: TrainingData, heads: Heads, memory: NDArray[np.float32] | None = None
) -> CalibrationErrors:
    """`heads` are the network's answers on the calibration split, in its order; `memory` (N, D) the embeddings that the
    training photos had last.
    """
    truth_m = task.local_m[task.rows["calibration"]]
    assert heads.zone_logits is not None
    zone_m = task.zones.centres_m[heads.zone_logits.argmax(axis=1)]
    return CalibrationErrors(
        float(np.linalg.norm(heads.offset * SCALE_M - truth_m, axis=1).mean()),
        float(np.linalg.norm(zone_m - truth_m, axis=1).mean()),
        None if memory is None else _retrieval_m(task, heads, memory, truth_m),
    )


def _retrieval_m(task: TrainingData, heads: Heads, memory: NDArray[np.float32], truth_m: NDArray[np.float64]) -> float:
    """An expectation: by the nearest neighbour alone, the choice of epoch would be a matter of a few photos' luck."""
    assert heads.embedding is not None
    odds = softmax(heads.embedding.astype(np.float64) @ memory.T, PosteriorParams.retrieval_temperature)
    away_m = np.linalg.norm(truth_m[:, None] - task.local_m[task.rows["train"]], axis=2)
    return float((odds * away_m).sum(axis=1).mean())
