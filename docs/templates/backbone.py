"""A backbone to begin with: copy it to core/network/backbones/NAME.py, and `train fit --backbone NAME` finds it.

This one is far too small to be of use. An exported network may hold only what `core/engines/vet.py` lets pass and what
TensorRT knows: convolutions with batch norm, ReLU or clipping, sums. A model of timm needs no file but its name.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from core.network.backbone import Layers

CHANNELS = (64, 0)  # of the last map, and of the map before the head; 0 where there is no head
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of each channel, 0..1, as the weights were trained


def build() -> Layers:
    """With random weights. Import libraries here, and raise MissingDependency where one is absent."""
    return Layers(stem=_convolution(3, 16), stages=[nn.Sequential(*_convolution(n, 2 * n)) for n in (16, 32)])


def imagenet_weights() -> tuple[str, dict[str, Tensor]]:
    """Where the pretrained weights come from, and they by name, in the order in which `build` makes the layers.

    Raises EngineError with a remedy where they cannot be had; `fit --weights FILE` takes a local file in their place.
    """
    torch.manual_seed(0)
    layers = build()
    return "random numbers", nn.Sequential(*layers.stem, *layers.stages).state_dict()


def _convolution(given: int, made: int) -> list[nn.Module]:
    return [nn.Conv2d(given, made, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(made), nn.ReLU()]
