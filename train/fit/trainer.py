"""The loop that every recipe shares: processes, precision, averaging, steps, checkpoints."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from torch import Tensor, nn
from tqdm import tqdm

from core.engines.heads import Heads, run_all
from core.errors import CampusError
from core.io.files import written_atomically
from core.network.campus_net import CampusNet, Outputs
from core.network.torch_engine import TorchEngine
from core.network.weights import load_imagenet_weights
from train.fit.batch_norm import synchronised
from train.fit.config import FitConfig
from train.fit.recipe import Recipe
from train.fit.recipes import open_recipe
from train.fit.run_folder import Epoch
from train.fit.training_data import TrainingData, calibration_errors


class Trainer:
    """One run of a recipe: network, its averaged twin, optimiser; stops and resumes between epochs.

    Under `accelerate launch` each process holds a replica. A batch is that of all of them: each sends its share through
    the network, all gather the heads' answers and compute the same loss, and each gradient flows back through the
    process's own share. So a recipe's negatives and memory are those of the whole batch, and the number of processes
    changes nothing but rounding, and which random numbers a photo's views and dropout get.
    """

    def __init__(self, task: TrainingData, config: FitConfig, recipe: Recipe | None = None) -> None:
        """`recipe`: that of `config` unless given."""
        torch.manual_seed(config.seed)
        self.task, self.config = task, config
        self.accelerator = Accelerator(cpu=not torch.cuda.is_available(), mixed_precision=_precision(config.precision))
        self.device, self.processes = self.accelerator.device, self.accelerator.num_processes
        self.recipe = (recipe or open_recipe(task, config)).to(self.device)
        self.net = CampusNet(self.recipe.net_config)
        self.weights = load_imagenet_weights(self.net, Path(config.weights) if config.weights else None)
        assert config.frozen_stages is not None, "`with_depth` chooses them before"
        self.net.freeze(config.frozen_stages)
        self.net.to(self.device).to(memory_format=torch.channels_last)
        self.averaged = torch.optim.swa_utils.AveragedModel(
            self.net, avg_fn=partial(_moving_average, decay=config.ema_decay), use_buffers=True
        )
        if self.processes > 1:
            self.net = cast(CampusNet, synchronised(self.net, self.device))
        self.model, self.optimiser = self.accelerator.prepare(
            _HeadsInFull(self.net), torch.optim.AdamW(self._parameter_groups(), weight_decay=config.weight_decay)
        )
        self.shared, self.own = torch.Generator(), torch.Generator(self.device)
        self.epoch = 0
        self.step = 0
        batches = math.ceil(len(task.rows["train"]) / config.batch)
        self.total_steps = config.epochs * math.ceil(batches / config.accumulate)

    @property
    def is_main(self) -> bool:
        """Whether this process is the one that writes."""
        return bool(self.accelerator.is_main_process)

    def _parameter_groups(self) -> list[dict[str, Any]]:
        backbone = [p for p in self.net.backbone.parameters() if p.requires_grad]
        rest = [p for name, p in self.net.named_parameters() if not name.startswith("backbone.")]
        rate = self.config.learning_rate
        return [
            {"params": backbone, "peak": rate * self.config.backbone_learning_rate_factor, "lr": 0.0},
            {"params": rest, "peak": rate, "lr": 0.0},
        ]

    def _reseed(self) -> None:
        """Everything random in an epoch follows from the seed and the epoch, so a checkpoint carries no generator."""

        def seed(*words: int) -> int:
            return int(np.random.SeedSequence((self.config.seed, self.epoch, *words)).generate_state(1)[0])

        self.shared.manual_seed(seed(0))  # draws the batches, alike in every process
        self.own.manual_seed(seed(1, self.accelerator.process_index))  # draws the views of our share
        torch.manual_seed(seed(2, self.accelerator.process_index))  # dropout

    def train_epoch(self) -> float:
        """One pass over the recipe's order of the training split -> mean loss."""
        self._reseed()
        self.net.train()
        batches = [
            chosen for chosen in torch.split(self.recipe.order(self.shared), self.config.batch) if len(chosen) > 1
        ]
        total = torch.zeros((), device=self.device)
        count = self.config.accumulate
        steps = [batches[start : start + count] for start in range(0, len(batches), count)]
        for step in tqdm(steps, f"epoch {self.epoch + 1}", leave=False, disable=None if self.is_main else True):
            for index, chosen in enumerate(step):
                with self._gradients_shared(index + 1 == len(step)):
                    loss = self._loss(chosen)
                    # Gradients are averaged over the processes, and each has only that of its own share.
                    self.accelerator.backward(loss * self.processes / len(step))
                total += loss.detach() * len(chosen)
            self._update()
        self.epoch += 1
        mean = float(total) / sum(map(len, batches))
        if not math.isfinite(mean):
            raise CampusError(
                f"the loss is no longer finite in epoch {self.epoch}", remedy="train with --precision fp32"
            )
        return mean

    def measured_epoch(self) -> Epoch:
        """Train once through and measure the calibration split. The first process's figures count, so that all stop
        after the same epoch.
        """
        started = time.perf_counter()
        loss = self.train_epoch()
        errors = calibration_errors(self.task, self.heads("calibration"), self.recipe.embeddings())
        score_m = self.recipe.score_m(errors)
        row = Epoch(self.epoch, loss, **asdict(errors), score_m=score_m, seconds=time.perf_counter() - started)
        agreed: list[Epoch] = broadcast_object_list([row])
        return agreed[0]

    def _gradients_shared(self, last: bool) -> AbstractContextManager[None]:
        """Processes exchange gradients only with the last batch of a step."""
        return nullcontext() if last else self.accelerator.no_sync(self.model)

    def _update(self) -> None:
        rate = self.recipe.learning_rate_factor(self.step, self.total_steps)
        for group in self.optimiser.param_groups:
            group["lr"] = group["peak"] * rate
        if self.config.max_gradient_norm is not None:
            self.accelerator.clip_grad_norm_(self.net.parameters(), self.config.max_gradient_norm)
        self.optimiser.step()
        self.optimiser.zero_grad()
        self.averaged.update_parameters(self.net)
        self.step += 1

    def _loss(self, chosen: Tensor) -> Tensor:
        """(B,) rows of the training split, alike in every process -> the loss of the whole batch."""
        share = self._share(chosen)
        photos = torch.from_numpy(self.task.images[self.task.rows["train"][share.numpy()]]).to(self.device)
        views = self.recipe.views(photos, share.to(self.device), self.own)
        values = self.model(torch.cat(views).contiguous(memory_format=torch.channels_last))
        heads = [self._of_all(torch.stack(value.chunk(len(views)), dim=1))[: len(chosen)] for value in values]
        outputs = [
            Outputs(**{name: value[:, view] for name, value in zip(self.net.output_names, heads, strict=True)})
            for view in range(len(views))
        ]
        loss = self.recipe.loss(outputs, chosen.to(self.device))
        # A head that a batch teaches nothing still takes part: processes wait for the gradient of every parameter.
        idle: Tensor = 0.0 * sum(value.sum() for value in values)
        return loss + idle

    def _share(self, rows: Tensor) -> Tensor:
        """Our part of rows that all processes know: as many for each, the last filled up with the first rows."""
        each = math.ceil(len(rows) / self.processes)
        start = each * self.accelerator.process_index
        return rows[torch.arange(start, start + each) % len(rows)]

    def _of_all(self, ours: Tensor) -> Tensor:
        """(b, …) of each process -> (processes × b, …), with the gradient of ours."""
        if self.processes == 1:
            return ours
        everyones: Tensor = self.accelerator.gather(ours.detach().contiguous())
        start = len(ours) * self.accelerator.process_index
        return torch.cat([everyones[:start], ours, everyones[start + len(ours) :]])

    def heads(self, split: str) -> Heads:
        """The averaged network's answers on one split, photos unchanged; each process runs a share of them."""
        rows = torch.from_numpy(self.task.rows[split])
        ours = run_all(
            TorchEngine(cast(CampusNet, self.averaged.module)), self.task.images[self._share(rows).numpy()], batch=64
        )
        present = {name: value for name, value in vars(ours).items() if value is not None}
        return Heads(**{name: self._gathered(value)[: len(rows)] for name, value in present.items()})

    def _gathered(self, ours: Any) -> Any:
        if self.processes == 1:
            return ours
        return self.accelerator.gather(torch.from_numpy(ours).to(self.device)).cpu().numpy()

    def save(self, file: Path) -> None:
        """Write everything that going on needs."""
        scaler = self.accelerator.scaler
        state = {
            "net": self.net.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "recipe": self.recipe.state_dict(),
            "scaler": scaler.state_dict() if scaler is not None else {},
            "epoch": self.epoch,
            "step": self.step,
        }
        with (
            written_atomically(file) as temporary,
            temporary.open("wb") as stream,
        ):  # given a path, it hides a full disk's error
            torch.save(state, stream)

    def restore(self, file: Path) -> None:
        """Go on where `save` was called."""
        state = torch.load(file, map_location=self.device, weights_only=True)
        self.net.load_state_dict(state["net"])
        self.averaged.load_state_dict(state["averaged"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.recipe.load_state_dict(state["recipe"])
        if self.accelerator.scaler is not None:
            self.accelerator.scaler.load_state_dict(state["scaler"])
        self.epoch, self.step = state["epoch"], state["step"]

    def save_net(self, file: Path) -> None:
        """Write the averaged network's weights."""
        from safetensors.torch import save

        # safetensors refuses the channels-last layout that training uses
        state = {name: tensor.cpu().contiguous() for name, tensor in self.averaged.module.state_dict().items()}
        with written_atomically(file) as temporary:
            temporary.write_bytes(save(state))


class _HeadsInFull(nn.Module):
    """The network as it is trained: under half precision its heads stay in FP32, since their outputs are metres."""

    def __init__(self, net: CampusNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """(B, 3, S, S) float32 in 0..255 -> the network's outputs, as its `output_names` lists them."""
        features = self.net.features(image)
        with torch.autocast(image.device.type, enabled=False):
            outputs: Sequence[Tensor | None] = self.net.heads(features.float())
        return tuple(value for value in outputs if value is not None)


def _moving_average(mean: Tensor, new: Tensor, count: Tensor | int, decay: float) -> Tensor:
    """An exponential moving average that starts as a plain one, so that a short run is not its first weights."""
    keep = min(decay, (1 + int(count)) / (10 + int(count)))
    return mean + (1 - keep) * (new - mean)


def _precision(name: str) -> str:
    """What accelerate calls a precision; auto is the better half precision that the GPU has."""
    cuda = torch.cuda.is_available()
    if name == "auto":
        if not cuda:
            return "no"
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    if name == "fp16" and not cuda:
        raise CampusError("--precision fp16 needs a GPU", remedy="choose bf16 or fp32")
    return "no" if name == "fp32" else name
