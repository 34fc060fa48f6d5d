"""Any model of timm as a backbone, with random weights: a vision transformer and a CNN, in torch, FP32 and FP16."""

from __future__ import annotations

import dataclasses
from typing import Any, get_args

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("timm")

from core.engines.heads import run_all  # noqa: E402
from core.engines.onnx_engine import OnnxEngine  # noqa: E402
from core.errors import EngineError  # noqa: E402
from core.network.campus_net import CampusNet  # noqa: E402
from core.network.net_config import NetConfig, Pooling  # noqa: E402
from core.network.onnx_export import export_fp32, half_network, round_weights  # noqa: E402
from core.network.timm_backbone import is_timm_model, load_timm_weights, timm_model  # noqa: E402
from core.network.torch_engine import TorchEngine  # noqa: E402
from tests import small_backbones  # noqa: E402
from train.fit.config import EVERY_STAGE  # noqa: E402

SIZE = 64
VIT = NetConfig(backbone=small_backbones.VIT, image_size=SIZE, layout="whitened", pooling="token", embedding=16)
CNN = NetConfig(backbone=small_backbones.CNN, image_size=SIZE, layout="whitened", pooling="multi", embedding=16)


def _net(config: NetConfig) -> CampusNet:
    torch.manual_seed(0)
    net = CampusNet(config).eval()
    torch.nn.init.orthogonal_(net.whitening_axes)
    round_weights(net)
    return net


@pytest.mark.slow
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
    for pooling in get_args(Pooling):
        net = CampusNet(dataclasses.replace(VIT, pooling=pooling))
        widths[pooling] = net.features(torch.zeros(1, 3, SIZE, SIZE)).shape[1]
        assert widths[pooling] == len(net.whitening_mean)
    assert widths == {"mean": 64, "gem": 64, "multi": 128, "token": 64}


def test_gem_lies_between_the_mean_and_the_maximum_of_a_map() -> None:
    images = torch.rand(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0)) * 255
    net = _net(dataclasses.replace(CNN, pooling="gem"))
    strong = net.features(images)
    with torch.inference_mode():
        maps = net.backbone[0]((images - net.mean) / net.std).clamp(min=1e-6)
    assert torch.allclose(strong, maps.pow(3).mean(dim=(2, 3)).pow(1 / 3), rtol=1e-4)
    assert torch.equal(net.features(images), _net(CNN).features(images)[:, -strong.shape[1] :])  # as multi has it
    assert (strong >= maps.mean(dim=(2, 3)) - 1e-5).all()
    assert (strong <= maps.amax(dim=(2, 3)) + 1e-5).all()


@pytest.mark.parametrize("config", [VIT, CNN], ids=["vit", "cnn"])
def test_the_first_stages_of_any_model_stay_as_they_are_and_the_others_learn(config: NetConfig) -> None:
    net = _net(dataclasses.replace(config, spatial_dropout=0.5))
    names = [name for name, _ in net.backbone.named_parameters()]
    net.freeze(2)
    net.train()
    learning = [name for name, value in net.backbone.named_parameters() if value.requires_grad]
    assert 0 < len(learning) < len(names)
    assert names[0] not in learning
    assert names[-1] in learning
    blocks = dict(net.backbone.named_modules())
    assert not blocks["0.model.blocks.1"].training  # neither statistics nor dropped paths
    assert blocks["0.model.blocks.2"].training
    assert "0.model.blocks.2" in {".".join(name.split(".")[:4]) for name in learning}
    net.freeze(EVERY_STAGE)
    assert not any(value.requires_grad for value in net.backbone.parameters())


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
    for without in (CNN.backbone, "resnet50"):
        with pytest.raises(EngineError, match=f"{without}: has no class token"):
            CampusNet(dataclasses.replace(CNN, backbone=without, pooling="token"))
