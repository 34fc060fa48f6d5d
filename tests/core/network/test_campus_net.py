from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from core.engines.heads import Heads
from core.engines.onnx_engine import OnnxEngine
from core.locate.localizer import DEMO_BUNDLE
from core.network.campus_net import CampusNet
from core.network.net_config import NetConfig
from core.network.onnx_export import export_fp32
from core.network.torch_engine import TorchEngine
from tests.small_backbones import CNN

CONFIG = NetConfig(zones=4, image_size=64)


@pytest.fixture(scope="module")
def net() -> CampusNet:
    torch.manual_seed(0)
    return CampusNet(CONFIG).eval()


def test_frozen_stages_keep_their_weights_and_statistics_and_drop_nothing() -> None:
    torch.manual_seed(0)
    net = CampusNet(CONFIG)
    net.freeze(3)
    net.train()
    frozen = {name: value.clone() for name, value in net.backbone[:7].state_dict().items()}
    moving = {name: value.clone() for name, value in net.backbone[7:].state_dict().items()}
    image = torch.rand(4, 3, 64, 64) * 255
    assert torch.equal(net.backbone[:8](image), net.backbone[:8](image))  # no dropout, no batch statistics
    net.heads(net.features(image)).offset.sum().backward()
    assert all(p.grad is None for p in net.backbone[:7].parameters())
    assert any(p.grad is not None for p in net.backbone[7:].parameters())
    assert all(torch.equal(value, frozen[name]) for name, value in net.backbone[:7].state_dict().items())
    assert not all(torch.equal(value, moving[name]) for name, value in net.backbone[7:].state_dict().items())


def test_ood_score_is_none_for_what_was_trained_on_and_large_for_what_was_not(net: CampusNet) -> None:
    rng = torch.Generator().manual_seed(1)
    plane = torch.randn(3, 1280, generator=rng)
    seen = torch.randn(40, 3, generator=rng) @ plane
    scoring = net.with_ood_score(seen)
    inside = scoring.heads(torch.randn(5, 3, generator=rng) @ plane).ood_score
    outside = scoring.heads(torch.randn(5, 1280, generator=rng) * 10).ood_score
    assert inside is not None
    assert outside is not None
    assert inside.max() < 0.01
    assert outside.min() > 0.9


def test_an_export_names_no_folder_of_the_machine_that_made_it(net: CampusNet) -> None:
    for model in (export_fp32(net), (DEMO_BUNDLE / "model.onnx").read_bytes()):
        assert b"campus_net.py" not in model
        assert b"site-packages" not in model


@pytest.mark.slow
def test_ood_score_of_known_photos_is_the_distance_to_the_nearest_in_onnx_too() -> None:
    torch.manual_seed(2)
    plain = CampusNet(NetConfig(backbone=CNN, image_size=64, layout="whitened", pooling="multi", embedding=8)).eval()
    images = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), np.uint8)
    features = plain.features(torch.from_numpy(images).permute(0, 3, 1, 2).float()).detach()
    net = plain.with_known_photos(features[:2] * 3.0)  # of another contrast, and the same
    assert net.output_names == ("offset", "embedding", "ood_score")
    score = TorchEngine(net).run(images).ood_score
    assert score is not None
    unit = torch.nn.functional.normalize(features[:, :256], dim=1)
    wanted = (1 - (unit @ unit[:2].T).amax(dim=1)) / 2
    assert score[:, 0] == pytest.approx(wanted.numpy(), abs=1e-4)
    assert score[:2].max() < 1e-4
    assert score[2:].min() > 2 * score[:2].max()
    assert OnnxEngine(export_fp32(net), "ONNX").run(images).ood_score == pytest.approx(score, abs=1e-4)


@pytest.mark.slow
def test_likeness_to_other_places_adds_to_the_distance_in_onnx_too() -> None:
    torch.manual_seed(2)
    plain = CampusNet(NetConfig(backbone=CNN, image_size=64, layout="whitened", pooling="multi", embedding=8)).eval()
    images = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), np.uint8)
    features = plain.features(torch.from_numpy(images).permute(0, 3, 1, 2).float()).detach()
    direction = 0.05 * torch.nn.functional.normalize(features[0, :256], dim=0)
    known, weighed = plain.with_known_photos(features[:1]), plain.with_known_photos(features[:1], direction)
    before, after = (TorchEngine(net).run(images).ood_score for net in (known, weighed))
    unit = torch.nn.functional.normalize(features[:, :256], dim=1)
    assert before is not None
    assert after is not None
    assert (after - before)[:, 0] == pytest.approx((unit @ direction / 2).numpy(), abs=1e-4)
    assert after.min() > before.min()
    assert OnnxEngine(export_fp32(weighed), "ONNX").run(images).ood_score == pytest.approx(after, abs=1e-4)


@pytest.mark.slow
def test_a_network_with_an_ood_score_answers_as_before_and_says_it_in_onnx_too() -> None:
    torch.manual_seed(0)
    net = CampusNet(replace(CONFIG, backbone=CNN)).eval()
    images = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8)
    features = net.features(torch.from_numpy(images).permute(0, 3, 1, 2).float()).detach()
    scoring = net.with_ood_score(features.repeat(4, 1) + torch.randn(12, features.shape[1]) * 0.01)
    assert scoring.config == replace(net.config, in_distribution_rank=3)
    before, after = TorchEngine(net).run(images), TorchEngine(scoring).run(images)
    exported = OnnxEngine(export_fp32(scoring), "ONNX").run(images)
    assert before.ood_score is None
    assert np.array_equal(before.offset, after.offset)
    assert after.ood_score == pytest.approx(exported.ood_score, abs=1e-4)


@pytest.mark.slow
def test_whitened_features_come_from_every_pooling_and_are_of_unit_length_in_onnx_too() -> None:
    torch.manual_seed(1)
    net = CampusNet(NetConfig(image_size=64, layout="whitened", pooling="multi", embedding=8)).eval()
    assert net.output_names == ("offset", "embedding")
    images = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8)
    features = net.features(torch.from_numpy(images).permute(0, 3, 1, 2).float()).detach()
    assert features.shape == (3, 1280 + 320 + 1280)
    plain = CampusNet(NetConfig(image_size=64)).eval()
    plain.backbone.load_state_dict(
        dict(zip(plain.backbone.state_dict(), net.backbone.state_dict().values(), strict=True))
    )
    mean = plain.features(torch.from_numpy(images).permute(0, 3, 1, 2).float()).detach()
    assert torch.allclose(features[:, :1280], mean, atol=1e-5)
    net.whitening_mean.copy_(features.mean(dim=0))
    net.whitening_axes.copy_(torch.randn(2880, 8))
    ours, exported = TorchEngine(net).run(images), OnnxEngine(export_fp32(net), "ONNX").run(images)
    assert ours.embedding is not None
    assert exported.embedding is not None
    assert np.allclose(ours.embedding, exported.embedding, atol=1e-4)
    assert not exported.offset.any()


def test_untrained_features_stand_beside_learned_ones_and_what_was_not_trained_runs_once() -> None:
    torch.manual_seed(3)
    plain = CampusNet(replace(CONFIG, layout="whitened", pooling="multi", embedding=8)).eval()
    plain.whitening_axes.normal_()
    net = CampusNet(CONFIG).eval()
    net.backbone[:5].load_state_dict(plain.backbone[:5].state_dict())
    images = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8)
    both = net.beside(plain, 0.25)
    assert both.config.shared_layers == 6  # a dropout after them is the same, too
    told, own, untrained = (TorchEngine(one).run(images) for one in (both, net, plain))
    wanted = 0.75 * similarities(own) + 0.25 * similarities(untrained)
    np.testing.assert_allclose(similarities(told), wanted, atol=1e-5)
    np.testing.assert_allclose(told.offset, own.offset, atol=1e-5)
    scoring = both.with_ood_score(both.features(torch.from_numpy(images).permute(0, 3, 1, 2).float()).detach())
    np.testing.assert_allclose(similarities(TorchEngine(scoring).run(images)), wanted, atol=1e-5)
    ran: list[int] = []
    for part in (both, both.untrained):
        part.backbone[0].register_forward_hook(lambda *_: ran.append(1))
    TorchEngine(both).run(images)
    assert len(ran) == 1


def similarities(heads: Heads) -> NDArray[np.float32]:
    assert heads.embedding is not None
    return np.asarray(heads.embedding @ heads.embedding.T)
