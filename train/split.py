"""Three splits, held out by group: what is tested was never near what was trained."""

from __future__ import annotations

import argparse
import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import DatasetError
from core.files import written_aside
from core.geo import LocalFrame
from train.dataset import Dataset

SPLITS = ("train", "calibration", "test")
MANIFEST = "splits.json"
STANDPOINT_RADIUS_M = 10.0  # photos nearer than this were taken from the same place, within phone GPS


@dataclass(frozen=True)
class SplitConfig:
    """How photos are divided. `group_by` is a column of gt.csv, or `standpoint` (clusters of positions).

    Groups named in `calibration` and `test` go there; without names, groups are dealt by seed until each split has
    about its fraction of the photos.
    """

    group_by: str = "standpoint"
    calibration: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    calibration_fraction: float = 0.15
    test_fraction: float = 0.2
    seed: int = 0


@dataclass(frozen=True)
class Splits:
    """Which photo belongs where, by image name; no name and no group stands in two splits."""

    config: SplitConfig
    names: dict[str, tuple[str, ...]]

    def of(self, split: str) -> tuple[str, ...]:
        """The names of one split. Raises DatasetError for an unknown one."""
        if split not in self.names:
            raise DatasetError(f"no split {split!r}: choose one of {', '.join(self.names)}")
        return self.names[split]

    def indices(self, dataset: Dataset, split: str) -> NDArray[np.int64]:
        """(N,) rows of the dataset, in the manifest's order. Raises DatasetError when one is not in it."""
        row = {name: index for index, name in enumerate(dataset.names)}
        try:
            return np.array([row[name] for name in self.of(split)], np.int64)
        except KeyError as error:
            raise DatasetError(
                f"{dataset.root / MANIFEST}: {error.args[0]} is not in gt.csv: split again with --force"
            ) from error

    @property
    def sha256(self) -> str:
        """A fingerprint of who is where: equal splits have equal ones."""
        return hashlib.sha256(json.dumps(self.names, sort_keys=True).encode()).hexdigest()

    def describe(self) -> str:
        """How it was divided, for reports: `by session (test: test-evening, test-night)`."""
        chosen = f" (test: {', '.join(self.config.test)})" if self.config.test else f", seed {self.config.seed}"
        return f"by {self.config.group_by}{chosen}"

    def save(self, dataset_root: Path) -> None:
        """Write DATASET/splits.json, whole or not at all."""
        data = {"config": asdict(self.config), "splits": self.names}
        with written_aside(dataset_root / MANIFEST) as aside:
            aside.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, dataset_root: Path) -> Splits | None:
        """Read DATASET/splits.json, or None where the dataset was not split."""
        path = dataset_root / MANIFEST
        if not path.exists():
            return None
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            config: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data["config"].items()}
            names = {split: tuple(data["splits"][split]) for split in SPLITS}
            return cls(SplitConfig(**config), names)
        except (ValueError, KeyError, TypeError) as error:
            raise DatasetError(f"{path}: not a split manifest: split again with --force") from error


def groups_of(dataset: Dataset, group_by: str) -> NDArray[np.str_]:
    """(N,) the group of each photo. Raises DatasetError naming the columns when there is none of that name."""
    if group_by == "standpoint":
        return standpoints(LocalFrame.of_points(*dataset.latlon.T).to_local(*dataset.latlon.T))
    if group_by not in dataset.table.columns:
        raise DatasetError(
            f"{dataset.root}: gt.csv has no column {group_by!r} to group by: choose standpoint or one of "
            f"{', '.join(dataset.table.columns)}"
        )
    return dataset.table[group_by].fillna("").astype(str).to_numpy(np.str_)


def standpoints(local_m: NDArray[np.float64]) -> NDArray[np.str_]:
    """(N, 2) local metres -> (N,) cluster names: complete-linkage clusters no wider than STANDPOINT_RADIUS_M."""
    if len(local_m) < 2:
        return np.array(["0"] * len(local_m), np.str_)
    from scipy.cluster.hierarchy import fcluster, linkage

    spots, back = np.unique(local_m.round(2), axis=0, return_inverse=True)
    if len(spots) == 1:
        return np.array(["0"] * len(local_m), np.str_)
    cluster = fcluster(linkage(spots, "complete"), STANDPOINT_RADIUS_M, "distance")
    return cluster[back.ravel()].astype(np.str_)


def split_dataset(dataset: Dataset, config: SplitConfig) -> Splits:
    """Divide a dataset by group. Raises DatasetError when the groups cannot fill three splits."""
    groups = groups_of(dataset, config.group_by)
    present = set(groups.tolist())
    for name in (*config.calibration, *config.test):
        if name not in present:
            raise DatasetError(
                f"{dataset.root}: no {config.group_by} {name!r}: choose from {', '.join(sorted(present)[:20])}"
            )
    if overlap := set(config.calibration) & set(config.test):
        raise DatasetError(f"{config.group_by} {', '.join(sorted(overlap))} cannot be in calibration and test both")

    split_of = dict.fromkeys(config.calibration, "calibration") | dict.fromkeys(config.test, "test")
    rng = np.random.default_rng(config.seed)
    counts = {str(name): int(count) for name, count in zip(*np.unique(groups, return_counts=True), strict=True)}
    free = [str(name) for name in rng.permutation(sorted(present - split_of.keys()))]
    for split, named, fraction in (
        ("test", config.test, config.test_fraction),
        ("calibration", config.calibration, config.calibration_fraction),
    ):
        if not named:
            taken = 0
            while free and taken < fraction * len(groups):
                split_of[free[-1]] = split
                taken += counts[free.pop()]
    split_of |= dict.fromkeys(free, "train")

    where = np.array([split_of[group] for group in groups.tolist()])
    names = np.asarray(dataset.names)
    divided = {split: tuple(names[where == split].tolist()) for split in SPLITS}
    if empty := [split for split in SPLITS if not divided[split]]:
        raise DatasetError(
            f"{dataset.root}: {len(present)} {config.group_by} groups leave no photos for {' and '.join(empty)}: "
            "group by something finer (--group-by standpoint), or take more photos"
        )
    return Splits(config, divided)


def split_or_load(dataset: Dataset, config: SplitConfig | None, force: bool = False) -> Splits:
    """The dataset's manifest; made and saved by `config` (None: the defaults) where there is none.

    Raises DatasetError when a manifest made otherwise is there and `force` is not given: a test split that changes
    under a trained model is no longer held out.
    """
    there = None if force else Splits.load(dataset.root)
    if there is None:
        there = split_dataset(dataset, config or SplitConfig())
        there.save(dataset.root)
    elif config is not None and config != there.config:
        raise DatasetError(
            f"{dataset.root}: already split {there.describe()}: leave out --group-by to use that, or split again "
            "with `python -m train split --force`"
        )
    return there


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dataset", type=Path, metavar="DATASET", help="folder made by `ingest`")
    add_split_arguments(parser)
    parser.add_argument("--force", action="store_true", help="replace the splits that are there")


def add_split_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags that say how to divide, for `split` and `fit` alike."""
    parser.add_argument(
        "--group-by", metavar="COLUMN", help="session, device, contributor … of gt.csv, or standpoint (default)"
    )
    parser.add_argument(
        "--calibration", default="", metavar="A,B", help="groups to calibrate on (default: dealt by --split-seed)"
    )
    parser.add_argument("--test", default="", metavar="A,B", help="groups to test on (default: dealt)")
    parser.add_argument("--split-seed", type=int, default=0, metavar="N")


def config_of(args: argparse.Namespace) -> SplitConfig | None:
    """The SplitConfig that the flags ask for, or None where none was given."""
    calibration, test = (tuple(filter(None, text.split(","))) for text in (args.calibration, args.test))
    if not (args.group_by or calibration or test or args.split_seed):
        return None
    return SplitConfig(args.group_by or "standpoint", calibration, test, seed=args.split_seed)


def main(args: argparse.Namespace) -> int:
    dataset = Dataset.load(args.dataset)
    splits = split_or_load(dataset, config_of(args), args.force)
    print(f"{args.dataset / MANIFEST}: split {splits.describe()}")
    groups = groups_of(dataset, splits.config.group_by)
    for split in SPLITS:
        rows = splits.indices(dataset, split)
        night = float(dataset.is_night[rows].mean())
        print(f"  {split:<12} {len(rows):>5} photos  {len(set(groups[rows])):>4} groups  {night:4.0%} night")
    return 0
