"""What photos of other places look like: the direction in which a campus differs from them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from core.network.onnx_export import round_weights
from train.fit.elsewhere import SHRINKAGE, WEIGHT, mean_feature, towards_elsewhere
from train.fit.recipes.whitened import WhitenedConfig
from train.fit.whitened_net import pretrained_net, probe_of
from train.fit.whitening import unit_length

SIZE = 32


@pytest.mark.parametrize("photos", [12, 200])  # fewer and more than there are features
def test_the_direction_is_fishers_with_a_shrunk_covariance(photos: int) -> None:
    rng = np.random.default_rng(0)
    plain = (rng.normal(0, 1, (photos, 40)) @ rng.normal(0, 1, (40, 40)) + 5).astype(np.float32)
    elsewhere = rng.normal(0.1, 0.1, 40).astype(np.float32)
    direction = towards_elsewhere(plain, elsewhere)
    unit = unit_length(plain).astype(np.float64)
    covariance = np.cov(unit.T)
    shrunk = covariance + SHRINKAGE * np.trace(covariance) / 40 * np.eye(40)
    wanted = np.linalg.solve(shrunk, elsewhere - unit.mean(axis=0))
    cosine = direction @ wanted / np.linalg.norm(direction) / np.linalg.norm(wanted)
    assert cosine == pytest.approx(1, abs=1e-5)
    assert (unit @ direction).std(ddof=1) == pytest.approx(WEIGHT, rel=1e-4)
    assert elsewhere @ direction > (unit @ direction).mean()


def test_one_photo_has_no_direction_to_other_places() -> None:
    assert not towards_elsewhere(np.ones((1, 8), np.float32), np.arange(8, dtype=np.float32)).any()


def test_other_places_are_known_for_the_backbone_that_ships_at_the_nearest_size() -> None:
    at_288, near = mean_feature("efficientnet_lite0", 288), mean_feature("efficientnet_lite0", 280)
    assert at_288 is not None
    assert near is not None
    assert at_288.shape == (1280,)
    assert np.array_equal(at_288, near)
    assert 0.5 < np.linalg.norm(at_288) < 1  # a mean of unit vectors that differ
    assert mean_feature("resnet50", 224) is None


def test_other_places_are_not_known_to_other_weights_of_that_backbone() -> None:
    net, _ = pretrained_net(WhitenedConfig(image_size=SIZE))
    assert mean_feature("efficientnet_lite0", SIZE, probe_of(net)) is not None
    round_weights(net)  # as a bundle's network is
    assert mean_feature("efficientnet_lite0", SIZE, probe_of(net)) is not None
    torch.manual_seed(0)
    with torch.no_grad():
        for value in net.backbone.parameters():
            value.add_(0.2 * value.std(correction=0) * torch.randn_like(value))  # trained on from there
    assert mean_feature("efficientnet_lite0", SIZE, probe_of(net)) is None
