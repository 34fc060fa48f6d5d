"""What a network is built from, as it is saved beside its weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

MOST_KNOWN_PHOTOS = 2048  # 5 MB of a bundle's weights

# Of a backbone's maps. mean, gem: of the last one; multi: both, and the mean of the map before it; token: a
# transformer's class token.
Pooling = Literal["mean", "gem", "multi", "token"]


@dataclass(frozen=True)
class NetConfig:
    """What a CampusNet is built from; saved beside its weights."""

    backbone: str = "efficientnet_lite0"
    zones: int = 1
    image_size: int = 224
    # Of the heads: the original's regression says no spread; whitened ones only centre and whiten the pooled features.
    layout: Literal["campus", "original", "whitened"] = "campus"
    pooling: Pooling = "mean"
    hidden: int = 256  # width of the hidden layer of each of the campus layout's heads
    embedding: int = 128
    spatial_dropout: float = 0.1  # the original's, between the backbone's stages
    head_dropout: float = 0.3
    heading: bool = False  # whether a head says which way the camera looked
    in_distribution_rank: int = 0  # dimensions of the subspace that the training photos' features span; 0: not known
    known_photos: int = 0  # how many photos' features the OOD score is the distance to; 0: not known
    elsewhere: bool = False  # whether that score weighs, too, how like other places a photo is
    # Of a network of untrained features whose embedding stands beside the learned one, and its share of a similarity.
    untrained: NetConfig | None = None
    untrained_share: float = 0.0
    shared_layers: int = 0  # of both backbones, from the first on: what training left as it was runs once
    mean: tuple[float, float, float] | None = None  # of each channel, 0..1; None: as the backbone's ImageNet weights
    std: tuple[float, float, float] | None = None
