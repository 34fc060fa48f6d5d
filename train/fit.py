"""Train a CampusNet on a dataset's training split, choosing the epoch on its calibration split."""

from __future__ import annotations

import argparse
import csv
import json
import logging
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from core.engines import Heads, TorchEngine, run_all
from core.errors import CampusError, DatasetError
from core.files import written_aside
from core.geo import LocalFrame
from core.model import BACKBONES, CampusNet, NetConfig, load_imagenet_weights
from core.zones import Zones
from train.dataset import Dataset
from train.images import augment, cached_images
from train.losses import heading_nll, regression_nll, retrieval_nll, zone_nll
from train.split import SPLITS, Splits, add_split_arguments, config_of, split_or_load
from train.zoning import fit_zones

log = logging.getLogger(__name__)
LEAST_STEPS = 200
SCALE_M = 100.0  # one unit of the network's `offset`, as in the original
LEAST_HEADINGS = 0.5  # share of the training photos that must carry a heading for the network to learn it


@dataclass(frozen=True)
class FitConfig:
    """Everything a run depends on beside the photos and their split."""

    backbone: str = "efficientnet_lite0"
    weights: str | None = None  # a local file of ImageNet weights
    epochs: int = 24
    batch: int = 32  # the original's
    learning_rate: float = 1e-3
    frozen_stages: int = 3  # of the backbone: a training step on a CPU takes half the time
    backbone_rate: float = 0.5  # the pretrained backbone learns at this share of the heads' rate
    weight_decay: float = 0.05  # the original's
    average: float = 0.99  # per step, of the weights that are kept (exponential moving average)
    warmup: float = 0.05  # share of the steps
    regression_share: float = 1.0
    zone_share: float = 0.5
    retrieval_share: float = 1.0
    heading_share: float = 0.3  # where the photos carry one
    zone_width_m: float = 8.0
    retrieval_width_m: float = 6.0
    temperature: float = 0.05
    image_size: int = 224
    precision: str = "auto"  # of the backbone while training: fp32, bf16, or auto (bf16 on a GPU, fp32 on a CPU)
    seed: int = 0


@dataclass(frozen=True)
class Task:
    """A dataset made ready: photos as the network sees them, positions in the campus frame, rows by split."""

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


def prepare(dataset: Dataset, splits: Splits, image_size: int, seed: int) -> Task:
    """Frame and zones come from the training split alone; raises DatasetError when it is too small."""
    rows = {split: splits.indices(dataset, split) for split in splits.names}
    training = rows["train"]
    if len(training) < 8:
        raise DatasetError(f"{dataset.root}: {len(training)} training photos: at least 8 are needed")
    frame = LocalFrame.of_points(*dataset.latlon[training].T)
    local_m = frame.to_local(*dataset.latlon.T)
    return Task(
        dataset,
        splits,
        cached_images(dataset.image_paths, image_size, dataset.root / "cache"),
        frame,
        local_m,
        rows,
        fit_zones(local_m[training], seed),
    )


class Trainer:
    """One run: network, its averaged twin, optimiser, memory of embeddings; stops and resumes between epochs."""

    def __init__(self, task: Task, config: FitConfig, device: torch.device) -> None:
        torch.manual_seed(config.seed)
        self.task, self.config, self.device = task, config, device
        self.half = config.precision == "bf16" or (config.precision == "auto" and device.type == "cuda")
        training = task.rows["train"]
        heading_rad = np.radians(task.heading_deg[training])
        self.net_config = NetConfig(
            backbone=_known_backbone(config.backbone),
            zones=len(task.zones),
            image_size=config.image_size,
            heading=bool(config.heading_share and np.isfinite(heading_rad).mean() >= LEAST_HEADINGS),
        )
        self.net = CampusNet(self.net_config)
        self.weights = load_imagenet_weights(self.net, Path(config.weights) if config.weights else None)
        self.net.freeze(config.frozen_stages)
        self.net.to(device).to(memory_format=torch.channels_last)
        self.averaged = torch.optim.swa_utils.AveragedModel(
            self.net, avg_fn=partial(_moving_average, decay=config.average), use_buffers=True
        )
        self.optimiser = torch.optim.AdamW(self._parameter_groups(), weight_decay=config.weight_decay)
        self.generator = torch.Generator(device).manual_seed(config.seed)
        self.night = torch.from_numpy(task.dataset.is_night[training]).to(device)
        self.target_m = torch.from_numpy(task.local_m[training]).float().to(device)
        self.heading_rad = torch.from_numpy(heading_rad).float().to(device)
        self.zone_centres = torch.from_numpy(task.zones.centres_m).float().to(device)
        self.memory = torch.zeros(len(training), self.net_config.embedding, device=device)
        self.epoch = 0
        self.step = 0
        self.total_steps = config.epochs * math.ceil(len(training) / config.batch)

    def _parameter_groups(self) -> list[dict[str, Any]]:
        backbone = [p for p in self.net.backbone.parameters() if p.requires_grad]
        rest = [p for name, p in self.net.named_parameters() if not name.startswith("backbone.")]
        rate = self.config.learning_rate
        return [
            {"params": backbone, "peak": rate * self.config.backbone_rate, "lr": 0.0},
            {"params": rest, "peak": rate, "lr": 0.0},
        ]

    def _set_rate(self) -> None:
        """Linear warm-up, then a cosine to zero."""
        done = self.step / self.total_steps
        warm = min(1.0, done / self.config.warmup + 1 / self.total_steps) if self.config.warmup else 1.0
        for group in self.optimiser.param_groups:
            group["lr"] = group["peak"] * warm * 0.5 * (1 + math.cos(math.pi * done))

    def _batches(self) -> Iterator[Tensor]:
        order = torch.randperm(len(self.memory), generator=self.generator, device=self.device)
        for chosen in torch.split(order, self.config.batch):
            if len(chosen) > 1:  # batch norm needs two
                yield chosen

    def _loss(self, chosen: Tensor) -> Tensor:
        config, rows = self.config, self.task.rows["train"]
        photos = torch.from_numpy(self.task.images[rows[chosen.cpu().numpy()]]).to(self.device)
        image = augment(photos, self.night[chosen], self.generator)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
            features = self.net.features(image.contiguous(memory_format=torch.channels_last))
        heads = self.net.heads(features.float())
        target = self.target_m[chosen]

        similarity = heads.embedding @ self.memory.clone().T  # a copy: the memory changes below, before the gradient
        unseen = ~self.memory.any(dim=1)
        similarity = similarity.masked_fill(unseen, -torch.inf)
        similarity[torch.arange(len(chosen)), chosen] = -torch.inf
        self.memory[chosen] = heads.embedding.detach()
        assert heads.log_spread is not None
        loss = (
            config.regression_share * regression_nll(heads.offset, heads.log_spread, target / SCALE_M)
            + config.zone_share * zone_nll(heads.zone_logits, _squared(target, self.zone_centres), config.zone_width_m)
            + config.retrieval_share
            * retrieval_nll(similarity, _squared(target, self.target_m), config.retrieval_width_m, config.temperature)
        )
        if heads.heading is not None:
            loss = loss + config.heading_share * heading_nll(heads.heading, self.heading_rad[chosen])
        return loss

    def train_epoch(self) -> float:
        """One pass over the training split -> mean loss."""
        self.net.train()
        total, count = 0.0, 0
        batches = math.ceil(len(self.memory) / self.config.batch)
        for chosen in tqdm(self._batches(), f"epoch {self.epoch + 1}", batches, leave=False, disable=None):
            self._set_rate()
            loss = self._loss(chosen)
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(self.net.parameters(), 5.0)
            self.optimiser.step()
            self.averaged.update_parameters(self.net)
            self.step += 1
            total, count = total + loss.item() * len(chosen), count + len(chosen)
        self.epoch += 1
        return total / count

    def heads(self, split: str) -> Heads:
        """The averaged network's answers on one split, photos unchanged."""
        return run_all(
            TorchEngine(cast(CampusNet, self.averaged.module)), self.task.images[self.task.rows[split]], batch=64
        )

    def state(self) -> dict[str, Any]:
        """Everything that going on needs."""
        return {
            "net": self.net.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "generator": self.generator.get_state(),
            "torch_rng": torch.get_rng_state(),
            "memory": self.memory,
            "epoch": self.epoch,
            "step": self.step,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken."""
        self.net.load_state_dict(state["net"])
        self.averaged.load_state_dict(state["averaged"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.generator.set_state(state["generator"].cpu())
        torch.set_rng_state(state["torch_rng"].cpu())
        self.memory.copy_(state["memory"])
        self.epoch, self.step = state["epoch"], state["step"]


def _moving_average(mean: Tensor, new: Tensor, count: Tensor | int, decay: float) -> Tensor:
    """An exponential moving average that starts as a plain one, so that a short run is not its first weights."""
    keep = min(decay, (1 + int(count)) / (10 + int(count)))
    return mean + (1 - keep) * (new - mean)


def _known_backbone(name: str) -> Any:
    if name not in BACKBONES:
        raise CampusError(f"backbone {name!r} is not one of {', '.join(BACKBONES)}")
    return name


def _squared(a: Tensor, b: Tensor) -> Tensor:
    return torch.cdist(a, b).square()


def calibration_errors_m(task: Task, heads: Heads) -> dict[str, float]:
    """Mean error in metres on the calibration split, of the regression alone and of the best zone."""
    truth = task.local_m[task.rows["calibration"]]
    assert heads.zone_logits is not None
    regression = heads.offset * SCALE_M
    zone = task.zones.centres_m[heads.zone_logits.argmax(axis=1)]
    return {
        "regression_m": float(np.linalg.norm(regression - truth, axis=1).mean()),
        "zone_m": float(np.linalg.norm(zone - truth, axis=1).mean()),
    }


def default_epochs(photos: int, batch: int) -> int:
    """FitConfig's number, or as many as LEAST_STEPS take: a few photos need more passes to move the heads at all."""
    return max(FitConfig.epochs, math.ceil(LEAST_STEPS / math.ceil(photos / batch)))


def fit(task: Task, run: Path, config: FitConfig, resume: bool = False, force: bool = False) -> Path:
    """Train and leave a run folder: config.json, splits.json, log.csv, best.safetensors, last.pt.

    `best` is the averaged network of the epoch with the least mean of regression and zone error on the calibration
    split. Raises DatasetError when `run` holds another run and neither `resume` nor `force` is given, or
    anything that is no run.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    last, best_file = run / "last.pt", run / "best.safetensors"
    if run.exists() and any(run.iterdir()):
        if not (run / "config.json").exists():
            raise DatasetError(f"{run}: holds something that is no run: choose another --out")
        if not (resume or force):
            raise DatasetError(f"{run}: holds a run already: go on with --resume, start again with --force")
    trainer = Trainer(task, config, device)
    if force:
        for old in (last, best_file, run / "log.csv"):
            old.unlink(missing_ok=True)
    rows: list[dict[str, float]] = []
    if resume and last.exists():
        rows = _resume(trainer, last, run, config)
    run.mkdir(parents=True, exist_ok=True)
    _write_config(run, task, config, trainer)
    task.splits.save(run)
    log.info("%d training photos, %d zones, %s on %s", len(trainer.memory), len(task.zones), config.backbone, device)

    best = min((row["score_m"] for row in rows), default=math.inf)
    while trainer.epoch < config.epochs:
        started = time.perf_counter()
        loss = trainer.train_epoch()
        errors = calibration_errors_m(task, trainer.heads("calibration"))
        score = (errors["regression_m"] + errors["zone_m"]) / 2
        row = {"epoch": trainer.epoch, "loss": loss, **errors, "score_m": score}
        rows.append({**row, "seconds": time.perf_counter() - started})
        log.info("epoch %(epoch)d: loss %(loss).3f, calibration %(regression_m).1f m / %(zone_m).1f m", row)
        if score < best:
            best = score
            _save_net(trainer.averaged.module, best_file)
        _write_log(run, rows)
        with written_aside(last) as aside:
            torch.save(trainer.state(), aside)
    log.info("go on with: python -m train bundle %s --out campuses/NAME", run)
    return run


def _resume(trainer: Trainer, last: Path, run: Path, config: FitConfig) -> list[dict[str, float]]:
    before = json.loads((run / "config.json").read_text(encoding="utf-8"))["fit"]
    if changed := [f.name for f in fields(config) if before.get(f.name) != getattr(config, f.name)]:
        raise DatasetError(f"{run}: was started with another {', '.join(changed)}: resume with the same flags")
    trainer.restore(torch.load(last, map_location=trainer.device, weights_only=True))
    with (run / "log.csv").open(newline="", encoding="utf-8") as stream:
        rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(stream)]
    return rows[: trainer.epoch]


def _write_config(run: Path, task: Task, config: FitConfig, trainer: Trainer) -> None:
    data = {
        "dataset": str(task.dataset.root.resolve()),
        "fit": asdict(config),
        "net": asdict(trainer.net_config),
        "weights": trainer.weights,
        "frame": asdict(task.frame),
        "zones": asdict(task.zones)["zones"],
    }
    with written_aside(run / "config.json") as aside:
        aside.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


def _write_log(run: Path, rows: list[dict[str, float]]) -> None:
    with written_aside(run / "log.csv") as aside, aside.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


def _save_net(net: Any, file: Path) -> None:
    from safetensors.torch import save_file

    with written_aside(file) as aside:
        # safetensors refuses the channels-last layout that training uses
        save_file({name: tensor.cpu().contiguous() for name, tensor in net.state_dict().items()}, aside)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    defaults = FitConfig()
    parser.add_argument("dataset", type=Path, metavar="DATASET", help="folder made by `ingest`")
    parser.add_argument("--out", type=Path, required=True, metavar="RUN", help="run folder to write")
    parser.add_argument("--backbone", choices=BACKBONES, default=defaults.backbone)
    parser.add_argument("--weights", metavar="FILE", help="local ImageNet weights for the backbone")
    parser.add_argument("--epochs", type=int, metavar="N", help=f"default {defaults.epochs}, more on a small dataset")
    parser.add_argument("--batch", type=int, default=defaults.batch, metavar="N", help="default %(default)s")
    parser.add_argument("--image-size", type=int, default=defaults.image_size, metavar="PX", help="default %(default)s")
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16"), default=defaults.precision)
    parser.add_argument("--seed", type=int, default=defaults.seed, metavar="N", help="default %(default)s")
    add_split_arguments(parser)
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted run")
    parser.add_argument("--force", action="store_true", help="replace a run that is there")


def main(args: argparse.Namespace) -> int:
    dataset = Dataset.load(args.dataset)
    splits = split_or_load(dataset, config_of(args))
    config = FitConfig(
        backbone=args.backbone,
        weights=args.weights,
        epochs=args.epochs or default_epochs(len(splits.of("train")), args.batch),
        batch=args.batch,
        image_size=args.image_size,
        precision=args.precision,
        seed=args.seed,
    )
    log.info("split %s: %s", splits.describe(), ", ".join(f"{split} {len(splits.of(split))}" for split in SPLITS))
    fit(prepare(dataset, splits, config.image_size, config.seed), args.out, config, args.resume, args.force)
    return 0
