"""Ways to train side by side: on the same folds, with the same backbone, for as long.

A way is a recipe, or a recipe with constants of its config changed, which is how its choices are weighed:
`campus`, `original`, `campus:retrieval_loss_weight=0`. Each fold's network is calibrated on the fold's calibration
split and measured on its test split, or on the calibration split (`--on calibration`), which is the way to choose: a
constant chosen by test photos makes their figures worth nothing. Photos of all folds are then counted together.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

import numpy as np
from numpy.typing import NDArray

from core.errors import CampusError, DatasetError
from core.io.files import check_file_writable, written_atomically
from core.locate.confidence import is_clear
from core.locate.heading import angle_between_deg, direction_deg
from core.network.net_config import Pooling
from train.dataset.dataset import Dataset
from train.dataset.split import Splits, add_split_arguments, config_of, groups_of, seed_number, split_dataset
from train.fit.config import FitConfig
from train.fit.recipes import new_config, recipe_names
from train.fit.recipes.whitened import WhitenedConfig

if TYPE_CHECKING:
    from core.campus.manifest import Calibration
    from core.campus.parameters import PosteriorParams
    from core.engines.heads import Heads
    from core.network.campus_net import CampusNet
    from train.bundle.held_out import Ground, HeldOut
    from train.bundle.make import Run
    from train.fit.training_data import TrainingData

    Float = NDArray[np.float64]
    Rows = NDArray[np.int64]  # of the dataset

log = logging.getLogger(__name__)

LEAST_HALF = 1 / 3  # of the photos, that a posterior for the others is fitted on
MIDDLE, RAW, CENTRED, SOFT = "middle", "raw", "centred", "soft"
UNTRAINED = {
    MIDDLE: "always the middle of the training photos",
    RAW: "nearest neighbour by the backbone's ImageNet features, untrained",
    CENTRED: "the same, the training photos' mean taken away first",
    SOFT: "a posterior over the nearest neighbours by centred features",
}
WAYS_HELP = f"{', '.join(UNTRAINED)}, a recipe, or RECIPE:FIELD=VALUE,…; default %(default)s"


@dataclass(frozen=True)
class Answers:
    """What one way says of N photos: errors in metres; radii and heading errors NaN where it gives none.

    clear: whether it claims one clear place, as no photo does that it refuses as of elsewhere.
    """

    error_m: Float
    night: NDArray[np.bool_]
    radius68_m: Float
    radius95_m: Float
    heading_off_deg: Float
    clear: NDArray[np.bool_]

    @classmethod
    def of(
        cls, error_m: Float, night: NDArray[np.bool_], clear: NDArray[np.bool_] | None = None, **rest: Float
    ) -> Answers:
        unknown = np.full(len(error_m), np.nan)
        names = ("radius68_m", "radius95_m", "heading_off_deg")
        known = {name: rest.get(name, unknown) for name in names}
        return cls(error_m, night, **known, clear=np.zeros(len(error_m), np.bool_) if clear is None else clear)

    @classmethod
    def joined(cls, parts: list[Answers]) -> Answers:
        names = [f.name for f in dataclasses.fields(cls)]
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def way_config(way: str, common: dict[str, Any], photos: int) -> FitConfig:
    """The config that a way's name asks for, `common` fields given, for as many training photos. Raises CampusError
    naming what is unknown.
    """
    recipe, _, changes = way.partition(":")
    if recipe not in recipe_names():
        known = ", ".join((*UNTRAINED, *recipe_names()))
        raise CampusError("no such way", path=f"way {way!r}", remedy=f"choose from {known}, or RECIPE:FIELD=VALUE,…")
    plain = new_config(recipe)
    hints = get_type_hints(type(plain))
    kinds = {name: get_args(hints[name])[0] if value is None else type(value) for name, value in vars(plain).items()}
    given = dict(common)
    for change in filter(None, changes.split(",")):
        name, _, value = change.partition("=")
        try:
            given[name] = kinds[name](value)
        except (KeyError, TypeError, ValueError) as error:
            raise CampusError(f"{change!r} is no FIELD=VALUE of the {recipe} recipe", path=f"way {way!r}") from error
    return new_config(recipe, photos=photos, **given)


def untrained_answers(way: str, task: TrainingData, on: str, features: NDArray[np.float32] | None) -> Answers:
    """The fold's photos of split `on` answered by one of UNTRAINED.

    features (M, F) of the dataset's photos. Nothing is fitted, so calibration photos may stand in the gallery of test
    photos, as they do for whitened features.
    """
    asked, truth_m = task.rows[on], task.local_m
    known = np.concatenate([task.rows[split] for split in ("train", "calibration") if split != on])
    at_m = np.broadcast_to(np.median(truth_m[known], axis=0), (len(asked), 2))
    if way != MIDDLE:
        assert features is not None
        middle = features[known].mean(axis=0) if way == CENTRED else np.zeros_like(features[0])
        unit = (features - middle) / np.linalg.norm(features - middle, axis=1, keepdims=True)
        at_m = truth_m[known][(unit[asked] @ unit[known].T).argmax(axis=1)]
    return Answers.of(np.linalg.norm(at_m - truth_m[asked], axis=1), task.dataset.is_night[asked])


def trained_answers(run: Run, on: str) -> Answers:
    """The fold's photos of split `on` answered by a run: the original by its regression, as its own program does; any
    other by the posterior. For test photos that is calibrated on the calibration split, for calibration photos on the
    other of their `halves`.
    """
    from core.engines.heads import run_all
    from core.network.torch_engine import TorchEngine
    from train.bundle.held_out import with_ood_score
    from train.fit.training_data import SCALE_M

    task, rows, net = run.task, run.task.rows[on], run.net
    if run.fit.recipe != "original":
        net, _ = with_ood_score(net, task)
    heads = run_all(TorchEngine(net), task.images, batch=64)
    if run.fit.recipe == "original":
        error_m = np.linalg.norm(heads.at(rows).offset * SCALE_M - task.local_m[rows], axis=1)
        return Answers.of(error_m, task.dataset.is_night[rows])
    if on == "test":
        return _calibrated_answers(task, heads, task.rows["calibration"], rows)
    half = halves(task, rows)
    return Answers.joined([_calibrated_answers(task, heads, rows[part], rows[~part]) for part in (half, ~half)])


def halves(task: TrainingData, rows: Rows) -> NDArray[np.bool_]:
    """Which of the photos in `rows` (N,) are one half of them: no session has photos in both, where sessions make two
    that are large enough, else no standpoint, else no photo.
    """
    from train.bundle.held_out import folds
    from train.fit.whitened_net import sessions_of

    by_session, by_place = sessions_of(task)[rows], groups_of(task.dataset, "standpoint")[rows]
    for group in (by_session, by_place):
        half = folds(group, 2)[0]
        if LEAST_HALF <= half.mean() <= 1 - LEAST_HALF:
            return half
    return np.asarray(np.arange(len(rows)) % 2 == 0)


def _calibrated_answers(task: TrainingData, heads: Heads, calibration: Rows, asked: Rows) -> Answers:
    """The dataset's photos `asked`, by the posterior that is fitted on its photos `calibration`; `heads` of all."""
    from train.bundle.calibrate import calibrate, posterior_parameters
    from train.bundle.held_out import HeldOut, gallery_of
    from train.bundle.parts import ground_of

    training, truth_m = task.rows["train"], task.local_m
    ground = ground_of(task, training)
    gallery = None if heads.embedding is None else gallery_of(heads.at(training), truth_m[training])
    known = [HeldOut(heads.at(calibration), truth_m[calibration], gallery)]
    params = posterior_parameters(known, ground)
    factors = calibrate(known, ground, params, task.heading_deg[calibration])
    found = HeldOut(heads.at(asked), truth_m[asked], gallery)
    return _answers(found, ground, params, factors, task, asked)


def whitened_answers(
    net: CampusNet, task: TrainingData, on: str, features: NDArray[np.float32], whiten: bool = True
) -> Answers:
    """Whitened features: the test photos by what is cross-fitted on all others. Calibration photos are held out with
    their sessions, of which only they are answered. features (M, F) of the dataset's photos.
    """
    from train.bundle.held_out import HeldOut, cross_fitted, heads_of
    from train.bundle.parts import fitted_and_calibrated, ground_of

    fitted = cross_fitted(net, task, features, whiten)
    ground = ground_of(task, fitted.rows)
    params, factors = fitted_and_calibrated(fitted, ground, task)
    if on == "calibration":
        # Training photos were held out as well, but the other ways answer calibration photos alone.
        of_split = [np.isin(rows, task.rows[on]) for rows in fitted.asked]
        parts = zip(fitted.held_out, fitted.asked, of_split, strict=True)
        return Answers.joined(
            [_answers(part.at(at), ground, params, factors, task, rows[at]) for part, rows, at in parts if at.any()]
        )
    test = task.rows["test"]
    found = HeldOut(heads_of(fitted.net, features[test]), task.local_m[test], fitted.gallery)
    return _answers(found, ground, params, factors, task, test)


def _answers(
    found: HeldOut, ground: Ground, params: PosteriorParams, factors: Calibration, task: TrainingData, rows: Rows
) -> Answers:
    """What a calibrated posterior says of some photos."""
    from core.locate.second_look import ood_score
    from train.bundle.calibrate import readings

    error_m, raw_m, rival = readings(found, ground, params)
    radius68_m, radius95_m = np.array([factors.radii_m(tuple(raw)) for raw in raw_m]).T
    scores = [ood_score(factors, own) for own in found.heads.own_ood_score.tolist()]
    on_campus = np.array([factors.on_campus(score) is True for score in scores])
    clear = is_clear(radius68_m, radius95_m, rival, on_campus)
    off = {}
    if found.heads.heading is not None:
        off["heading_off_deg"] = angle_between_deg(direction_deg(found.heads.heading), task.heading_deg[rows])
    return Answers.of(error_m, task.dataset.is_night[rows], clear, radius68_m=radius68_m, radius95_m=radius95_m, **off)


def answers_of(way: str, dataset: Dataset, splits: Splits, on: str, common: dict[str, Any]) -> Answers:
    """Train one way on one fold, in a temporary folder, and answer the fold's photos of split `on`."""
    from train.bundle.make import Run
    from train.fit.fit import fit
    from train.fit.training_data import prepare

    config = new_config("whitened", **common) if way in UNTRAINED else way_config(way, common, len(splits.of("train")))
    task = prepare(dataset, splits, config)
    if isinstance(config, WhitenedConfig):
        from train.fit.whitened_net import dataset_features, last_map_mean, pretrained_net

        net, _ = pretrained_net(config)
        features = None if way == MIDDLE else dataset_features(config, dataset)
        if way in (MIDDLE, RAW, CENTRED):
            return untrained_answers(way, task, on, None if features is None else last_map_mean(net, features))
        assert features is not None
        return whitened_answers(net, task, on, features, whiten=way != SOFT)
    with tempfile.TemporaryDirectory() as folder:
        return trained_answers(Run.load(fit(task, Path(folder) / "run", config)), on)


def row(way: str, answers: Answers, seconds: float) -> dict[str, Any]:
    """The figures of one way, ready for JSON and the table."""
    error, night = answers.error_m, answers.night
    known = np.isfinite(answers.radius68_m)
    heading = answers.heading_off_deg[np.isfinite(answers.heading_off_deg)]
    return {
        "way": way,
        "n": len(error),
        "mean_m": float(error.mean()),
        "median_m": float(np.median(error)),
        "p90_m": float(np.percentile(error, 90)),
        "day_mean_m": float(error[~night].mean()) if (~night).any() else None,
        "night_mean_m": float(error[night].mean()) if night.any() else None,
        "coverage68": float((error <= answers.radius68_m)[known].mean()) if known.any() else None,
        "coverage95": float((error <= answers.radius95_m)[known].mean()) if known.any() else None,
        "heading_median_off_deg": float(np.median(heading)) if len(heading) else None,
        "training_s": seconds,
    }


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as Markdown."""

    def cell(row: dict[str, Any], name: str, form: str) -> str:
        return "–" if row[name] is None else format(row[name], form)

    columns = (
        ("mean, m", "mean_m", ".1f"), ("median, m", "median_m", ".1f"), ("P90, m", "p90_m", ".0f"),
        ("day mean", "day_mean_m", ".1f"), ("night mean", "night_mean_m", ".1f"),
        ("in 68 %", "coverage68", ".0%"), ("in 95 %", "coverage95", ".0%"),
        ("heading, median °", "heading_median_off_deg", ".0f"), ("training", "training_s", ".0f"),
    )  # fmt: skip
    lines = [f"| way | n | {' | '.join(head for head, _, _ in columns)} |", "|---" * (len(columns) + 2) + "|"]
    lines += [
        f"| `{row['way']}` | {row['n']} | {' | '.join(cell(row, name, form) for _, name, form in columns)} |"
        for row in rows
    ]
    return "\n".join(lines)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dataset", type=Path, metavar="DATASET", help="folder made by `ingest`")
    parser.add_argument(
        "--ways", nargs="+", default=[MIDDLE, RAW, "whitened", "original", "campus"], metavar="WAY", help=WAYS_HELP
    )
    parser.add_argument(
        "--folds", type=int, metavar="K", help="all K folds of --group-by (default: the dataset's split)"
    )
    parser.add_argument(
        "--on",
        choices=("test", "calibration"),
        default="test",
        help="photos to measure on; calibration, to choose by: what is trained is then calibrated on the other half of "
        "their sessions, whitened and soft on all sessions, each answered without itself; default test",
    )
    parser.add_argument("--backbone", default="efficientnet_lite0", metavar="NAME", help="of every way")
    parser.add_argument("--weights", metavar="FILE", help="local ImageNet weights for the backbone, of every way")
    parser.add_argument("--pooling", choices=get_args(Pooling), help="of every way; default: each recipe's own")
    size = WhitenedConfig.image_size  # what `fit` makes of the same dataset
    parser.add_argument("--image-size", type=int, default=size, metavar="PX", help="of every way; default %(default)s")
    parser.add_argument("--epochs", type=int, metavar="N", help="at most; default: each recipe's own")
    parser.add_argument("--minutes", type=float, metavar="N", help="train each network this long")
    parser.add_argument("--seed", type=seed_number, default=0, metavar="N", help="of training; default %(default)s")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    add_split_arguments(parser)


def main(args: argparse.Namespace) -> int:
    if args.json:
        check_file_writable(args.json)  # hours of training come before it is written
    if args.folds is not None and args.folds < 2:
        raise DatasetError("must be at least 2", path=f"--folds {args.folds}")
    dataset, asked = Dataset.load(args.dataset), config_of(args)
    if args.folds is not None:
        if asked is None or asked.fold:
            raise DatasetError(
                "--folds K takes every fold in turn", remedy="name the groups with --group-by, and no --fold"
            )
        folds = [
            split_dataset(dataset, dataclasses.replace(asked, fold=(index, args.folds)))
            for index in range(1, args.folds + 1)
        ]
    elif asked:
        raise DatasetError(
            "how to divide is for --folds K",
            remedy="without it the dataset's own split is used",
        )
    elif (splits := Splits.load(dataset.root)) is None:
        raise DatasetError(
            "was not split", path=dataset.root, remedy="split it, or compare over --folds K --group-by COLUMN"
        )
    else:
        folds = [splits]
    common = {"backbone": args.backbone, "image_size": args.image_size, "seed": args.seed}
    common |= {
        name: value
        for name in ("epochs", "minutes", "weights", "pooling")
        if (value := getattr(args, name)) is not None
    }
    for way in args.ways:
        if way not in UNTRAINED:
            way_config(way, common, len(folds[0].of("train")))  # a misspelt one is found before hours of training

    rows = []
    for way in args.ways:
        started = time.perf_counter()
        answers = Answers.joined([answers_of(way, dataset, splits, args.on, common) for splits in folds])
        rows.append(row(way, answers, time.perf_counter() - started))
        log.info("%s", table(rows[-1:]).splitlines()[-1])
    how = f"{args.folds} folds {Splits(asked, {}).describe()}" if asked else folds[0].describe()
    print(f"{dataset.root}: {args.on} photos, split {how}; {args.backbone}, {args.image_size} px, seed {args.seed}")
    print(table(rows))
    if args.json:
        with written_atomically(args.json) as temporary:
            temporary.write_text(
                json.dumps({"split": how, "on": args.on, "ways": rows}, indent=1) + "\n", encoding="utf-8"
            )
    return 0
