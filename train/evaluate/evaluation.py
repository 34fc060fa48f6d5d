"""Held-out photos located by a bundle, one fix each, beside baselines on the same photos."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from core.campus.bundle import Bundle
from core.campus.frame import distance_m
from core.campus.gallery import nearest_neighbours
from core.campus.manifest import Metrics
from core.campus.seen import seen_photos
from core.engines.heads import Heads, joined
from core.errors import DatasetError
from core.locate.fix import Fix
from core.locate.localizer import Localizer
from core.locate.many import all_readable, each_of_many
from core.locate.reading import Reading
from train.dataset.dataset import Dataset
from train.dataset.ingest import find_photos
from train.dataset.split import Splits
from train.evaluate.coverage import LEVELS
from train.evaluate.metrics import ALL_PHOTOS, accepted_words, summarise

NEIGHBOURS = 3  # gallery photos kept for each evaluated one, to look at


@dataclass(frozen=True)
class Evaluation:
    """One row per photo, in the order of `names`; `rows` (N,) are the dataset's, `truth` is (N, 2) degrees.

    error_m, radius68_m, radius95_m and each of baseline_error_m: (N,) metres. level_radius_m: (N, len(LEVELS)) metres.
    neighbours: (N, NEIGHBOURS) rows of the gallery, nearest first; None without a gallery. similarity: (N,) the first
    one's, -1 to 1. known: how many photos were left out since the bundle was made of them.
    """

    split: str
    rows: NDArray[np.int64]
    names: tuple[str, ...]
    truth: NDArray[np.float64]
    fixes: tuple[Fix, ...]
    error_m: NDArray[np.float64]
    radius68_m: NDArray[np.float64]
    radius95_m: NDArray[np.float64]
    level_radius_m: NDArray[np.float64]
    baseline_error_m: dict[str, NDArray[np.float64]]
    neighbours: NDArray[np.int64] | None
    similarity: NDArray[np.float32] | None
    metrics: Metrics
    known: int = 0


def baseline_positions(localizer: Localizer, heads: Heads) -> dict[str, NDArray[np.float64]]:
    """Where each head alone would put the photos, (N, 2) degrees by name; without the posterior.

    Whitened networks have no regression: theirs would be always the middle.
    """
    manifest, zones = localizer.bundle.manifest, localizer.bundle.zones
    local: dict[str, NDArray[np.float64]] = {}
    if heads.offset.any():
        local["regression"] = heads.offset.astype(np.float64) * manifest.scale_m
    if heads.zone_logits is not None and len(zones):
        local["zone"] = zones.centres_m[heads.zone_logits.argmax(axis=1)]
    gallery = localizer.posterior.gallery
    if heads.embedding is not None and gallery is not None:
        nearest = nearest_neighbours(heads.embedding, gallery, 1)[0][:, 0]
        local["nearest_neighbour"] = gallery.local_m[nearest].astype(np.float64)
    return {name: manifest.frame.to_latlon(position) for name, position in local.items()}


def evaluate(localizer: Localizer, dataset: Dataset, split: str | None = None) -> Evaluation:
    """Evaluate on one split of a dataset (None: `test` where it was split, else all of it).

    Raises DatasetError as `rows_to_evaluate` does.
    """
    split, rows, known = rows_to_evaluate(localizer.bundle, dataset, split)
    return evaluate_rows(localizer, dataset, rows, split, known)


def rows_to_evaluate(bundle: Bundle, dataset: Dataset, split: str | None) -> tuple[str, NDArray[np.int64], int]:
    """The name of the split, the dataset's rows (N,) in it to evaluate on, and how many are left out.

    Of test photos, and of a dataset that was never split, those that the bundle was made of are left out. Raises
    DatasetError when none is left, or when the dataset's split is not the one that the model was trained under: its
    test photos may have been trained on.
    """
    splits = Splits.load(dataset.root)
    trained_under = bundle.manifest.training.split_sha256
    if splits is None:
        if split not in (None, "all"):
            raise DatasetError(
                f"was not split, so it has no split {split!r}", path=dataset.root, remedy="leave out --split"
            )
        split, rows = "all", np.arange(len(dataset.names))
    else:
        split = split or "test"
        if splits.sha256 != trained_under:
            raise DatasetError(
                "its splits are not those this bundle was trained under",
                path=dataset.root,
                remedy="evaluate with the dataset it was trained on, or with photos in a dataset that was never split",
            )
        rows = splits.indices(dataset, split)

    new = rows if split in ("train", "calibration") else _new_to(bundle, dataset, rows, split)
    return split, new, len(rows) - len(new)


def _new_to(bundle: Bundle, dataset: Dataset, rows: NDArray[np.int64], split: str) -> NDArray[np.int64]:
    """The `rows` (N,) whose photos the bundle was not made of. Raises DatasetError where there is none."""
    new = rows[~dataset.known(rows, seen_photos(bundle))]
    if not len(new):
        raise DatasetError(
            f"was made of all {len(rows)} photos (split `{split}`) of {dataset.root}",
            path=bundle.path,
            remedy="give photos that it does not know, such as those of a later walk",
        )
    return new


def evaluate_rows(
    localizer: Localizer, dataset: Dataset, rows: NDArray[np.int64], split: str, known: int = 0
) -> Evaluation:
    """Evaluate on the photos in `rows` (N,) of a dataset; `split` is only their name, `known` how many it lacks."""
    answers = list(_answers(localizer, [dataset.image_paths[row] for row in rows]))
    heads, fixes = joined([answer.heads for answer in answers]), tuple(answer.fix for answer in answers)
    truth = dataset.latlon[rows]
    at = np.array([(fix.lat, fix.lon) for fix in fixes])
    error = distance_m(*truth.T, *at.T)
    baselines = {
        name: distance_m(*truth.T, *position.T) for name, position in baseline_positions(localizer, heads).items()
    }
    radius68, radius95 = np.array([fix.map_radii_m for fix in fixes]).T
    gallery, neighbours, similarity = localizer.posterior.gallery, None, None
    if gallery is not None and heads.embedding is not None:
        neighbours, likeness = nearest_neighbours(heads.embedding, gallery, NEIGHBOURS)
        similarity = likeness[:, 0]
    return Evaluation(
        split=split,
        rows=rows,
        names=tuple(dataset.names[row] for row in rows),
        truth=truth,
        fixes=fixes,
        error_m=error,
        radius68_m=radius68,
        radius95_m=radius95,
        level_radius_m=np.array([answer.level_radius_m for answer in answers]),
        baseline_error_m=baselines,
        neighbours=neighbours,
        similarity=similarity,
        metrics=summarise(error, radius68, radius95, baselines, np.array([fix.refused for fix in fixes])),
        known=known,
    )


@dataclass(frozen=True)
class _Answer:
    """What is kept of a photo: thousands of probability maps would fill the memory. level_radius_m: (len(LEVELS),)."""

    heads: Heads
    fix: Fix
    level_radius_m: NDArray[np.float64]


def _answers(localizer: Localizer, paths: list[Path]) -> Iterator[_Answer]:
    """Each photo's answer, as `Localizer.locate` gives it. Raises PhotoError for one that cannot be read."""

    def answer(reading: Reading) -> _Answer:
        fix = localizer.fix_of(reading)
        return _Answer(reading.heads, replace(fix, probability=None), radii_at_levels(localizer, fix))

    yield from tqdm(all_readable(each_of_many(localizer, paths, answer)), "locating", len(paths), disable=None)


def radii_at_levels(localizer: Localizer, fix: Fix) -> NDArray[np.float64]:
    """(len(LEVELS),) metres: the circles that hold those shares of a fix's map, scaled as its two radii are.

    Between 68 and 95 % the factor is interpolated, beyond them it is the nearer one's.
    """
    assert fix.probability is not None
    at_m = localizer.bundle.manifest.frame.to_local(fix.lat, fix.lon)
    *raw, raw68, raw95 = fix.probability.radii_m(at_m, (*LEVELS, 0.68, 0.95))
    radius68_m, radius95_m = fix.map_radii_m
    factors = (radius68_m / raw68, radius95_m / raw95)
    return np.asarray(np.array(raw) * np.interp(LEVELS, (0.68, 0.95), factors))


def refused(localizer: Localizer, other_places: Path) -> NDArray[np.bool_]:
    """(N,) which photos in a folder of other places' photos are refused, that is, not taken for this campus.

    Raises DatasetError when the folder holds no photo, PhotoError when one cannot be read.
    """
    paths = [other_places / name for name in find_photos(other_places)[0]]
    return np.array([answer.fix.refused for answer in _answers(localizer, paths)])


def left_out(known: int) -> str:
    """In words, how many photos are not measured, since the model knows them."""
    return f"{known} photos that the campus was made of are left out"


def known_split(split: str) -> str | None:
    """In words, that a split's figures say nothing of new photos; None for a split that was held out."""
    learned = {"train": "trained", "calibration": "calibrated"}
    if split not in learned:
        return None
    return f"The model was {learned[split]} on these very photos: these figures say nothing of new ones."


def describe(evaluation: Evaluation, localizer: Localizer) -> str:
    """The metrics as a few readable lines, with the split and the engine named."""
    m, manifest = evaluation.metrics, localizer.bundle.manifest
    lines = [
        f"{manifest.name}: {m.n} photos, split `{evaluation.split}` ({manifest.training.split}), "
        f"{localizer.engine.name}" + (", rendered photos" if manifest.rendered else ""),
        *([f"  {left_out(evaluation.known)}"] if evaluation.known else []),
        *([f"  {warning}"] if (warning := known_split(evaluation.split)) else []),
        f"  error    mean {m.mean_m:.1f} m, median {m.median_m:.1f} m, P90 {m.p90_m:.1f} m, P95 {m.p95_m:.1f} m, "
        f"worst {m.max_m:.1f} m ({ALL_PHOTOS})",
        *([f"  accepted {accepted_words(m.accepted)}"] if m.accepted else []),
        f"  within   5 m {m.within_5m:.0%}, 10 m {m.within_10m:.0%}, 25 m {m.within_25m:.0%}",
        f"  radius   68 % covers {m.coverage68:.0%}, 95 % covers {m.coverage95:.0%}; mean 68 % radius "
        f"{m.mean_radius68_m:.1f} m",
    ]
    lines += [
        f"  {name.replace('_', ' ')} alone: mean {value['mean_m']:.1f} m, median {value['median_m']:.1f} m"
        for name, value in m.baselines.items()
    ]
    return "\n".join(lines)
