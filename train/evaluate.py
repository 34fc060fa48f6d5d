"""How far off the fixes of held-out photos are, beside three baselines on the same photos."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.bundle import Metrics
from core.engines import Heads, run_all
from core.errors import DatasetError
from core.files import written_aside
from core.fix import Fix
from core.geo import distance_m
from core.localizer import Localizer
from core.similar import most_similar
from train.dataset import Dataset
from train.images import decode_images
from train.metrics import summarise
from train.split import Splits


@dataclass(frozen=True)
class Evaluation:
    """One row per photo, in the order of `names`; `truth` is (N, 2) degrees."""

    split: str
    names: tuple[str, ...]
    truth: NDArray[np.float64]
    fixes: tuple[Fix, ...]
    error_m: NDArray[np.float64]
    metrics: Metrics


def baseline_positions(localizer: Localizer, heads: Heads) -> dict[str, NDArray[np.float64]]:
    """Where each head alone would put the photos, (N, 2) degrees by name; without the posterior."""
    card, zones = localizer.bundle.card, localizer.bundle.zones
    local: dict[str, NDArray[np.float64]] = {"regression": heads.offset.astype(np.float64) * card.scale_m}
    if heads.zone_logits is not None and len(zones):
        local["zone"] = zones.centres_m[heads.zone_logits.argmax(axis=1)]
    gallery = localizer.posterior.gallery
    if heads.embedding is not None and gallery is not None:
        nearest = most_similar(heads.embedding, gallery, 1)[0][:, 0]
        local["nearest_neighbour"] = gallery.local_m[nearest].astype(np.float64)
    return {name: card.frame.to_latlon(position) for name, position in local.items()}


def evaluate(localizer: Localizer, dataset: Dataset, split: str | None = None) -> Evaluation:
    """Evaluate on one split of a dataset (None: `test` where it was split, else all of it).

    Raises DatasetError when the dataset's split is not the one that the model was trained under: its test photos may
    have been trained on.
    """
    splits = Splits.load(dataset.root)
    trained_under = localizer.bundle.card.training.split_sha256
    if splits is None:
        if split not in (None, "all"):
            raise DatasetError(f"{dataset.root}: was not split, so it has no split {split!r}: leave out --split")
        split, rows = "all", np.arange(len(dataset.names))
    else:
        split = split or "test"
        if splits.sha256 != trained_under:
            raise DatasetError(
                f"{dataset.root}: its splits are not those this bundle was trained under: evaluate with the dataset it "
                "was trained on, or with photos in a dataset that was never split"
            )
        rows = splits.indices(dataset, split)

    return evaluate_rows(localizer, dataset, rows, split)


def evaluate_rows(localizer: Localizer, dataset: Dataset, rows: NDArray[np.int64], split: str) -> Evaluation:
    """Evaluate on the photos in `rows` (N,) of a dataset; `split` is only their name."""
    paths = [dataset.image_paths[row] for row in rows]
    images = decode_images(paths, localizer.bundle.card.image_size)
    heads = run_all(localizer.engine, images)
    truth = dataset.latlon[rows]
    fixes = tuple(localizer.fix(heads.one(index)) for index in range(len(rows)))
    at = np.array([(fix.lat, fix.lon) for fix in fixes])
    error = distance_m(*truth.T, *at.T)
    baselines = {
        name: distance_m(*truth.T, *position.T) for name, position in baseline_positions(localizer, heads).items()
    }
    radius68, radius95 = (np.array([getattr(fix, name) for fix in fixes]) for name in ("radius68_m", "radius95_m"))
    metrics = summarise(error, radius68, radius95, baselines)
    return Evaluation(split, tuple(dataset.names[row] for row in rows), truth, fixes, error, metrics)


def describe(evaluation: Evaluation, localizer: Localizer) -> str:
    """The metrics as a few readable lines, with the split and the engine named."""
    m, card = evaluation.metrics, localizer.bundle.card
    lines = [
        f"{card.name}: {m.n} photos, split `{evaluation.split}` ({card.training.split}), {localizer.engine.name}"
        + (", rendered photos" if card.rendered else ""),
        f"  error    mean {m.mean_m:.1f} m, median {m.median_m:.1f} m, P90 {m.p90_m:.1f} m, P95 {m.p95_m:.1f} m, "
        f"worst {m.max_m:.1f} m",
        f"  within   5 m {m.within_5m:.0%}, 10 m {m.within_10m:.0%}, 25 m {m.within_25m:.0%}",
        f"  radius   68 % covers {m.coverage68:.0%}, 95 % covers {m.coverage95:.0%}; mean 68 % radius "
        f"{m.mean_radius68_m:.1f} m",
    ]
    lines += [
        f"  {name.replace('_', ' ')} alone: mean {value['mean_m']:.1f} m, median {value['median_m']:.1f} m"
        for name, value in m.baselines.items()
    ]
    return "\n".join(lines)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="campus bundle: a folder or NAME.campus")
    parser.add_argument("dataset", type=Path, metavar="DATASET", help="folder made by `ingest`, or images/ and gt.csv")
    parser.add_argument(
        "--split", metavar="NAME", help="train, calibration or test (default: test, or all if not split)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the metrics there as JSON")


def main(args: argparse.Namespace) -> int:
    localizer = Localizer.load(args.bundle)
    evaluation = evaluate(localizer, Dataset.load(args.dataset), args.split)
    print(describe(evaluation, localizer))
    if args.json:
        with written_aside(args.json) as aside:
            aside.write_text(json.dumps(evaluation.metrics.model_dump(), indent=1) + "\n", encoding="utf-8")
    return 0
