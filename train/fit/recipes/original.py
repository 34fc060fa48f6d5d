"""The original project's training, to compare with and to reproduce its figures.

Where it departs from the original: frame and zones come from the training split alone, as everywhere here, so that no
held-out position is known beforehand (the original fitted its zones on all photos); photos are normalised as ImageNet's
are, not by the campus's own channel means; the order of the colour jitters is drawn for a batch, not for each photo.
The original chose its epoch on the very 20 % that it reports: here the calibration split chooses, and the test split is
only measured.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from core.network.campus_net import Outputs
from train.fit.config import FitConfig
from train.fit.recipe import Recipe
from train.fit.training_data import SCALE_M, CalibrationErrors, TrainingData


@dataclass(frozen=True)
class Jitter:
    """How far brightness, contrast and saturation stray from 1, and hue from 0, as in torchvision's ColorJitter."""

    brightness: float
    contrast: float
    saturation: float
    hue: float


WEAK = Jitter(0.15, 0.15, 0.10, 0.02)
STRONG = Jitter(0.2, 0.2, 0.1, 0.02)
TURN_DEG = 5.0
ERASED = 0.3  # share of the photos that lose a box
ERASED_AREA = (0.02, 0.2)
ERASED_ASPECT = (0.3, 3.3)
GREY = (0.2989, 0.587, 0.114)  # ITU-R 601
MEAN_COLOUR = (109.6, 106.2, 96.2)  # of the original's photos: what an erased box shows


@dataclass(frozen=True, kw_only=True)
class OriginalConfig(FitConfig):
    """Its constants, every one the original's own."""

    recipe: str = "original"
    backbone: str = "resnet50"
    layout: Literal["campus", "original", "whitened"] = "original"
    embedding: int = 256
    photos_per_zone: int = 1  # 300 zones, however few photos each
    epochs: int = 240
    learning_rate: float = 1e-4

    regression_loss_weight: float = 200.0
    zone_loss_weight: float = 0.3
    triplet_loss_weight: float = 10.0
    strong_view_weight: float = 0.7  # of the strong view in the regression's and the zones' loss
    label_smoothing: float = 0.1  # of the zone labels
    margin: float = 1.5
    negative_m: float = 20.0  # a triplet's negative is farther than that


class Original(Recipe):
    """A weak and a strong view of each photo; squared error, smoothed zone labels, triplets of hardest negatives."""

    zone: Tensor  # (N,) the zone that each training photo lies in
    weight: Tensor  # (N,) how often each is drawn, relative to the others

    def __init__(self, task: TrainingData, config: OriginalConfig) -> None:
        super().__init__(task, config)
        self.config = config
        zone, night = task.zones.assign(task.local_m[task.rows["train"]]), self.night.numpy()
        _, group, counts = np.unique(2 * zone + night, return_inverse=True, return_counts=True)
        self.constant("zone", torch.from_numpy(zone))
        self.constant("weight", torch.from_numpy(1 / counts[group]))

    def order(self, generator: torch.Generator) -> Tensor:
        """As many photos as there are, drawn with replacement so that each zone by day and by night comes as often."""
        return torch.multinomial(self.weight.cpu(), len(self.weight), replacement=True, generator=generator)

    def views(self, photos: Tensor, chosen: Tensor, generator: torch.Generator) -> tuple[Tensor, ...]:
        x = photos.permute(0, 3, 1, 2).float()
        strong = erased(jittered(turned(x, generator), STRONG, generator), generator)
        night = self.night[chosen].view(-1, 1, 1, 1)
        return jittered(x, WEAK, generator), torch.where(night, jittered(x, WEAK, generator), strong)

    def loss(self, views: Sequence[Outputs], chosen: Tensor) -> Tensor:
        config, (weak, strong) = self.config, views
        target_m, zone = self.target_m[chosen], self.zone[chosen]

        def labelled(heads: Outputs) -> Tensor:
            assert heads.zone_logits is not None
            return config.regression_loss_weight * F.mse_loss(
                heads.offset, target_m / SCALE_M
            ) + config.zone_loss_weight * F.cross_entropy(
                heads.zone_logits, zone, label_smoothing=config.label_smoothing
            )

        triplet = triplet_loss(weak.embedding, strong.embedding, target_m, config.margin, config.negative_m)
        return (
            (1 - config.strong_view_weight) * labelled(weak)
            + config.strong_view_weight * labelled(strong)
            + config.triplet_loss_weight * triplet
        )

    def learning_rate_factor(self, step: int, steps: int) -> float:  # noqa: ARG002
        return 1.0

    def score_m(self, errors: CalibrationErrors) -> float:
        return errors.regression_m


def triplet_loss(weak: Tensor, strong: Tensor, position_m: Tensor, margin: float, negative_m: float) -> Tensor:
    """(B, D) embeddings of both views and (B, 2) positions -> scalar.

    Anchor is the weak view, positive the strong one, negative the weak view nearest to the anchor's among those taken
    farther than `negative_m` away. Photos without any such are left out.
    """
    far = torch.cdist(position_m, position_m) > negative_m
    seen = far.any(dim=1)
    if not seen.any():
        return weak.new_zeros(())
    negative = torch.cdist(weak, weak).masked_fill(~far, torch.inf).argmin(dim=1)
    return F.triplet_margin_loss(weak[seen], strong[seen], weak[negative[seen]], margin=margin)


def _uniform(x: Tensor, low: float, high: float, generator: torch.Generator) -> Tensor:
    """(B, 1, 1, 1): one number for each photo of `x`."""
    return torch.empty(len(x), 1, 1, 1, device=x.device).uniform_(low, high, generator=generator)


def _blend(x: Tensor, other: Tensor, spread: float, generator: torch.Generator) -> Tensor:
    factor = _uniform(x, 1 - spread, 1 + spread, generator)
    return (other + (x - other) * factor).clamp(0, 255)


def _grey(x: Tensor) -> Tensor:
    weight = torch.tensor(GREY, device=x.device).view(1, 3, 1, 1)
    return (x * weight).sum(dim=1, keepdim=True)


def jittered(x: Tensor, jitter: Jitter, generator: torch.Generator) -> Tensor:
    """torchvision's ColorJitter on (B, 3, S, S) float32 in 0..255, each photo by its own factors."""

    def hue(x: Tensor) -> Tensor:
        return _hue_shifted(x, _uniform(x, -jitter.hue, jitter.hue, generator))

    changes = (
        lambda x: _blend(x, torch.zeros_like(x[:, :1]), jitter.brightness, generator),
        lambda x: _blend(x, _grey(x).mean(dim=(2, 3), keepdim=True), jitter.contrast, generator),
        lambda x: _blend(x, _grey(x), jitter.saturation, generator),
        hue,
    )
    for index in torch.randperm(len(changes), generator=generator, device=generator.device).tolist():
        x = changes[index](x)
    return x


def _hue_shifted(x: Tensor, turns: Tensor) -> Tensor:
    """HSV's hue of (B, 3, S, S) colours moved on by (B, 1, 1, 1) shares of the circle; value and saturation stay."""
    red, green, blue = x.chunk(3, dim=1)
    high = x.amax(dim=1, keepdim=True)
    chroma = high - x.amin(dim=1, keepdim=True)
    some = chroma.clamp(min=1e-6)
    from_green_or_blue = torch.where(high == green, 2 + (blue - red) / some, 4 + (red - green) / some)
    sixths = torch.where(high == red, (green - blue) / some, from_green_or_blue) + 6 * turns
    at = (torch.tensor((5.0, 3.0, 1.0), device=x.device).view(1, 3, 1, 1) + sixths) % 6
    return high - chroma * torch.minimum(at, 4 - at).clamp(0, 1)


def turned(x: Tensor, generator: torch.Generator) -> Tensor:
    """Each of (B, 3, S, S) photos turned by up to TURN_DEG, black where nothing was."""
    turn = _uniform(x, -math.radians(TURN_DEG), math.radians(TURN_DEG), generator).flatten()
    theta = torch.zeros(len(x), 2, 3, device=x.device)
    theta[:, 0, 0] = theta[:, 1, 1] = torch.cos(turn)
    theta[:, 0, 1], theta[:, 1, 0] = -torch.sin(turn), torch.sin(turn)
    where = F.affine_grid(theta, list(x.shape), align_corners=False)
    return F.grid_sample(x, where, align_corners=False)


def erased(x: Tensor, generator: torch.Generator) -> Tensor:
    """torchvision's RandomErasing on (B, 3, S, S): a share of the photos lose a box, each of its own size and place."""
    size = x.shape[-1]
    area = _uniform(x, *ERASED_AREA, generator) * size**2
    aspect = torch.exp(_uniform(x, math.log(ERASED_ASPECT[0]), math.log(ERASED_ASPECT[1]), generator))
    height, width = ((area * aspect).sqrt().clamp(max=size - 1), (area / aspect).sqrt().clamp(max=size - 1))
    top, left = _uniform(x, 0, 1, generator) * (size - height), _uniform(x, 0, 1, generator) * (size - width)
    at = torch.arange(size, device=x.device)
    rows, columns = at.view(1, 1, -1, 1), at.view(1, 1, 1, -1)
    box = (rows >= top) & (rows < top + height) & (columns >= left) & (columns < left + width)
    hit = _uniform(x, 0, 1, generator) < ERASED
    return torch.where(box & hit, torch.tensor(MEAN_COLOUR, device=x.device).view(1, 3, 1, 1), x)


CONFIG, RECIPE = OriginalConfig, Original
