"""The backbones that a network may stand on, each with spatial dropout between its stages."""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn

from core.errors import EngineError, MissingDependency
from core.network.net_config import BACKBONES, NetConfig


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
            nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten()),
            2048,
            (0.485, 0.456, 0.406),  # ImageNet, as torchvision's weights were trained
            (0.229, 0.224, 0.225),
        )
    if config.backbone == "efficientnet_lite0":
        try:
            import timm
        except ImportError as error:
            raise MissingDependency("timm", "requirements-train.txt") from error
        net = timm.create_model("tf_efficientnet_lite0", pretrained=False, num_classes=0)
        body = nn.Sequential(
            net.conv_stem, net.bn1, *_between(list(net.blocks), config.spatial_dropout), net.conv_head, net.bn2
        )
        return nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten()), 1280, (0.5,) * 3, (0.5,) * 3
    raise EngineError(f"backbone {config.backbone!r} is not one of {', '.join(BACKBONES)}")


def _between(stages: list[nn.Module], dropout: float) -> list[nn.Module]:
    """The stages with a spatial dropout after each but the last."""
    out: list[nn.Module] = []
    for stage in stages[:-1]:
        out += [stage, nn.Dropout2d(dropout)]
    return [*out, stages[-1]]
