"""Campus bundles around real CampusNets, small enough to export in a second or two."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save
from torch import nn

import core.network.campus_net
from core.campus.bundle import Bundle, save_bundle
from core.campus.thumbnails import Thumbnails
from core.network.campus_net import CampusNet
from core.network.net_config import NetConfig
from core.network.onnx_export import export_fp32
from edge.export.export import export
from edge.pack import pack
from tests.bundles import IMAGE_SIZE, make_bundle
from tests.made_once import made_once

EMBEDDING = 6  # as wide as the test bundle's gallery


def small_backbone(_: NetConfig) -> tuple[nn.Module, int, tuple[float, ...], tuple[float, ...]]:
    """Three convolutions with what matters in the real ones: batch norm, ReLU6, a residual sum, pooling."""

    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(16, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.relu(x + self.norm(self.conv(x)))

    body = nn.Sequential(
        nn.Conv2d(3, 16, 3, stride=4, bias=False), nn.BatchNorm2d(16), nn.ReLU6(), Residual(),
        nn.Conv2d(16, 32, 3, stride=2, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
    )  # fmt: skip
    return nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten()), 32, (0.5,) * 3, (0.25,) * 3


def small_net(patch: pytest.MonkeyPatch, seed: int = 0) -> CampusNet:
    """A CampusNet around `small_backbone` whose batch norms have something to fold."""
    patch.setattr(core.network.campus_net, "build_backbone", small_backbone)
    torch.manual_seed(seed)
    return scrambled(
        CampusNet(NetConfig(zones=9, image_size=IMAGE_SIZE, hidden=16, embedding=EMBEDDING, heading=True)), seed
    )


def scrambled(net: CampusNet, seed: int) -> CampusNet:
    """Running statistics of a trained network are never 0 and 1."""
    generator = torch.Generator().manual_seed(seed)
    for module in net.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 2, generator=generator)
            module.weight.data.uniform_(0.5, 1.5, generator=generator)
    return net.eval()


def weights_of(net: CampusNet) -> bytes:
    """model.safetensors as `train bundle` writes it."""
    return save(dict(net.state_dict()), {"net": json.dumps(asdict(net.config))})


def network_bundle(out: Path, net: CampusNet, **files: bytes) -> Bundle:
    """The test campus around `net`; `files` replace or add to what it holds (`__` for the dot in names)."""
    plain = Bundle.load(make_bundle(out.with_name(out.name + "-plain")))
    rng = np.random.default_rng(0)
    embedding = rng.normal(size=(60, net.config.embedding))
    embedding /= np.linalg.norm(embedding, axis=1, keepdims=True)
    held: dict[str, bytes] = {name: plain.read(name) for name in plain.manifest.files}
    held["model.safetensors"] = weights_of(net)
    if "model__onnx" not in files:
        held["model.onnx"] = export_fp32(net)
    held["gallery.npz"] = npz(embedding=embedding.astype(np.float16), local_m=rng.uniform(-90, 90, (60, 2)))
    held |= {name.replace("__", "."): data for name, data in files.items()}
    return save_bundle(out, plain.manifest.model_copy(update={"image_size": net.config.image_size}), held)


def small_shelf(factory: pytest.TempPathFactory) -> Path:
    """A folder with a bundle around `small_net`, its export and its pack, as the commands make them.

    They are `small`, `small-export` and `small.campus-edge`, made once for all workers; not to be changed.
    """

    def make(folder: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            pictures = Thumbnails.of([b"no device shows them"] * 60).file()
            bundle = network_bundle(folder / "small", small_net(patch), thumbnails__npz=pictures)
            exported = export(bundle, folder / "small-export").folder
        pack(bundle, exported, folder / "small.campus-edge")

    return made_once(factory, "shelf", make)


def npz(**arrays: Any) -> bytes:
    import io

    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()
