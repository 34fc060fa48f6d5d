"""The backbones that a network may stand on, each with spatial dropout between its stages.

Each is one file, found by its name: `--backbone resnet50` is `resnet50.py`; any other name is a model of timm. Such a
file has `build()` -> Layers; `CHANNELS` of the last map and of the map before the head (0: no head); `MEAN` and `STD`
of each channel, 0..1; and `imagenet_weights()` -> where they come from, and the tensors by name.
`docs/templates/backbone.py` is one to begin with.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from core.network.net_config import NetConfig
from core.network.timm_backbone import is_timm_model, no_class_token, timm_body, timm_width
from core.program import choices, chosen

GEM_POWER = 3.0  # Radenović et al., Fine-tuning CNN image retrieval (PAMI 2018): where their learned powers end


def backbone_names() -> tuple[str, ...]:
    """Those whose stages are known; any other is a model of timm by its name there."""
    return choices(__name__)


def build_backbone(config: NetConfig) -> tuple[nn.Module, int, Iterable[float], Iterable[float]]:
    """The backbone with spatial dropout between its stages, its feature width, and its channel mean and std.

    Raises EngineError for a name that neither a file here nor timm has, and for a class token that it has not.
    """
    width = sum(pooled_widths(config))
    file = chosen(__name__, config.backbone)
    if file is None:
        maps, mean, std = timm_body(
            config.backbone, config.image_size, config.spatial_dropout, token=config.pooling == "token"
        )
        return nn.Sequential(maps, *_pool(config)), width, mean, std
    if config.pooling == "token":
        raise no_class_token(config.backbone)
    layers = file.build()
    head = [_BothMaps(*layers.head)] if layers.head and config.pooling == "multi" else layers.head
    body = [*layers.stem, *_between(layers.stages, config.spatial_dropout), *head]
    return nn.Sequential(*body, *_pool(config)), width, file.MEAN, file.STD


def imagenet_weights(backbone: str) -> tuple[str, dict[str, Tensor]]:
    """Where a backbone's own weights come from, and they by name. Raises EngineError where they cannot be had."""
    source, state = chosen(__name__, backbone).imagenet_weights()
    return source, state


def is_backbone(name: str) -> bool:
    """Whether a network can stand on it. Raises MissingDependency without timm."""
    return name in backbone_names() or is_timm_model(name)


def _between(stages: list[nn.Module], dropout: float) -> list[nn.Module]:
    """The stages with a spatial dropout after each but the last."""
    out: list[nn.Module] = []
    for stage in stages[:-1]:
        out += [stage, nn.Dropout2d(dropout)]
    return [*out, stages[-1]]


def pooled_widths(config: NetConfig) -> tuple[int, ...]:
    """How many features each pooling gives, in their order; the first is of the last map."""
    last, before = _channels(config)
    if config.pooling != "multi":
        return (last,)
    return tuple(width for width in (last, before, last) if width)


def _channels(config: NetConfig) -> tuple[int, int]:
    """Of the last map, and of the map before the layers that only widen it."""
    file = chosen(__name__, config.backbone)
    last, before = (timm_width(config.backbone, config.image_size), 0) if file is None else file.CHANNELS
    return last, before


def _pool(config: NetConfig) -> list[nn.Module]:
    """The two modules that end a backbone."""
    if config.pooling == "multi":
        return [_MeanAndGem(_channels(config)[0]), nn.Flatten()]
    return [_Gem() if config.pooling == "gem" else nn.AdaptiveAvgPool2d(1), nn.Flatten()]


class _BothMaps(nn.Sequential):
    """The last layers of a backbone: (B, C, h, w) -> (B, D + C, h, w), their map and the one that they were given."""

    def forward(self, before: Tensor) -> Tensor:
        last = before
        for layer in self:
            last = layer(last)
        return torch.cat([last, before], dim=1)


class _Gem(nn.Module):
    """(B, C, h, w) -> (B, C, 1, 1), the generalised mean of each channel; of maps with a sign, of what is positive.

    It weighs a channel's strongest places: what stands out there, whatever fills the rest.
    """

    def forward(self, maps: Tensor) -> Tensor:
        return maps.clamp(min=1e-6).pow(GEM_POWER).mean(dim=(2, 3), keepdim=True).pow(1 / GEM_POWER)


class _MeanAndGem(nn.Module):
    """(B, C, h, w) -> (B, C + last, 1, 1): the mean of every channel, and the GeM of the first `last` ones."""

    def __init__(self, last: int) -> None:
        super().__init__()
        self.last, self.gem = last, _Gem()

    def forward(self, maps: Tensor) -> Tensor:
        return torch.cat([maps.mean(dim=(2, 3), keepdim=True), self.gem(maps[:, : self.last])], dim=1)
