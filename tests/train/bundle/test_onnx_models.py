"""INT8 is judged by photos that neither the network nor its quantisation has seen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from core.campus.manifest import Parity
from core.campus.parameters import PosteriorParams
from core.engines.heads import run_all
from core.engines.onnx_engine import OnnxEngine
from core.locate.parity import mean_distance_m
from core.network.campus_net import CampusNet
from core.network.net_config import NetConfig
from core.network.onnx_export import export_fp32
from core.network.torch_engine import TorchEngine
from tests.small_backbones import CNN
from tests.train.bundle.test_held_out import make_net, make_sessions
from train.bundle import onnx_models
from train.bundle.held_out import cross_fitted, largest
from train.bundle.onnx_models import OnnxModels, int8_pays, parity_apart, with_heads_of
from train.bundle.parts import ground_of


@pytest.mark.slow
def test_int8_is_judged_by_a_session_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = make_sessions(tmp_path, 3)
    fitted = cross_fitted(make_net(), task)
    ground, params = ground_of(task, fitted.rows), PosteriorParams()
    models = onnx_models.onnx_models(fitted.net, fitted.rows, task, 0)
    calibrated_on = []
    quantize = onnx_models.quantized

    def noted(fp32, rows, *rest):  # type: ignore[no-untyped-def]
        calibrated_on.append(rows)
        return quantize(fp32, rows, *rest)

    monkeypatch.setattr(onnx_models, "quantized", noted)
    parity = parity_apart(fitted, models, ground, params, task, 0)

    index = largest(fitted.asked)
    part, asked = fitted.held_out[index], fitted.asked[index]
    assert len(calibrated_on) == 1
    assert not np.isin(calibrated_on[0], asked).any()
    honest_m = mean_distance_m(part.positions_m(ground, params), part.truth_m)
    assert parity.fp32_mean_m == pytest.approx(honest_m, abs=1e-3)
    assert parity.int8_mean_m != parity.fp32_mean_m


def test_int8_runs_where_it_costs_little_and_nothing_was_fitted_to_fp32() -> None:
    same, near, far = (Parity(fp32_mean_m=20.0, int8_mean_m=mean, apart_mean_m=1.0) for mean in (20.0, 20.9, 21.1))
    assert [int8_pays(parity, 100, fitted_in_fp32=False) for parity in (same, near, far)] == [True, True, False]
    assert not int8_pays(same, 100, fitted_in_fp32=True)


def whitened(photos: int, axes: int, seed: int) -> CampusNet:
    """A network of random weights: those of its backbone are always the same, those of its heads are by the seed."""
    torch.manual_seed(0)
    net = CampusNet(NetConfig(backbone=CNN, image_size=64, layout="whitened", pooling="multi", embedding=axes)).eval()
    torch.manual_seed(seed)
    net.whitening_mean.normal_()
    net.whitening_axes.normal_()
    net = net.with_known_photos(torch.randn(photos, len(net.whitening_mean)), torch.ones(256) / 16)
    return net.eval()


@pytest.mark.slow
def test_heads_take_the_place_of_others_in_an_export_as_if_it_were_traced_anew() -> None:
    whole, other, fewer = whitened(30, 20, seed=1), whitened(30, 20, seed=2), whitened(25, 17, seed=3)
    exported = export_fp32(whole)
    assert with_heads_of(exported, other) == export_fp32(other)
    images = np.random.default_rng(0).integers(0, 255, (3, 64, 64, 3), np.uint8)
    answers = OnnxEngine(with_heads_of(exported, fewer), "ONNX Runtime").run(images)
    wanted = run_all(TorchEngine(fewer), images)
    assert answers.embedding is not None
    assert answers.embedding[:, :17] == pytest.approx(wanted.embedding, abs=1e-5)
    assert not answers.embedding[:, 17:].any()
    assert answers.ood_score == pytest.approx(wanted.ood_score, abs=1e-5)


@pytest.mark.slow
def test_a_trained_networks_models_are_judged_as_they_are(tmp_path: Path) -> None:
    task = make_sessions(tmp_path, 3)
    whitened = cross_fitted(make_net(), task)
    held_out = tuple(replace(part, gallery=whitened.gallery) for part in whitened.held_out)
    trained = replace(whitened, held_out=held_out, apart=whitened.net)
    models = onnx_models.onnx_models(trained.net, trained.rows, task, 0)
    ground, params = ground_of(task, trained.rows), PosteriorParams()
    swapped = OnnxModels(models.int8, models.fp32)
    there, back = (parity_apart(trained, one, ground, params, task, 0) for one in (models, swapped))
    assert (there.fp32_mean_m, there.int8_mean_m) == (back.int8_mean_m, back.fp32_mean_m)
