"""A run's folder: config.json, splits.json, log.csv, curves.png, NEXT.txt beside the weights. Needs no torch."""

from __future__ import annotations

import csv
import json
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from core.errors import DatasetError
from core.io.files import written_atomically
from train.dataset.split import Splits
from train.fit.config import FitConfig
from train.fit.recipes import saved_config

CONFIG, LOG, CURVES, NEXT = "config.json", "log.csv", "curves.png", "NEXT.txt"
SETTINGS = frozenset({"dataset", "fit", "net", "weights", "frame", "zones"})  # what config.json holds
BEST, LAST = "best.safetensors", "last.pt"
FREE_TO_CHANGE = ("minutes",)  # when a run is resumed


@dataclass(frozen=True)
class Epoch:
    """A line of the log: mean training loss, calibration errors, and what the choice of epoch minimises."""

    epoch: int
    loss: float
    regression_m: float
    zone_m: float | None
    retrieval_m: float | None
    score_m: float
    seconds: float


def read_config(run: Path) -> FitConfig:
    """The config that a run was started with."""
    return saved_config(read_settings(run)["fit"], str(run))


def read_settings(run: Path) -> dict[str, Any]:
    """All that config.json of a run says. Raises DatasetError where it is damaged."""
    try:
        data = json.loads((run / CONFIG).read_text(encoding="utf-8"))
    except ValueError as error:
        raise damaged(run) from error
    if not isinstance(data, dict) or not data.keys() >= SETTINGS or not isinstance(data["fit"], dict):
        raise damaged(run)
    return data


def damaged(run: Path) -> DatasetError:
    """What to raise for a config.json that is not as `fit` wrote it."""
    return DatasetError("is damaged", path=run / CONFIG, remedy="train again, with --force")


def check_same(run: Path, config: FitConfig) -> None:
    """Raise DatasetError when a run was started with another config."""
    before, now = asdict(read_config(run)), asdict(config)
    if changed := [name for name in now if name not in FREE_TO_CHANGE and before.get(name) != now[name]]:
        raise DatasetError(
            f"was started with another {', '.join(changed)}", path=run, remedy="resume with the same flags"
        )


def check_same_photos(run: Path, dataset: Path, splits: Splits) -> None:
    """Raise DatasetError when a run was trained on another dataset, or under another split of it: it would go on with
    weights that know photos which are now held out.
    """
    if not ((run / LAST).exists() or (run / BEST).exists()):
        return  # nothing was trained yet
    before = Path(read_settings(run)["dataset"])
    if before != dataset.resolve():
        raise DatasetError(
            f"was trained on {before}", path=run, remedy="resume with that dataset, or start again with --force"
        )
    under = Splits.load(run)
    if under is None or under.sha256 != splits.sha256:
        raise DatasetError(
            "was trained under another split of its dataset, so it knows photos that are now held out",
            path=run,
            remedy="start again with --force, or with another --out",
        )


def write_json(file: Path, data: dict[str, Any], stale: Iterable[Path] = ()) -> None:
    """Write `data`. The `stale` files are deleted just before the rename."""
    with written_atomically(file) as temporary:
        temporary.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
        for old in stale:
            old.unlink(missing_ok=True)


def read_log(run: Path) -> list[Epoch]:
    with (run / LOG).open(newline="", encoding="utf-8") as stream:
        return [_epoch(row) for row in csv.DictReader(stream)]


def _epoch(row: dict[str, str]) -> Epoch:
    values: dict[str, Any] = {name: float(text) if text else None for name, text in row.items()}
    return Epoch(**values | {"epoch": int(row["epoch"])})


def write_log(run: Path, epochs: Sequence[Epoch]) -> None:
    with written_atomically(run / LOG) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, asdict(epochs[0]).keys())
        writer.writeheader()
        writer.writerows(map(asdict, epochs))


def draw_curves(run: Path, epochs: Sequence[Epoch]) -> None:
    """The training loss and the calibration errors by epoch, the chosen epoch marked."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    loss, error = figure.subplots(1, 2)
    number = [row.epoch for row in epochs]
    best = min(epochs, key=lambda row: row.score_m)
    loss.plot(number, [row.loss for row in epochs])
    loss.set(title="training loss", xlabel="epoch")
    error.plot(number, [row.regression_m for row in epochs], label="regression")
    error.plot(number, [row.zone_m for row in epochs], label="best zone's centre")
    if best.retrieval_m is not None:
        error.plot(number, [row.retrieval_m for row in epochs], label="retrieval, expected")
    error.plot(number, [row.score_m for row in epochs], "k:", label="what the epoch is chosen by")
    error.axvline(best.epoch, color="grey", linewidth=1, label=f"kept: epoch {best.epoch}")
    error.set(title="mean error on the calibration split, m", xlabel="epoch")
    error.set_ylim(bottom=0)
    error.legend(fontsize="small")
    with written_atomically(run / CURVES) as temporary:
        figure.savefig(temporary, dpi=120)


def write_next(run: Path, dataset: Path) -> str:
    """Write the commands that go on from here, and return those for a finished run."""
    bundle = Path("campuses") / dataset.resolve().name
    after = (
        shlex.join(["python", "-m", "train", "bundle", str(run), "--out", str(bundle)]),
        shlex.join(["python", "-m", "train", "evaluate", str(bundle), str(dataset)]),
    )
    resume = shlex.join(["python", "-m", "train", "fit", str(dataset), "--out", str(run), "--resume"])
    text = f"# an interrupted run goes on:\n{resume}\n# a finished one becomes a bundle, and is measured:\n"
    with written_atomically(run / NEXT) as temporary:
        temporary.write_text(text + "\n".join(after) + "\n", encoding="utf-8")
    return "\n".join(after)
