from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import onnx
import pytest

from core.campus.bundle import Bundle
from core.campus.manifest import Parity
from core.campus.samples import sample_images
from core.engines.onnx_engine import OnnxEngine
from core.errors import CampusError, DatasetError, EngineError
from core.network.onnx_export import prepared_for_int8
from edge.export import quantize as quantize_module
from edge.export.labelled import folder_images, labelled_photos, labelled_samples
from edge.export.quantize import Quantized, installed, quantize, stretches
from tests.bundles import IMAGE_SIZE, make_bundle, photo


def int8(cost: float, bundle: Bundle) -> Quantized:
    parity = Parity(fp32_mean_m=10.0, int8_mean_m=10.0 * (1 + cost), apart_mean_m=1.0)
    return Quantized(bundle.read("model.onnx"), parity, ())


def test_the_backbone_is_quantised_and_the_heads_are_not(bundle: Bundle) -> None:
    model = onnx.load_from_string(quantize(bundle, sample_images(bundle), labelled_samples(bundle), max_cost=100).model)
    made_by = {output: node for node in model.graph.node for output in node.output}
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    assert convolutions
    assert all(made_by[node.input[1]].op_type == "DequantizeLinear" for node in convolutions)
    heads = [node for node in model.graph.node if node.op_type in ("Gemm", "MatMul")]
    assert heads
    assert not [node for node in heads if node.input[1] in made_by]  # their weights are plain


def test_what_quantises_badly_is_found_and_stays_in_floating_point(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = prepared_for_int8(bundle.read("model.onnx"))
    convolution = [node.name for node in onnx.load_from_string(prepared).graph.node if node.op_type == "Conv"][1]
    culprit = next(stretch for stretch in stretches(prepared) if convolution in stretch)
    plain = quantize_module._Measure.quantized

    def measured(self: quantize_module._Measure, model: bytes, kept: tuple[str, ...]) -> Quantized:
        done = plain(self, model, kept)
        good = set(culprit) <= set(kept)
        parity = Parity(fp32_mean_m=10.0, int8_mean_m=10.1 if good else 14.0, apart_mean_m=0.2 if good else 4.0)
        return Quantized(done.model, parity, kept)

    monkeypatch.setattr(quantize_module._Measure, "quantized", measured)
    done = quantize(bundle, sample_images(bundle), labelled_samples(bundle), max_cost=0.05)
    assert done.kept_float == culprit
    model = onnx.load_from_string(done.model)
    plain_weights = {value.name for value in model.graph.initializer if value.data_type == onnx.TensorProto.FLOAT}
    left = [node.name for node in model.graph.node if node.op_type == "Conv" and node.input[1] in plain_weights]
    assert left == [name for name in culprit if name == convolution]


def test_stretches_are_every_node_once_in_order(bundle: Bundle) -> None:
    prepared = prepared_for_int8(bundle.read("model.onnx"))
    names = [name for stretch in stretches(prepared) for name in stretch]
    known = [node.name for node in onnx.load_from_string(prepared).graph.node]
    assert len(names) == len(set(names)) >= 3
    assert [known.index(name) for name in names] == sorted(known.index(name) for name in names)


def test_a_cheap_model_is_installed_and_used(bundle: Bundle, tmp_path: Path) -> None:
    done = quantize(bundle, sample_images(bundle), labelled_samples(bundle), max_cost=100)
    made = installed(bundle, done, tmp_path / "out", max_cost=100)
    assert made.manifest.cpu_model == "model.int8.onnx"
    assert made.manifest.parity == done.parity
    assert made.read("gallery.npz") == bundle.read("gallery.npz")
    image = sample_images(bundle)[:1]
    assert np.array_equal(
        OnnxEngine(made.read("model.int8.onnx"), "").run(image).offset, OnnxEngine(done.model, "").run(image).offset
    )


def test_a_dear_model_is_refused_and_nothing_is_written(bundle: Bundle, tmp_path: Path) -> None:
    assert installed(bundle, int8(0.05, bundle), tmp_path / "in", max_cost=0.06)
    with pytest.raises(EngineError, match=r"INT8 costs 7\.0%.*more than the 6\.0% allowed"):
        installed(bundle, int8(0.07, bundle), tmp_path / "out", max_cost=0.06)
    assert not (tmp_path / "out").exists()


def test_the_cost_is_a_share_of_the_error_of_fp32(bundle: Bundle) -> None:
    assert int8(0.25, bundle).cost == pytest.approx(0.25)
    assert int8(-0.1, bundle).cost == pytest.approx(-0.1)


def command(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    quantize_module.add_arguments(parser)
    return quantize_module.main(parser.parse_args(arguments))


def test_the_command_measures_on_a_labelled_folder(
    bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "one.jpg").write_bytes(photo())
    (tmp_path / "gt.csv").write_text("image_name,lat,lon\none.jpg,47.0,8.4\n")
    labels = ("--labels", str(tmp_path / "gt.csv"), "--images", str(tmp_path))
    assert command(str(bundle.path), "--photos", str(tmp_path), *labels, "--max-cost", "100") == 0
    said = capsys.readouterr().out
    assert "calibrated on 1 photos, measured on 1 photos of" in said
    assert "INT8  mean error" in said
    with pytest.raises(EngineError, match=r"costs .* more than the -100\.0% allowed"):
        command(str(bundle.path), "--photos", str(tmp_path), *labels, "--max-cost", "-1")


def test_bad_command_lines(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="go together"):
        command(str(bundle.path), "--labels", "gt.csv")
    with pytest.raises(CampusError, match="exists already"):
        command(str(bundle.path), "--out", str(bundle.path))
    with pytest.raises(DatasetError, match="holds no photos"):
        command(str(bundle.path), "--photos", str(tmp_path))
    with pytest.raises(DatasetError, match="not a folder"):
        folder_images(tmp_path / "absent", IMAGE_SIZE, 4)


def test_a_label_without_its_photo_is_named(tmp_path: Path) -> None:
    (tmp_path / "gt.csv").write_text("image_name,lat,lon\none.jpg,47.0,8.4\n")
    with pytest.raises(DatasetError, match=r"one\.jpg: named in .*gt\.csv but not there"):
        labelled_photos(tmp_path / "gt.csv", tmp_path, IMAGE_SIZE)


def test_the_samples_of_a_bundle_carry_their_positions(tmp_path: Path) -> None:
    field = Bundle.load(make_bundle(tmp_path / "field"))
    labelled = labelled_samples(field)
    assert len(labelled) == 2
    local = field.manifest.frame.to_local(*labelled.latlon.T)
    assert np.allclose(local, [[50, -34], [-52, 68]], atol=0.5)
    with pytest.raises(DatasetError, match="carries no sample photos"):
        labelled_samples(Bundle.load(make_bundle(tmp_path / "bare", samples=False)))
