"""How well a campus is located on sessions that it never saw: baselines and recipes on the same folds.

`python -m train protocol DATASET --hold-out A-1223-morning --hold-out B-1224-morning,B-1224-noon …` tests each fold in
turn, calibrated on other sessions of the rest, and prints Markdown: every way on all folds together, fold by fold, by
day and night, by phone, and how often the radii hold. Intervals come from resampling chains, the photos of one walker
that follow each other within seconds: they share their light, their place and their error, so they are one draw.
"""

from __future__ import annotations

import argparse
import json
import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from core.errors import DatasetError
from core.io.files import check_file_writable, written_atomically
from core.network.net_config import Pooling
from train.compare import CENTRED, MIDDLE, RAW, SOFT, UNTRAINED, WAYS_HELP, Answers, answers_of, way_config
from train.dataset.dataset import Dataset
from train.dataset.ingest import find_photos
from train.dataset.split import SplitConfig, Splits, groups_of, names_in, seed_number, split_dataset
from train.evaluate.coverage import MISLEADING, Proportion, misleading
from train.evaluate.sequences import BURST_GAP_S, chains, times_s, walkers
from train.fit.recipes.whitened import WhitenedConfig

Float = NDArray[np.float64]
Rows = NDArray[np.int64]  # of the dataset
Mask = NDArray[np.bool_]

log = logging.getLogger(__name__)

RESAMPLES = 2_000
FOLDS = 5  # where no flag says how many
INTERVAL = (2.5, 97.5)  # percentiles of the resampled figures
DEVICE_COLUMNS = ("phone", "device")
TIME_COLUMNS = ("time_utc", "local_time")
_TIME_OF_DAY = re.compile(r"\s*(\d{1,2}):(\d{2})(?::(\d{2}))?\s*$")


@dataclass(frozen=True)
class Measured:
    """One way's answers on all folds: the dataset's row and the fold's number of each of N photos."""

    way: str
    rows: Rows
    fold: NDArray[np.int64]
    answers: Answers


def chain_numbers(dataset: Dataset, group: NDArray[np.str_]) -> NDArray[np.int64]:
    """(N,) the chain of each photo: of one group and walker, at most BURST_GAP_S after the one before.

    A chain lasts for as long as photos come; without times it is the whole group. Bursts are shorter
    (`sequences.bursts`).
    """
    seconds = _seconds(dataset)
    members: dict[tuple[str, ...], list[int]] = {}
    for row, (name, walker) in enumerate(zip(group.tolist(), walkers(dataset), strict=True)):
        members.setdefault((name, *walker), []).append(row)
    number, first = np.empty(len(group), np.int64), 0
    for _, found in sorted(members.items()):
        rows = np.array(found)
        rows = rows[np.argsort(seconds[rows], kind="stable")]
        for part in chains(seconds[rows], BURST_GAP_S):
            number[rows[part]] = first
            first += 1
    return number


def _seconds(dataset: Dataset) -> Float:
    """(N,) when each photo was taken, 0 where unknown.

    A time of day without a date tells no walk (`times_s`), but which photos are seconds apart.
    """
    seconds = times_s(dataset)
    column = next((name for name in TIME_COLUMNS if dataset.has(name)), None)
    texts = [""] * len(dataset) if column is None else dataset.column(column)
    for row in np.flatnonzero(np.isnan(seconds)):
        hours = _TIME_OF_DAY.match(texts[row])
        parts = () if hours is None else hours.groups()
        seconds[row] = sum(int(part or 0) * unit for part, unit in zip(parts, (3600, 60, 1), strict=False))
    return seconds


def resampled(error_m: Float, chain: NDArray[np.int64]) -> tuple[tuple[float, float], ...]:
    """The 95 % intervals of mean and median error, chains drawn anew with replacement (cluster bootstrap)."""
    rng = np.random.default_rng(0)
    members = [error_m[chain == one] for one in np.unique(chain)]
    figures = np.empty((RESAMPLES, 2))
    for index in range(RESAMPLES):
        drawn = np.concatenate([members[one] for one in rng.integers(0, len(members), len(members))])
        figures[index] = drawn.mean(), np.median(drawn)
    low, high = np.percentile(figures, INTERVAL, axis=0)
    return tuple(zip(low.tolist(), high.tolist(), strict=True))


def measure(dataset: Dataset, folds: Sequence[Splits], way: str, common: dict[str, Any]) -> Measured:
    """Answer every fold's test photos one way."""
    answers = [answers_of(way, dataset, splits, "test", common) for splits in folds]
    rows = [splits.indices(dataset, "test") for splits in folds]
    number = [np.full(len(part), index) for index, part in enumerate(rows)]
    return Measured(way, np.concatenate(rows), np.concatenate(number), Answers.joined(answers))


def figures(answers: Answers, chosen: Mask) -> dict[str, float | int | None]:
    """The figures of some of a way's photos, ready for JSON; None where the way gives no radii."""
    error_m, radius68_m, radius95_m = (
        getattr(answers, name)[chosen] for name in ("error_m", "radius68_m", "radius95_m")
    )
    known = bool(len(error_m)) and bool(np.isfinite(radius68_m).all())
    clear = answers.clear[chosen]
    return {
        "n": len(error_m),
        "mean_m": float(error_m.mean()) if len(error_m) else None,
        "median_m": float(np.median(error_m)) if len(error_m) else None,
        "coverage68": float((error_m <= radius68_m).mean()) if known else None,
        "coverage95": float((error_m <= radius95_m).mean()) if known else None,
        "median_radius68_m": float(np.median(radius68_m)) if known else None,
        "clear": float(clear.mean()) if known else None,
        "misleading": float(misleading(error_m, radius68_m, clear).mean()) if known else None,
    }


def breakdown(dataset: Dataset, folds: Sequence[str], measured: Measured) -> dict[str, Mask]:
    """Name -> (N,) which photos: all of them, each fold, day and night, each phone; no part without photos.

    Where there are both: those by a phone that also took photos which the fold learns from, and those by another.
    """
    rows = measured.rows
    parts = {"all": np.ones(len(rows), np.bool_)}
    parts |= {name: measured.fold == index for index, name in enumerate(folds)}
    if dataset.is_night.any():
        parts |= {"day": ~dataset.is_night[rows], "night": dataset.is_night[rows]}
    column = next((name for name in DEVICE_COLUMNS if dataset.has(name)), None)
    if column:
        devices = np.array(dataset.column(column))
        device = devices[rows]
        parts |= {f"{column} {name}": device == name for name in np.unique(device)}
        known = np.zeros(len(rows), np.bool_)
        for index in range(len(folds)):
            tested = measured.fold == index
            known[tested] = np.isin(device[tested], np.delete(devices, rows[tested]))
        if known.any() and not known.all():
            parts |= {f"same {column}": known, f"other {column}": ~known}
    return {name: chosen for name, chosen in parts.items() if chosen.any()}


def report(dataset: Dataset, folds: Sequence[str], group: NDArray[np.str_], ways: Sequence[Measured]) -> dict[str, Any]:
    """Every figure of the protocol, ready for JSON."""
    chain = chain_numbers(dataset, group)
    rows = []
    for measured in ways:
        parts = {
            name: figures(measured.answers, chosen) for name, chosen in breakdown(dataset, folds, measured).items()
        }
        mean, median = resampled(measured.answers.error_m, chain[measured.rows])
        rows.append({"way": measured.way, "mean_interval_m": mean, "median_interval_m": median, "parts": parts})
    return {"photos": len(dataset), "chains": int(chain.max()) + 1, "folds": list(folds), "ways": rows}


def markdown(found: dict[str, Any]) -> str:
    """The report as two tables: errors, and radii of the ways that give some."""
    parts = list(found["ways"][0]["parts"])

    def pair(part: dict[str, Any]) -> str:
        return f"{part['mean_m']:.1f} / {part['median_m']:.1f}"

    def error_row(way: dict[str, Any]) -> list[str]:
        spans = (f"{low:.1f}–{high:.1f}" for low, high in (way["mean_interval_m"], way["median_interval_m"]))
        return [f"`{way['way']}`", *(pair(part) for part in way["parts"].values()), " / ".join(spans)]

    def radius_row(way: dict[str, Any]) -> list[str]:
        held = (f"{part['coverage68']:.0%} / {part['coverage95']:.0%}" for part in way["parts"].values())
        whole = way["parts"]["all"]
        said = (f"{whole['median_radius68_m']:.1f} m", f"{whole['clear']:.0%}", f"{whole['misleading']:.1%}")
        return [f"`{way['way']}`", *held, *said]

    counts = [f"{name} ({part['n']})" for name, part in found["ways"][0]["parts"].items()]
    with_radii = [way for way in found["ways"] if way["parts"]["all"]["coverage68"] is not None]
    return "\n\n".join(
        (
            "Mean / median error, m; the last column is their 95 % intervals, by chains.",
            _table(["way", *counts, "interval, all"], map(error_row, found["ways"])),
            "Photos within their 68 % / 95 % radius; the median 68 % radius; answers that claim one clear place, as "
            f"refused photos do not; misleading ones, which claim it and are off by over {MISLEADING:g} radii.",
            _table(["way", *parts, "radius", "clear", "misleading"], map(radius_row, with_radii)),
        )
    )


def _table(head: list[str], rows: Iterable[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def refused_shares(
    dataset: Dataset, folds: Sequence[Splits], ood: Sequence[Path], common: dict[str, Any]
) -> dict[str, Proportion]:
    """How many of the dataset's own test photos, and of those in each folder of another place, are refused."""
    from train.bundle.ood_refusals import features_of_place, refusals
    from train.fit.training_data import prepare
    from train.fit.whitened_net import dataset_features, pretrained_net

    config = WhitenedConfig(**common)
    net, _ = pretrained_net(config)
    places = [features_of_place(net, folder) for folder in ood]
    tasks = [prepare(dataset, splits, config) for splits in folds]
    found = refusals(net, tasks, dataset_features(config, dataset), places)
    return dict(zip(("own", *(str(folder) for folder in ood)), found, strict=True))


def refusal_table(found: dict[str, Proportion]) -> str:
    """The refusals as Markdown."""
    rows = (
        [place, f"{part.n:,}", f"{part.share:.0%} [{100 * part.low:.0f}, {100 * part.high:.0f}]"]
        for place, part in found.items()
    )
    return "Photos refused as not of this campus, with intervals as if they were drawn alone.\n\n" + _table(
        ["photos of", "n", "refused"], rows
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dataset", type=Path, metavar="DATASET", help="folder made by `ingest`")
    parser.add_argument("--group-by", default="session", metavar="COLUMN", help="what is held out whole")
    parser.add_argument(
        "--hold-out", action="append", metavar="A,B", help="the groups of one fold; repeated for each fold"
    )
    parser.add_argument(
        "--folds", type=int, metavar="K", help=f"assign the groups into K folds instead; default {FOLDS}"
    )
    parser.add_argument(
        "--ways", nargs="+", default=[MIDDLE, RAW, CENTRED, SOFT, "whitened"], metavar="WAY", help=WAYS_HELP
    )
    parser.add_argument("--backbone", default="efficientnet_lite0", metavar="NAME", help="of every way")
    parser.add_argument("--weights", metavar="FILE", help="local ImageNet weights for the backbone, of every way")
    parser.add_argument("--pooling", choices=get_args(Pooling), help="of every way; default: each recipe's own")
    size = WhitenedConfig.image_size  # what `fit` makes of the same dataset
    parser.add_argument("--image-size", type=int, default=size, metavar="PX", help="of every way; default %(default)s")
    parser.add_argument("--epochs", type=int, metavar="N", help="of ways that are trained; default: each recipe's own")
    parser.add_argument(
        "--seed", type=seed_number, default=0, metavar="N", help="of the division into folds, and of training"
    )
    parser.add_argument(
        "--ood",
        "--strangers",  # its former name
        dest="ood",
        type=Path,
        nargs="+",
        default=[],
        metavar="DIR",
        help="photos of other places (out of distribution): how many are refused",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")


def fold_configs(args: argparse.Namespace) -> dict[str, SplitConfig]:
    """Name -> how that fold is divided: one group a fold unless the flags say otherwise.

    Raises DatasetError where the flags contradict each other, or where two folds hold out the same group.
    """
    if args.hold_out is None:
        folds = FOLDS if args.folds is None else args.folds
        if folds < 2:
            raise DatasetError(f"--folds {folds}", remedy="at least two are needed")
        return {
            f"fold {index}": SplitConfig(args.group_by, fold=(index, folds), seed=args.seed)
            for index in range(1, folds + 1)
        }
    if args.folds is not None:
        raise DatasetError("--hold-out names the folds", remedy="leave out --hold-out or --folds")
    groups = [names_in(text) for text in args.hold_out]
    held = [group for fold in groups for group in set(fold)]
    if twice := sorted({group for group in held if held.count(group) > 1}):
        raise DatasetError(
            f"{args.group_by} {', '.join(twice)} is held out by two folds", remedy="name each group in one --hold-out"
        )
    return {" + ".join(fold): SplitConfig(args.group_by, test=fold, seed=args.seed) for fold in groups}


def _check_outcome_can_be_had(args: argparse.Namespace) -> None:
    """Raise DatasetError for a folder without photos, CampusError or OSError where the figures cannot be written."""
    for folder in args.ood:
        find_photos(folder)
    if args.json:
        check_file_writable(args.json)


def _save(found: dict[str, Any], file: Path | None) -> None:
    if file:
        with written_atomically(file) as temporary:
            temporary.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def main(args: argparse.Namespace) -> int:
    configs = fold_configs(args)
    _check_outcome_can_be_had(args)  # hours of work come between here and there
    dataset = Dataset.load(args.dataset)
    folds = [split_dataset(dataset, config) for config in configs.values()]
    common: dict[str, Any] = {"backbone": args.backbone, "image_size": args.image_size, "seed": args.seed}
    common |= {name: value for name in ("epochs", "weights", "pooling") if (value := getattr(args, name)) is not None}
    for way in args.ways:
        if way not in UNTRAINED:
            way_config(way, common, len(folds[0].of("train")))  # a misspelt one is found before hours of training
    ways = []
    for way in args.ways:
        ways.append(measure(dataset, folds, way, common))
        log.info("%s: %s", way, figures(ways[-1].answers, np.ones(len(ways[-1].rows), np.bool_)))
    found = report(dataset, list(configs), groups_of(dataset, args.group_by), ways)
    _save(found, args.json)  # a photo of another place that cannot be read must not cost the figures of the ways
    print(
        f"{args.dataset}: {found['photos']} photos, {found['chains']} chains (of one walker, at most {BURST_GAP_S:g} s "
        f"apart), held out by {args.group_by}"
    )
    print(markdown(found))
    if args.ood:
        refused = refused_shares(dataset, folds, args.ood, common)
        found["refused"] = {place: asdict(part) for place, part in refused.items()}
        _save(found, args.json)
        print(f"\n{refusal_table(refused)}")
    return 0
