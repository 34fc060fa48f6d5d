"""INT8 is judged by photos that neither the network nor its quantisation has seen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.campus.parameters import PosteriorParams
from core.locate.parity import mean_distance_m
from tests.train.bundle.test_held_out import make_net, make_sessions
from train.bundle import onnx_models
from train.bundle.held_out import cross_fitted, largest
from train.bundle.onnx_models import OnnxModels, parity_apart
from train.bundle.parts import ground_of


def test_int8_is_judged_by_a_session_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = make_sessions(tmp_path, 3)
    fitted = cross_fitted(make_net(), task)
    ground, params = ground_of(task, fitted.rows), PosteriorParams()
    calibrated_on = []
    quantize = onnx_models.onnx_models

    def noted(net, rows, *rest):  # type: ignore[no-untyped-def]
        calibrated_on.append(rows)
        return quantize(net, rows, *rest)

    monkeypatch.setattr(onnx_models, "onnx_models", noted)
    parity = parity_apart(fitted, OnnxModels(b"", b""), ground, params, task, 0)

    index = largest(fitted.asked)
    part, asked = fitted.held_out[index], fitted.asked[index]
    assert len(calibrated_on) == 1
    assert not np.isin(calibrated_on[0], asked).any()
    honest_m = mean_distance_m(part.positions_m(ground, params), part.truth_m)
    assert parity.fp32_mean_m == pytest.approx(honest_m, abs=0.1)
    assert parity.int8_mean_m != parity.fp32_mean_m


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
