"""A bundle is never worse than its backbone's untrained features, by photos of other sessions."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file, save_file

from core.campus.grid import Grid
from core.engines.heads import Heads
from core.engines.onnx_engine import OnnxEngine
from core.locate.localizer import Localizer
from core.network.campus_net import CampusNet
from core.network.net_config import NetConfig
from core.network.onnx_export import export_fp32, half_network
from core.network.torch_engine import TorchEngine
from core.network.weights import load_net, saved_net_config
from tests.small_backbones import CNN, small_backbone
from tests.train.bundle.test_held_out import make_sessions
from tests.train.fit.training_sets import SIZE
from train.bundle.calibrate import positions_off_m
from train.bundle.held_out import Ground, HeldOut, cross_fitted, gallery_of, held_out_split
from train.bundle.make import BundleConfig, Run, make_bundle
from train.bundle.parts import fitted_and_calibrated, ground_of
from train.bundle.untrained import SHARES, cross_fitted_m, nearer_than_trained, nearest_share
from train.dataset.zoning import fit_zones
from train.fit.fit import fit
from train.fit.recipes import new_config
from train.fit.recipes.whitened import WhitenedConfig
from train.fit.run_folder import BEST, CONFIG
from train.fit.training_data import TrainingData

NO_MAP: dict[str, Any] = {"features": []}


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    return make_sessions(tmp_path_factory.mktemp("dataset"), 3)


@pytest.fixture(scope="module")
def blind() -> CampusNet:
    """Heads that learned nothing."""
    torch.manual_seed(0)
    return CampusNet(NetConfig(image_size=SIZE, zones=8, embedding=16)).eval()


@pytest.mark.slow
def test_training_that_made_it_worse_is_left_out(task: TrainingData, blind: CampusNet) -> None:
    config = new_config("campus", image_size=SIZE)
    found = nearer_than_trained(held_out_split(blind, task), task, config)
    assert found is not None
    net, kept = found
    assert (kept.recipe, kept.backbone, kept.image_size) == ("whitened", config.backbone, SIZE)
    session = np.array([f"s{row % 3}" for row in task.rows["calibration"]])
    ground = ground_of(task, task.rows["train"])
    blind_m = cross_fitted_m(held_out_split(blind, task).held_out[0], session, ground).mean()
    fitted = cross_fitted(net, task)
    params, _ = fitted_and_calibrated(fitted, ground, task)
    bundled_m = np.concatenate([positions_off_m(part, ground, params) for part in fitted.held_out]).mean()
    assert bundled_m < blind_m


def test_training_that_pays_is_kept(task: TrainingData, tmp_path: Path) -> None:
    """Beside weights that see nothing, the heads of one epoch on ImageNet's are worth having."""
    config = new_config("campus", image_size=SIZE, epochs=1)
    run = fit(task, tmp_path / "run", config)
    trained = CampusNet(saved_net_config(json.loads((run / CONFIG).read_text())["net"])).eval()
    trained.load_state_dict(load_file(run / BEST))
    nothing = {name: torch.zeros_like(value) for name, value in trained.backbone.state_dict().items()}
    save_file(nothing, tmp_path / "nothing.safetensors")
    beside_nothing = replace(config, weights=str(tmp_path / "nothing.safetensors"))
    fitted = held_out_split(trained, task)
    assert nearer_than_trained(fitted, task, beside_nothing) is None
    assert nearer_than_trained(fitted, task, config) is not None


def test_what_was_not_trained_is_compared_with_nothing(task: TrainingData, blind: CampusNet) -> None:
    assert nearer_than_trained(held_out_split(blind, task), task, WhitenedConfig(image_size=SIZE)) is None


def test_without_its_weights_there_is_nothing_to_compare_with(task: TrainingData, blind: CampusNet) -> None:
    config = replace(new_config("campus", image_size=SIZE), weights="no-such-file.pth")
    assert nearer_than_trained(held_out_split(blind, task), task, config) is None


def told_by(east: bool, north: bool, count: int, seed: int) -> HeldOut:
    """Photos whose embedding tells one side of where they stand, or both; each is like the gallery's but for noise."""
    rng = np.random.default_rng(7)
    at_m, known_m = rng.uniform(0, 60, (count, 2)), rng.uniform(0, 60, (400, 2))
    noise = np.random.default_rng(seed)

    def heads(local_m: NDArray[np.float64]) -> Heads:
        angle = local_m[:, [side for side, told in enumerate((east, north)) if told]] / 60 * np.pi
        circle = np.concatenate([np.cos(angle), np.sin(angle)], axis=1)
        circle += noise.normal(0, 0.02, circle.shape)
        unit = circle / np.linalg.norm(circle, axis=1, keepdims=True)
        return Heads(offset=np.zeros((len(angle), 2), np.float32), embedding=unit.astype(np.float32))

    return HeldOut(heads(at_m), at_m, gallery_of(heads(known_m), known_m))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("learned", "untrained", "shares"),
    [
        ((True, False), (False, True), SHARES),  # each tells what the other does not
        ((True, True), (True, False), (0.0,)),
        ((True, False), (True, True), (1.0,)),
    ],
)
def test_both_embeddings_are_kept_where_each_tells_what_the_other_does_not(
    learned: tuple[bool, bool], untrained: tuple[bool, bool], shares: tuple[float, ...]
) -> None:
    grid = Grid.around(np.array([[0.0, 0.0], [60.0, 60.0]]), 10.0, 2.0)
    ground = Ground(grid, fit_zones(np.random.default_rng(0).uniform(0, 60, (50, 2)), seed=0), 50.0)
    one, other = (told_by(*sides, count=60, seed=seed) for seed, sides in enumerate((learned, untrained)))
    session = np.array([f"s{index % 3}" for index in range(60)])
    assert nearest_share(one, other, session, ground) in shares


@pytest.mark.slow
def test_a_bundle_of_both_locates_exports_and_survives_half_precision(
    task: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("train.bundle.untrained.nearest_share", lambda *_: 0.5)
    for path, image in zip(task.dataset.image_paths, task.images, strict=True):
        Image.fromarray(image).save(path)
    torch.manual_seed(0)
    blind = CampusNet(NetConfig(backbone=CNN, image_size=SIZE, zones=len(task.zones), embedding=16)).eval()
    weights = str(small_backbone(CNN, SIZE, tmp_path / "weights.pth")[-1])
    config = new_config("campus", image_size=SIZE, backbone=CNN, weights=weights)
    run = Run(blind, task, config, weights, datetime.now(timezone.utc), 1)
    asked = BundleConfig("Both", second_look=False, keep_trained=False)
    bundle = make_bundle(run, tmp_path / "both", asked, NO_MAP, {})

    read, images = load_net(bundle), task.images[:4]
    assert read.config.untrained is not None
    assert read.config.untrained_share == 0.5
    learned, both = (TorchEngine(net).run(images).embedding for net in (blind, read))
    assert learned is not None
    assert both is not None
    np.testing.assert_allclose(both[:, :16], 0.5**0.5 * learned, atol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(both, axis=1), 1, atol=1e-4)
    for model in (bundle.read("model.onnx"), export_fp32(half_network(read))):
        told = OnnxEngine(model, "ONNX").run(images).embedding
        assert told is not None
        np.testing.assert_allclose(told, both, atol=0.02)
    fix = Localizer.load(bundle.path).locate(task.dataset.image_paths[0])
    assert np.linalg.norm(bundle.manifest.frame.to_local(fix.lat, fix.lon)) < 100
