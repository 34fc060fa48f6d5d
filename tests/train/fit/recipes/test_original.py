from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from core.network.campus_net import CampusNet, Outputs
from tests.train.fit.training_sets import COUNTS, make_task
from train.fit.recipes.original import (
    ERASED,
    ERASED_AREA,
    MEAN_COLOUR,
    STRONG,
    WEAK,
    Jitter,
    Original,
    OriginalConfig,
    erased,
    jittered,
    triplet_loss,
    turned,
)
from train.fit.training_data import SCALE_M, CalibrationErrors


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Original:
    config = OriginalConfig()
    return Original(make_task(tmp_path_factory.mktemp("original"), config), config)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(count: int = 4, size: int = 24) -> Tensor:
    return torch.rand(count, 3, size, size, generator=seeded()) * 255


def test_the_network_has_the_original_s_heads(original: Original) -> None:
    config = original.net_config
    assert (config.backbone, config.layout, config.embedding) == ("resnet50", "original", 256)
    assert config.zones == COUNTS["train"]  # up to 300, however few photos each
    assert (config.spatial_dropout, config.head_dropout) == (0.1, 0.3)
    assert CampusNet(config).output_names == ("offset", "zone_logits", "embedding")


def test_jitter_is_torchvision_s(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the same factors as torchvision's functions, the same picture."""
    from torchvision.transforms.v2 import functional

    x = noise() * 0.5 + 60  # mild colours, as photos have
    changes = {
        "brightness": (functional.adjust_brightness, 1.15),
        "contrast": (functional.adjust_contrast, 1.15),
        "saturation": (functional.adjust_saturation, 1.15),
        "hue": (functional.adjust_hue, 0.02),
    }
    for name, (theirs, factor) in changes.items():
        jitter = Jitter(**dict.fromkeys(("brightness", "contrast", "saturation", "hue"), 0.0) | {name: 0.1})
        monkeypatch.setattr(
            "train.fit.recipes.original._uniform",
            lambda x, low, high, _, factor=factor: torch.full((len(x), 1, 1, 1), factor if low != high else low),
        )
        ours, wanted = jittered(x, jitter, seeded()), theirs(x / 255, factor) * 255
        assert (wanted - x).abs().mean() > 1, name
        assert (ours - wanted).abs().max() < 0.01, name


def test_each_photo_is_jittered_in_its_own_way_within_its_bounds() -> None:
    grey = torch.full((256, 3, 4, 4), 100.0)
    for jitter in (WEAK, STRONG):
        level = jittered(grey, jitter, seeded()).mean(dim=(1, 2, 3)) / 100
        assert 1 - jitter.brightness <= level.min() < 1 - 0.8 * jitter.brightness
        assert 1 + 0.8 * jitter.brightness < level.max() <= 1 + jitter.brightness
        assert len(level.unique()) > 200


def test_a_share_of_the_photos_lose_a_box() -> None:
    x = torch.zeros(2000, 3, 32, 32)
    lost = (erased(x, seeded()) == torch.tensor(MEAN_COLOUR).view(1, 3, 1, 1)).all(dim=1).float().mean(dim=(1, 2))
    assert float((lost > 0).float().mean()) == pytest.approx(ERASED, abs=0.04)
    lost = lost[lost > 0]
    assert lost.min() < 2 * ERASED_AREA[0]
    assert lost.max() <= ERASED_AREA[1] * 1.15  # a box covers whole pixels


def test_photos_are_turned_by_a_few_degrees_each() -> None:
    x = torch.full((64, 3, 64, 64), 200.0)
    black = (turned(x, seeded()) < 1).all(dim=1).float().mean(dim=(1, 2))
    assert 0 < black.max() < 0.08
    assert len(black.unique()) > 16


def test_night_photos_stay_weak(original: Original) -> None:
    """Neither a turn's black corners nor an erased box in a night photo's strong view."""
    chosen = torch.arange(COUNTS["train"])
    photos = torch.full((len(chosen), 32, 32, 3), 200, dtype=torch.uint8)
    weak, strong = original.views(photos, chosen, seeded())
    assert weak.shape == strong.shape == (len(chosen), 3, 32, 32)

    def flat(view: Tensor) -> Tensor:
        return (view.amax(dim=(2, 3)) - view.amin(dim=(2, 3))).amax(dim=1) < 1e-2

    assert torch.equal(flat(strong), original.night)
    assert flat(weak).all()


def test_each_zone_by_day_and_night_is_drawn_as_often(original: Original) -> None:
    original.register_buffer("weight", torch.tensor([1.0, 1.0, 0.5, 0.5], dtype=torch.float64), persistent=False)
    drawn = torch.cat([original.order(seeded(seed)) for seed in range(1000)])
    share = torch.bincount(drawn, minlength=4) / len(drawn)
    assert share.tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 6, 1 / 6], abs=0.03)


def test_photos_are_weighed_by_their_zone_and_night(tmp_path: Path) -> None:
    config = OriginalConfig(photos_per_zone=16)
    task = make_task(tmp_path, config)
    original = Original(task, config)
    for night in (False, True):
        for zone in range(len(task.zones)):
            group = (original.zone == zone) & (original.night == night)
            if group.any():
                assert float(original.weight[group].sum()) == pytest.approx(1)


def test_a_triplet_s_negative_is_the_most_alike_far_photo() -> None:
    weak = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [-1.0, 0.0]])
    position = torch.tensor([[0.0, 0.0], [5.0, 0.0], [50.0, 0.0], [90.0, 0.0]])
    strong = weak.clone()
    # of each: the nearest embedding among those over 20 m away is 2, 2, 1, 2
    away = [2**0.5, (0.9**2 + 0.9**2) ** 0.5, (0.9**2 + 0.9**2) ** 0.5, 2**0.5]
    wanted = sum(max(0.0, 1.5 - distance) for distance in away) / 4
    assert float(triplet_loss(weak, strong, position, 1.5, 20.0)) == pytest.approx(wanted, abs=1e-4)


def test_photos_of_one_place_make_no_triplet() -> None:
    weak = torch.eye(3)
    assert triplet_loss(weak, weak, torch.zeros(3, 2), 1.5, 20.0) == 0
    position = torch.tensor([[0.0, 0.0], [1.0, 0.0], [30.0, 0.0]])
    assert torch.isfinite(triplet_loss(weak, weak, position, 1.5, 20.0))


def test_the_loss_weighs_its_parts_as_the_original_does(original: Original) -> None:
    chosen = torch.arange(4)
    embedding = torch.eye(4, 256)  # every two are apart by the root of 2, less than the margin by 0.0858
    sure = torch.nn.functional.one_hot(original.zone[chosen], original.net_config.zones) * 0.0

    def heads(off: float) -> Outputs:
        return Outputs(original.target_m[chosen] / SCALE_M + off, sure, embedding)

    zone = 0.3 * math.log(original.net_config.zones)  # of even odds, whatever the smoothing
    far = torch.cdist(original.target_m[chosen], original.target_m[chosen]).amax(dim=1) > 20
    assert far.all()
    base = zone + 10 * (1.5 - math.sqrt(2))
    assert float(original.loss([heads(0), heads(0)], chosen)) == pytest.approx(base, abs=1e-3)
    assert float(original.loss([heads(0.1), heads(0)], chosen)) == pytest.approx(base + 200 * 0.3 * 0.01, abs=1e-3)
    assert float(original.loss([heads(0), heads(0.1)], chosen)) == pytest.approx(base + 200 * 0.7 * 0.01, abs=1e-3)


def test_its_rate_is_constant_and_its_epoch_chosen_by_the_regression(original: Original) -> None:
    assert original.learning_rate_factor(0, 10) == original.learning_rate_factor(9, 10) == 1
    assert original.score_m(CalibrationErrors(7.0, 99.0)) == 7.0
