"""Any model of timm as a backbone, with random weights: a vision transformer and a CNN, in torch, FP32 and FP16."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("timm")

from core.engines.heads import run_all  # noqa: E402
from core.engines.onnx_engine import OnnxEngine  # noqa: E402
from core.errors import EngineError  # noqa: E402
from core.network.campus_net import CampusNet  # noqa: E402
from core.network.net_config import NetConfig  # noqa: E402
from core.network.onnx_export import export_fp32, half_network, round_weights  # noqa: E402
from core.network.timm_backbone import is_timm_model, load_timm_weights, timm_model  # noqa: E402
from core.network.torch_engine import TorchEngine  # noqa: E402
from tests import small_backbones  # noqa: E402

SIZE = 64
VIT = NetConfig(backbone=small_backbones.VIT, image_size=SIZE, layout="whitened", pooling="token", embedding=16)
CNN = NetConfig(backbone=small_backbones.CNN, image_size=SIZE, layout="whitened", pooling="multi", embedding=16)


def _net(config: NetConfig) -> CampusNet:
    torch.manual_seed(0)
    net = CampusNet(config).eval()
    torch.nn.init.orthogonal_(net.whitening_axes)
    round_weights(net)
    return net


@pytest.mark.parametrize("config", [VIT, CNN], ids=["vit", "cnn"])
def test_a_backbone_answers_alike_in_torch_fp32_and_fp16(config: NetConfig) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, SIZE, SIZE, 3), dtype=np.uint8)
    net = _net(config)
    wanted = run_all(TorchEngine(net), images).embedding
    assert wanted is not None
    assert wanted.shape == (3, 16)
    for model, least in ((export_fp32(net), 1 - 1e-4), (export_fp32(half_network(net)), 0.99)):
        found = run_all(OnnxEngine(model, "test", threads=1), images).embedding
        assert found is not None
        assert (found * wanted).sum(axis=1).min() > least


def test_poolings_have_the_widths_they_say() -> None:
    widths = {}
    for pooling in ("mean", "multi", "token"):
        net = CampusNet(dataclasses.replace(VIT, pooling=pooling))  # type: ignore[arg-type]
        widths[pooling] = net.features(torch.zeros(1, 3, SIZE, SIZE)).shape[1]
        assert widths[pooling] == len(net.whitening_mean)
    assert widths == {"mean": 64, "multi": 128, "token": 64}


def test_weights_of_another_picture_size_are_resampled_and_others_refused() -> None:
    other = timm_model(VIT.backbone, 96).state_dict()
    net = _net(VIT)
    body: Any = net.backbone.get_submodule("0")
    load_timm_weights(body, VIT.backbone, SIZE, dict(other))
    assert torch.equal(body.model.blocks[0].attn.qkv.weight, other["blocks.0.attn.qkv.weight"])
    with pytest.raises(EngineError, match="do not fit"):
        load_timm_weights(body, VIT.backbone, SIZE, {"cls_token": other["cls_token"]})


def test_what_timm_has_not_is_refused() -> None:
    assert is_timm_model("convnext_tiny")
    assert not is_timm_model("no_such_model")
    with pytest.raises(EngineError, match="neither"):
        CampusNet(NetConfig(backbone="no_such_model"))
    with pytest.raises(EngineError, match="no class token"):
        CampusNet(dataclasses.replace(CNN, pooling="token"))
