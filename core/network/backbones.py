"""The backbones that a network may stand on, each with spatial dropout between its stages."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from core.errors import MissingDependency
from core.network.net_config import NetConfig
from core.network.timm_backbone import timm_body, timm_width

# Of each backbone's last map, and of the map before its last layers where those only widen it.
CHANNELS = {"efficientnet_lite0": (1280, 320), "resnet50": (2048, 0)}
GEM_POWER = 3.0  # Radenović et al., Fine-tuning CNN image retrieval (PAMI 2018): where their learned powers end


def build_backbone(config: NetConfig) -> tuple[nn.Module, int, Iterable[float], Iterable[float]]:
    """The backbone with spatial dropout between its stages, its feature width, and its channel mean and std."""
    if config.backbone == "resnet50":
        try:
            from torchvision.models import resnet50
        except ImportError as error:
            raise MissingDependency("torchvision", "requirements-train.txt") from error
        net = resnet50(weights=None)
        stages = [net.layer1, net.layer2, net.layer3, net.layer4]
        body = nn.Sequential(net.conv1, net.bn1, net.relu, net.maxpool, *_between(stages, config.spatial_dropout))
        return (
            nn.Sequential(*body, *_pool(config)),
            sum(pooled_widths(config)),
            (0.485, 0.456, 0.406),  # ImageNet, as torchvision's weights were trained
            (0.229, 0.224, 0.225),
        )
    if config.backbone == "efficientnet_lite0":
        try:
            import timm
        except ImportError as error:
            raise MissingDependency("timm", "requirements-train.txt") from error
        net = timm.create_model("tf_efficientnet_lite0", pretrained=False, num_classes=0)
        head = [_BothMaps(net.conv_head, net.bn2)] if config.pooling == "multi" else [net.conv_head, net.bn2]
        body = nn.Sequential(net.conv_stem, net.bn1, *_between(list(net.blocks), config.spatial_dropout), *head)
        return nn.Sequential(*body, *_pool(config)), sum(pooled_widths(config)), (0.5,) * 3, (0.5,) * 3
    maps, mean, std = timm_body(
        config.backbone, config.image_size, config.spatial_dropout, token=config.pooling == "token"
    )
    return nn.Sequential(maps, *_pool(config)), sum(pooled_widths(config)), mean, std


def _between(stages: list[nn.Module], dropout: float) -> list[nn.Module]:
    """The stages with a spatial dropout after each but the last."""
    out: list[nn.Module] = []
    for stage in stages[:-1]:
        out += [stage, nn.Dropout2d(dropout)]
    return [*out, stages[-1]]


def pooled_widths(config: NetConfig) -> tuple[int, ...]:
    """How many features each pooling gives, in their order; the first is always the mean of the last map."""
    last, before = _channels(config)
    if config.pooling != "multi":
        return (last,)
    return tuple(width for width in (last, before, last) if width)


def _channels(config: NetConfig) -> tuple[int, int]:
    known = CHANNELS.get(config.backbone)
    return known or (timm_width(config.backbone, config.image_size), 0)


def _pool(config: NetConfig) -> list[nn.Module]:
    """The two modules that end a backbone."""
    pool = _MeanAndGem(_channels(config)[0]) if config.pooling == "multi" else nn.AdaptiveAvgPool2d(1)
    return [pool, nn.Flatten()]


class _BothMaps(nn.Sequential):
    """The last layers of a backbone: (B, C, h, w) -> (B, D + C, h, w), their map and the one that they were given."""

    def forward(self, before: Tensor) -> Tensor:
        last = before
        for layer in self:
            last = layer(last)
        return torch.cat([last, before], dim=1)


class _MeanAndGem(nn.Module):
    """(B, C, h, w) -> (B, C + last, 1, 1): the mean of every channel, and the GeM of the first `last` ones.

    Generalised mean pooling weighs a channel's strongest places: what stands out there, whatever fills the rest.
    """

    def __init__(self, last: int) -> None:
        super().__init__()
        self.last = last

    def forward(self, maps: Tensor) -> Tensor:
        mean = maps.mean(dim=(2, 3), keepdim=True)
        strong = maps[:, : self.last].clamp(min=1e-6).pow(GEM_POWER).mean(dim=(2, 3), keepdim=True)
        return torch.cat([mean, strong.pow(1 / GEM_POWER)], dim=1)
