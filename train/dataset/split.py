"""Three splits, held out by group: what is tested shares no walk, person or standpoint with what was trained.

Groups are assigned so that each split has about its share of night photos and of each part of the campus. Photos
assigned one by one (`--split random`) are for comparison with others alone: nearly every test photo then has a
neighbour in training, and errors come out far smaller than on the photos that people will take later.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.campus.frame import LocalFrame
from core.errors import DatasetError
from core.io.files import written_atomically
from core.program import typed
from train.dataset.dataset import Dataset
from train.dataset.expectation import expect
from train.dataset.zoning import cells

SPLITS = ("train", "calibration", "test")
MANIFEST = "splits.json"
STANDPOINT_RADIUS_M = 10.0  # photos nearer than this were taken from the same place, within phone GPS
MOST_SEED = 2**32 - 1  # that every library's generator takes
PLACES = 8  # parts of the campus whose photos each split gets its share of: coarse, or few groups could not be assigned


@dataclass(frozen=True)
class SplitConfig:
    """How photos are divided. `group_by` is a column of gt.csv, `standpoint` (clusters of positions), or None: every
    photo on its own, at random.

    Groups named in `calibration` and `test` go there; without names, groups are assigned by seed into parts as large as
    the fractions, of which one is the split. `fold` (I, K) assigns K parts and tests on the I-th, from 1 to K: the K
    folds of one seed test every photo once.
    """

    group_by: str | None = "standpoint"
    calibration: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    calibration_fraction: float = 0.15
    test_fraction: float = 0.2
    seed: int = 0
    fold: tuple[int, int] | None = None


@dataclass(frozen=True)
class Splits:
    """Which photo belongs where, by image name; no name and no group stands in two splits."""

    config: SplitConfig
    names: dict[str, tuple[str, ...]]

    def of(self, split: str) -> tuple[str, ...]:
        """The names of one split. Raises DatasetError for an unknown one."""
        if split not in self.names:
            raise DatasetError(f"no split {split!r}", remedy=f"choose one of {', '.join(self.names)}")
        return self.names[split]

    def indices(self, dataset: Dataset, split: str) -> NDArray[np.int64]:
        """(N,) rows of the dataset, in the manifest's order. Raises DatasetError when one is not in it."""
        row = {name: index for index, name in enumerate(dataset.names)}
        try:
            return np.array([row[name] for name in self.of(split)], np.int64)
        except KeyError as error:
            raise DatasetError(
                f"{error.args[0]} is not in gt.csv", path=dataset.root / MANIFEST, remedy="split again with --force"
            ) from error

    @property
    def sha256(self) -> str:
        """A fingerprint of who is where: equal splits have equal ones."""
        return hashlib.sha256(json.dumps(self.names, sort_keys=True).encode()).hexdigest()

    def describe(self) -> str:
        """How it was divided, for reports: `by session (test: test-evening, test-night)`."""
        config = self.config
        how = (
            f"by {config.group_by}"
            if config.group_by
            else "at random (a random split: photos of one place fall on both sides)"
        )
        if config.test:
            return f"{how} (test: {', '.join(config.test)})"
        fold = f", fold {config.fold[0]} of {config.fold[1]}" if config.fold else ""
        return f"{how}{fold}, seed {config.seed}"

    def save(self, dataset_root: Path) -> None:
        """Write DATASET/splits.json, whole or not at all."""
        data = {"config": asdict(self.config), "splits": self.names}
        with written_atomically(dataset_root / MANIFEST) as temporary:
            temporary.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")

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
            raise DatasetError("not a split manifest", path=path, remedy="split again with --force") from error


def groups_of(dataset: Dataset, group_by: str | None) -> NDArray[np.str_]:
    """(N,) the group of each photo, its own name where `group_by` is None. Raises DatasetError naming the columns when
    there is none of that name.
    """
    if group_by is None:
        return np.array(dataset.names, np.str_)
    if group_by == "standpoint":
        return standpoints(_local_m(dataset))
    if group_by not in dataset.table.columns:
        raise DatasetError(
            f"gt.csv has no column {group_by!r} to group by",
            path=dataset.root,
            remedy=f"choose standpoint or one of {', '.join(dataset.table.columns)}",
        )
    return dataset.table[group_by].fillna("").astype(str).to_numpy(np.str_)


def _local_m(dataset: Dataset) -> NDArray[np.float64]:
    return LocalFrame.of_points(*dataset.latlon.T).to_local(*dataset.latlon.T)


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


def balanced_columns(dataset: Dataset, by_place: bool) -> NDArray[np.float64]:
    """(N, C) what each part gets its share of: photos, night photos, and photos of each of PLACES parts of the campus.

    Each column sums to its weight: the number of photos and the night count 1 each, the places 1 together.
    """
    columns = [np.ones(len(dataset)), dataset.is_night.astype(np.float64)]
    if by_place:
        local_m = _local_m(dataset).round(1)
        count = min(PLACES, len(np.unique(local_m, axis=0)))
        _, place = cells(local_m, count)
        columns += [(place == index) / count for index in range(count)]
    table = np.stack(columns, axis=1)
    present = table[:, table.any(axis=0)]
    return np.asarray(present / present.sum(axis=0) * present.max(axis=0))


def assign(
    groups: NDArray[np.str_], columns: NDArray[np.float64], parts: int, rng: np.random.Generator
) -> list[set[str]]:
    """The groups, (N,) one of each photo, assigned into `parts` sets alike in every column of (N, C) `columns`.

    Greedy: large groups first, each to the part whose photos are least like its own, which is where it adds least to
    the sum of squares of the parts' shares. No part is empty where there are as many groups as parts.
    """
    names, member = np.unique(groups, return_inverse=True)
    shares = np.zeros((len(names), columns.shape[1]))
    np.add.at(shares, member, columns)
    order = rng.permutation(len(names))
    order = order[np.argsort(-shares[order].sum(axis=1), kind="stable")]
    held = np.zeros((parts, columns.shape[1]))
    assigned: list[set[str]] = [set() for _ in range(parts)]
    for group in order:
        part = int((held @ shares[group]).argmin())
        held[part] += shares[group]
        assigned[part].add(str(names[group]))
    return [assigned[part] for part in rng.permutation(parts)]  # or the first part would always have the largest group


def split_dataset(dataset: Dataset, config: SplitConfig) -> Splits:
    """Divide a dataset by group. Raises DatasetError when the groups cannot fill three splits."""
    groups = groups_of(dataset, config.group_by)
    present = set(groups.tolist())
    for name in (*config.calibration, *config.test):
        if name not in present:
            raise DatasetError(
                f"no {config.group_by} {name!r}",
                path=dataset.root,
                remedy=f"choose from {', '.join(_quoted(group) for group in sorted(present)[:20])}",
            )
    if overlap := set(config.calibration) & set(config.test):
        raise DatasetError(f"{config.group_by} {', '.join(sorted(overlap))} cannot be in calibration and test both")
    if config.fold and config.test:
        raise DatasetError("a fold is the test split", remedy="leave out --fold or --test")

    rng = np.random.default_rng(config.seed)
    columns = balanced_columns(dataset, by_place=config.group_by is not None)
    test, calibration = list(config.test), list(config.calibration)
    if not test:
        free = ~np.isin(groups, calibration)
        test = _one_part(groups[free], columns[free], config.test_fraction, config.fold, rng)
    if not calibration:
        free = ~np.isin(groups, test)
        share = config.calibration_fraction / max(float(free.mean()), config.calibration_fraction)
        calibration = _one_part(groups[free], columns[free], share, None, rng)

    where = np.select([np.isin(groups, test), np.isin(groups, calibration)], ["test", "calibration"], "train")
    names = np.asarray(dataset.names)
    divided = {split: tuple(names[where == split].tolist()) for split in SPLITS}
    if empty := [split for split in SPLITS if not divided[split]]:
        raise _too_few(dataset, config, len(present), empty)
    return Splits(config, divided)


def _too_few(dataset: Dataset, config: SplitConfig, groups: int, empty: list[str]) -> DatasetError:
    """Why a split is not possible, and what is."""
    by_name = config.group_by not in (None, "standpoint")
    what = f"{config.group_by} groups" if by_name else "standpoints" if config.group_by else "photos"
    reason = f"{groups} {what} leave no photos for {' and '.join(empty)}"
    if not by_name:
        return DatasetError(reason, path=dataset.root, remedy="take photos at three places or more")
    another = (
        "three are needed. Take another, or hold out places instead, which tells less of another day: "
        "--group-by standpoint"
    )
    return DatasetError(reason, path=dataset.root, remedy=another)


def _one_part(
    groups: NDArray[np.str_],
    columns: NDArray[np.float64],
    fraction: float,
    fold: tuple[int, int] | None,
    rng: np.random.Generator,
) -> list[str]:
    """The groups of one part, about as large as `fraction` where no fold says which part of how many."""
    count = len(np.unique(groups))
    if fold is None:
        return sorted(assign(groups, columns, max(1, min(round(1 / fraction), count)), rng)[0])
    index, parts = fold
    if not 1 <= index <= parts or parts < 2:
        raise DatasetError(
            f"there is no fold {index} of {parts}", remedy="I/K counts from 1/K to K/K, and K is at least 2"
        )
    if parts > count:
        raise DatasetError(
            f"{count} groups cannot be assigned into {parts} folds", remedy="choose fewer, or a finer --group-by"
        )
    return sorted(assign(groups, columns, parts, rng)[index - 1])


def nearest_training_m(dataset: Dataset, splits: Splits) -> NDArray[np.float64]:
    """(N,) how far each test photo's label is from the nearest training photo's, in metres."""
    from scipy.spatial import KDTree

    local_m = _local_m(dataset)
    distance, _ = KDTree(local_m[splits.indices(dataset, "train")]).query(local_m[splits.indices(dataset, "test")])
    return np.asarray(distance, np.float64)


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
            f"already split {there.describe()}",
            path=dataset.root,
            remedy=f"leave out what says how to use that, or split again with `{typed('train')} split --force`",
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
        "--split",
        choices=("grouped", "random"),
        default="grouped",
        help="random: photo by photo, for comparison with others; tells nothing of new photos",
    )
    parser.add_argument(
        "--calibration", default="", metavar="A,B", help="groups to calibrate on (default: assigned by --split-seed)"
    )
    parser.add_argument(
        "--test",
        default="",
        metavar="A,B",
        help="groups to test on (default: assigned); a name with a comma stands in double quotes: '\"Day 1, noon\",B'",
    )
    parser.add_argument("--fold", default="", metavar="I/K", help="assign K folds and test on the I-th (default: 1/5)")
    parser.add_argument("--split-seed", type=seed_number, metavar="N", help="default 0")


def seed_number(text: str) -> int:
    """The type of every flag that seeds a draw. Raises argparse's error for what no generator takes."""
    if not (text.isdecimal() and int(text) <= MOST_SEED):
        raise argparse.ArgumentTypeError(f"{text} is no whole number from 0 to {MOST_SEED}")
    return int(text)


def config_of(args: argparse.Namespace) -> SplitConfig | None:
    """The SplitConfig that the flags ask for, or None where none was given. Raises DatasetError where they disagree."""
    calibration, test = names_in(args.calibration), names_in(args.test)
    fold, random = _fold(args.fold), args.split == "random"
    if random and (args.group_by or calibration or test):
        raise DatasetError("a random split has no groups", remedy="leave out --group-by, --calibration and --test")
    if not (args.group_by or random or calibration or test or fold or args.split_seed is not None):
        return None
    group_by = None if random else args.group_by or "standpoint"
    return SplitConfig(group_by, calibration, test, seed=args.split_seed or 0, fold=fold)


def names_in(text: str) -> tuple[str, ...]:
    """`A,B` -> its names, as in a line of CSV: a name with a comma stands in double quotes."""
    return tuple(filter(None, next(csv.reader([text]), [])))


def _quoted(name: str) -> str:
    """A name as `names_in` reads it."""
    return f'"{name}"' if "," in name else name


def _fold(text: str) -> tuple[int, int] | None:
    """`2/5` -> (2, 5)."""
    if not text:
        return None
    index, _, parts = text.partition("/")
    if not (index.isdecimal() and parts.isdecimal()):
        raise DatasetError(f"--fold {text}", remedy="write I/K, such as 2/5 for the second fold of five")
    return int(index), int(parts)


def main(args: argparse.Namespace) -> int:
    dataset = Dataset.load(args.dataset)
    splits = split_or_load(dataset, config_of(args), args.force)
    print(f"{args.dataset / MANIFEST}: split {splits.describe()}")
    groups = groups_of(dataset, splits.config.group_by)
    for split in SPLITS:
        rows = splits.indices(dataset, split)
        night = float(dataset.is_night[rows].mean())
        print(f"  {split:<12} {len(rows):>5} photos  {len(set(groups[rows])):>4} groups  {night:4.0%} night")
    away_m = nearest_training_m(dataset, splits)
    within = ", ".join(f"{limit} m for {float((away_m <= limit).mean()):.0%}" for limit in (1, 10))
    print(f"  nearest training photo of a test photo: {np.median(away_m):.1f} m away (median), within {within}")
    print("\n".join(f"  {line}" for line in expect(dataset.latlon[splits.indices(dataset, "train")]).lines()))
    return 0
