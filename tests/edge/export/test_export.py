from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from PIL import Image
from torch import nn

import edge.__main__
from core.campus.bundle import Bundle
from core.cli.run import run_cli
from core.engines.heads import Heads, run_all
from core.engines.onnx_engine import OnnxEngine
from core.engines.vet import check_model
from core.errors import BundleError, EngineError
from core.network.backbones import backbone_names
from core.network.campus_net import CampusNet
from core.network.net_config import NetConfig
from core.network.onnx_export import fold_batch_norm, half_network, round_weights
from core.network.torch_engine import TorchEngine
from core.network.weights import load_net
from core.photo.preprocess import network_image
from edge.export.export import export
from edge.export.verify import verify
from edge.manifest import FP16, FP32, GOLDEN, MANIFEST, Export, Golden, preprocessing_drift, striped_photo
from edge.parity import head_parity
from tests.bundles import IMAGE_SIZE, make_bundle
from tests.edge.networks import network_bundle, scrambled, small_net


def test_the_folder_holds_what_the_manifest_says(exported: Path, bundle: Bundle) -> None:
    assert {file.name for file in exported.iterdir()} == {FP32, FP16, GOLDEN, MANIFEST}
    manifest = Export.load(exported).manifest
    assert set(manifest.files) == {FP32, FP16, GOLDEN}
    assert manifest.bundle_digest == bundle.manifest.digest
    assert [(spec.name, spec.dtype) for spec in manifest.inputs] == [("image", "uint8")]
    assert manifest.inputs[0].shape[1:] == (IMAGE_SIZE, IMAGE_SIZE, 3)
    assert {spec.name: spec.shape[1] for spec in manifest.outputs} == {
        "offset": 2, "zone_logits": 9, "embedding": 6, "log_spread": 1, "heading": 2,
    }  # fmt: skip
    assert manifest.preprocessing.mean == (127.5, 127.5, 127.5)
    assert manifest.opset == 18


@pytest.mark.parametrize("batch", [1, 3, 16])
def test_both_models_take_any_batch_and_answer_in_float32(exported: Path, batch: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (batch, IMAGE_SIZE, IMAGE_SIZE, 3), np.uint8)
    for name in (FP32, FP16):
        heads = OnnxEngine((exported / name).read_bytes(), name).run(images)
        assert heads.offset.shape == (batch, 2)
        assert {value.dtype for value in vars(heads).values() if value is not None} == {np.dtype(np.float32)}


def test_golden_answers_are_those_of_the_network(
    exported: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_net(monkeypatch)
    golden = Export.load(exported).golden
    truth = run_all(TorchEngine(load_net(bundle)), golden.images)
    assert head_parity(truth, golden.heads, 100.0).offset_max_m < 0.01
    assert len(golden.images) == len(bundle.samples) + 1


def test_half_the_weights_are_half_precision(exported: Path) -> None:
    kinds = {value.name: value.data_type for value in onnx.load(exported / FP16).graph.initializer}
    convolutions = [node for node in onnx.load(exported / FP16).graph.node if node.op_type == "Conv"]
    assert len(convolutions) == 3
    assert all(kinds[node.input[1]] == onnx.TensorProto.FLOAT16 for node in convolutions)


def test_folding_changes_no_answer_and_leaves_no_batch_norm(monkeypatch: pytest.MonkeyPatch) -> None:
    net = small_net(monkeypatch, seed=3)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    folded = fold_batch_norm(net)
    images = torch.randint(0, 256, (4, IMAGE_SIZE, IMAGE_SIZE, 3), dtype=torch.uint8)
    with torch.no_grad():
        for wanted, given in zip(net(images), folded(images), strict=True):
            assert torch.allclose(wanted, given, atol=1e-5)
    assert not [m for m in folded.modules() if isinstance(m, (nn.BatchNorm1d, nn.BatchNorm2d))]
    assert all(
        torch.equal(value, before[name]) for name, value in net.state_dict().items()
    )  # the given net is as it was


def test_a_rounded_network_leaves_half_precision_no_weight_to_round(monkeypatch: pytest.MonkeyPatch) -> None:
    net = small_net(monkeypatch, seed=3)
    images = torch.randint(0, 256, (4, IMAGE_SIZE, IMAGE_SIZE, 3), dtype=torch.uint8)
    with torch.no_grad():
        before = net(images)
        round_weights(net)
        after, folded = net(images), fold_batch_norm(net)
        for one, other, exact in zip(before, after, folded(images), strict=True):
            assert torch.allclose(one, other, atol=5e-3)
            assert torch.allclose(other, exact, atol=1e-5)
    for weights in folded.backbone.parameters():
        assert torch.allclose(weights.half().float(), weights, rtol=1e-6, atol=0)
    for name, weights in net.named_parameters():  # nor does the bundle's float16 safetensors round any
        assert weights.dim() < 2 or torch.equal(weights.half().float(), weights), name


def test_factors_beyond_half_precision_stay_out_of_the_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    net = small_net(monkeypatch)
    assert isinstance(net.backbone, nn.Sequential)
    norm = net.backbone[1]
    assert isinstance(norm, nn.BatchNorm2d)
    norm.weight.data.fill_(1e7)
    round_weights(net)
    assert norm.weight.data[0] == 1e7
    assert all(weights.isfinite().all() for weights in net.parameters())


def test_a_batch_norm_that_cannot_be_folded_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    net = small_net(monkeypatch)
    assert isinstance(net.backbone, nn.Sequential)
    net.backbone[2] = nn.BatchNorm2d(16)  # behind another batch norm instead of a convolution
    with pytest.raises(EngineError, match="cannot fold"):
        fold_batch_norm(net)


@pytest.mark.slow
@pytest.mark.parametrize("backbone", backbone_names())
def test_the_real_backbones_fold_halve_and_pass_every_check(backbone: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = CampusNet(NetConfig(backbone=backbone, zones=9, image_size=64, embedding=6, heading=True))
    with torch.no_grad():
        net.eval().backbone.train()
        for _ in range(6):  # statistics of its own: the sums of an untrained network grow out of half precision's range
            net(torch.randint(0, 256, (8, 64, 64, 3), dtype=torch.uint8))
        net.regressor[4].weight *= 0.02  # type: ignore[assignment]  # what no training has tamed
    done = export(network_bundle(tmp_path / "bundle", net.eval()), tmp_path / "out")
    assert done.manifest.backbone == backbone
    assert [check for check in verify(tmp_path / "out") if check.ok is False] == []
    check_model((tmp_path / "out" / FP16).read_bytes())  # it may be run where a stranger brings it


def test_a_bundle_without_torch_weights_says_what_to_do(tmp_path: Path) -> None:
    plain = Bundle.load(make_bundle(tmp_path / "plain"))
    with pytest.raises(BundleError, match=r"carries no model\.safetensors.*make the bundle again"):
        export(plain, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_weights_of_another_network_are_noticed(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = scrambled(CampusNet(small_net(monkeypatch).config), 5)
    mixed = network_bundle(tmp_path / "mixed", other, model__onnx=bundle.read("model.onnx"))
    with pytest.raises(EngineError, match=r"is not the network of model\.onnx"):
        export(mixed, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_damaged_weights_are_named(bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"model__onnx": bundle.read("model.onnx"), "model__safetensors": b"\x02\0\0\0\0\0\0\0{}"}
    damaged = network_bundle(tmp_path / "damaged", small_net(monkeypatch), **files)
    with pytest.raises(BundleError, match=r"model\.safetensors cannot be read"):
        export(damaged, tmp_path / "out")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema_version": 2}, "schema version 2"),
        ({"scale_m": -1}, "scale_m"),
        ({"surprise": 1}, "surprise"),
        ({"files": {}}, "lists no model.fp16.onnx"),
    ],
)
def test_a_wrong_manifest_names_the_field(exported: Path, change: dict[str, object], said: str) -> None:
    plain = json.loads((exported / MANIFEST).read_text())
    (exported / MANIFEST).write_text(json.dumps(plain | change))
    with pytest.raises(EngineError, match=said):
        Export.load(exported)


def test_a_manifest_that_is_no_json(exported: Path) -> None:
    (exported / MANIFEST).write_bytes(b"\xff\xfe{")
    with pytest.raises(EngineError, match="not JSON"):
        Export.load(exported)


@pytest.mark.parametrize("name", [FP16, GOLDEN])
def test_a_changed_or_missing_file_is_named(exported: Path, name: str) -> None:
    (exported / name).write_bytes((exported / name).read_bytes()[:-1])
    with pytest.raises(EngineError, match=f"{name}: not the file that was exported"):
        Export.load(exported)
    (exported / name).unlink()
    with pytest.raises(EngineError, match=f"{name}: missing"):
        Export.load(exported)


def test_preprocessing_drift_sees_another_filter() -> None:
    photo = striped_photo()
    lanczos, bilinear = (
        np.asarray(Image.fromarray(photo).resize((192, 192), way)) for way in (Image.Resampling.LANCZOS, 2)
    )
    empty = Heads(np.zeros((1, 2), np.float32))
    assert preprocessing_drift(Golden(lanczos[None], empty, photo, network_image(photo, 192)), 192) == 0
    assert preprocessing_drift(Golden(lanczos[None], empty, photo, bilinear), 192) > 1


def test_half_precision_export_leaves_the_given_network_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    net = small_net(monkeypatch)
    half_network(net)
    assert all(value.dtype != torch.float16 for value in net.state_dict().values())


def test_a_network_that_half_precision_ruins_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net = small_net(monkeypatch)
    with torch.no_grad():
        net.regressor[4].weight *= 1e3  # type: ignore[assignment]
    with pytest.raises(EngineError, match="does not survive FP16"):
        export(network_bundle(tmp_path / "wild", net), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_model_of_another_picture_size_is_said_in_one_line(exported: Path) -> None:
    engine = OnnxEngine((exported / FP32).read_bytes(), "ONNX Runtime FP32")
    with pytest.raises(EngineError, match=r"ONNX Runtime FP32 cannot run the model .*make the bundle again") as caught:
        engine.run(np.zeros((1, 32, 32, 3), np.uint8))
    assert "\n" not in str(caught.value)


def test_force_never_replaces_a_folder_that_is_no_export(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    monkeypatch.setattr(sys, "argv", ["edge", "export", str(bundle.path), "--out", str(tmp_path), "--force"])
    assert run_cli(edge.__main__.main) == 2
    assert "no export" in capsys.readouterr().err
    assert (tmp_path / "thesis.txt").read_text() == "years of work"
