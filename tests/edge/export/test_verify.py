"""A corpus of exports that are broken on purpose: each must fail, and at the check that names its fault."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from core.campus.bundle import Bundle
from core.errors import EngineError
from core.network.onnx_export import export_fp32
from edge.export import verify as verify_module
from edge.export.graph_checks import Check
from edge.export.rtx_gate import check_with_tensorrt
from edge.export.verify import verify
from edge.manifest import FP16, FP32, GOLDEN, MANIFEST, Export, Golden, Profile, sha256
from tests.bundles import IMAGE_SIZE
from tests.edge.networks import small_net

Break = Callable[[onnx.ModelProto], None]


def replaced(folder: Path, name: str, data: bytes) -> None:
    """Put other bytes in the place of a file, the manifest's hash with them, as a faulty exporter would."""
    (folder / name).write_bytes(data)
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["files"][name] = sha256(data)
    (folder / MANIFEST).write_text(json.dumps(manifest))


def failures(folder: Path, bundle: Bundle | None = None) -> dict[str, str]:
    return {check.name: check.detail for check in verify(folder, bundle) if check.ok is False}


def broken(folder: Path, change: Break, name: str = FP16) -> dict[str, str]:
    model = onnx.load(folder / name)
    change(model)
    replaced(folder, name, model.SerializeToString())
    return failures(folder)


def convolution(model: onnx.ModelProto) -> onnx.NodeProto:
    return next(node for node in model.graph.node if node.op_type == "Conv")


def initializer(model: onnx.ModelProto, name: str) -> onnx.TensorProto:
    return next(value for value in model.graph.initializer if value.name == name)


def test_a_whole_export_passes_every_check(exported: Path, bundle: Bundle) -> None:
    checks = verify(exported, bundle)
    assert [check for check in checks if check.ok is not True] == []
    assert {"fp16: TensorRT parse and build", "fp16: fixes", "preprocessing"} <= {check.name for check in checks}


def mixed_types(model: onnx.ModelProto) -> None:
    weight = initializer(model, convolution(model).input[1])
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight).astype(np.float32), weight.name))


def old_opset(model: onnx.ModelProto) -> None:
    model.opset_import[0].version = 17


def new_opset(model: onnx.ModelProto) -> None:
    model.opset_import[0].version = 21


def missing_output(model: onnx.ModelProto) -> None:
    del model.graph.output[2]


def no_offset(model: onnx.ModelProto) -> None:
    del model.graph.output[0]


def custom_operator(model: onnx.ModelProto) -> None:
    model.opset_import.append(helper.make_opsetid("acme", 1))
    last = model.graph.output[0].name
    producer = next(node for node in model.graph.node if last in node.output)
    producer.output[list(producer.output).index(last)] = "plain"
    model.graph.node.append(helper.make_node("Polish", ["plain"], [last], domain="acme"))


def transposed_bytes(model: onnx.ModelProto) -> None:
    cast = next(node for node in model.graph.node if "image" in node.input)
    swap = [helper.make_node("Transpose", ["image"], ["swapped"], perm=[0, 2, 1, 3], name="swap")]
    cast.input[list(cast.input).index("image")] = "swapped"
    model.graph.node.insert(0, swap[0])


def fixed_batch(model: onnx.ModelProto) -> None:
    for value in [*model.graph.input, *model.graph.output]:
        value.type.tensor_type.shape.dim[0].dim_value = 1


def half_output(model: onnx.ModelProto) -> None:
    last = model.graph.output[0].name
    producer = next(node for node in model.graph.node if last in node.output)
    producer.output[list(producer.output).index(last)] = "full"
    model.graph.node.append(helper.make_node("Cast", ["full"], [last], to=TensorProto.FLOAT16))
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT16


def pooled_in_half(model: onnx.ModelProto) -> None:
    casts = [node for node in model.graph.node if node.op_type == "Cast"]
    into, out = (next(n for n in casts if n.attribute[0].i == kind and n.input[0] != "image") for kind in (10, 1))
    pool = next(node for node in model.graph.node if out.output[0] in node.input)
    assert into.output[0] != out.output[0]
    pool.input[0], out.input[0], out.output[0], pool.output[0] = out.input[0], "pooled", pool.output[0], "pooled"
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in model.graph.node if node != out]
    nodes.insert(1 + next(i for i, node in enumerate(nodes) if "pooled" in node.output), out)
    model.graph.ClearField("node")
    model.graph.node.extend(nodes)


def island(model: onnx.ModelProto) -> None:
    """A convolution's input goes through FP32 and back."""
    last = [node for node in model.graph.node if node.op_type == "Conv"][-1]
    there = helper.make_node("Cast", [last.input[0]], ["there"], to=TensorProto.FLOAT)
    back = helper.make_node("Cast", ["there"], ["back"], to=TensorProto.FLOAT16)
    last.input[0] = "back"
    at = list(model.graph.node).index(last)
    model.graph.node.insert(at, there)
    model.graph.node.insert(at + 1, back)


def early_exit(model: onnx.ModelProto) -> None:
    """What a convolution takes leaves half precision as well."""
    last = [node for node in model.graph.node if node.op_type == "Conv"][-1]
    out = helper.make_node("Cast", [last.input[0]], ["out"], to=TensorProto.FLOAT)
    model.graph.node.insert(list(model.graph.node).index(last), out)


@pytest.mark.parametrize(
    ("change", "check", "said"),
    [
        (early_exit, "fp16: types", "leaves FP16 and goes on in it"),
        (island, "fp16: types", "2 casts into FP16 and 2 out of it"),
        (pooled_in_half, "fp16: types", "ReduceMean is float16"),
        (mixed_types, "fp16: ONNX checker", "elem type"),
        (old_opset, "fp16: opset and operators", "opset 17"),
        (new_opset, "fp16: opset and operators", "opset 21"),
        (missing_output, "fp16: inputs and outputs", "output embedding is missing"),
        (no_offset, "fp16: inputs and outputs", "output offset is missing"),
        (custom_operator, "fp16: opset and operators", "acme.Polish"),
        (transposed_bytes, "fp16: types", "bytes are transposed"),
        (fixed_batch, "fp16: inputs and outputs", "fixed batch of 1"),
        (half_output, "fp16: inputs and outputs", "offset is float16"),
    ],
    ids=lambda value: value.__name__ if callable(value) else None,
)
def test_a_broken_graph_fails_where_its_fault_is(exported: Path, change: Break, check: str, said: str) -> None:
    found = broken(exported, change)
    assert said in found.get(check, f"{check} passed; failed: {found}")


def changed_mean(model: onnx.ModelProto) -> None:
    subtract = next(node for node in model.graph.node if node.op_type == "Sub")
    mean = initializer(model, subtract.input[1])
    mean.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(mean) + np.float32(5), mean.name))


@pytest.mark.parametrize("name", [FP32, FP16])
def test_a_changed_normalisation_shows_in_the_golden_answers(exported: Path, name: str) -> None:
    label = "fp32" if name == FP32 else "fp16"
    assert list(broken(exported, changed_mean, name)) == [f"{label}: golden answers"]


def test_another_way_of_shrinking_photos_shows(exported: Path) -> None:
    golden = Export.load(exported).golden
    shifted = np.roll(golden.photo_image, 1, axis=1)
    replaced(exported, GOLDEN, Golden(golden.images, golden.heads, golden.photo, shifted).to_bytes())
    assert "preprocessing" in failures(exported)


def test_an_unfolded_batch_norm_shows(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = onnx.load_from_string(export_fp32(small_net(monkeypatch)))
    if not any(node.op_type == "BatchNormalization" for node in model.graph.node):  # the exporter folded it itself
        weight = convolution(model).output[0]
        channels = numpy_helper.to_array(initializer(model, convolution(model).input[1])).shape[0]
        for name, value in (("ones", 1.0), ("zeros", 0.0)):
            model.graph.initializer.append(numpy_helper.from_array(np.full(channels, value, np.float32), name))
        convolution(model).output[0] = "raw"
        node = helper.make_node("BatchNormalization", ["raw", "ones", "zeros", "zeros", "ones"], [weight], name="norm")
        model.graph.node.insert(1 + list(model.graph.node).index(convolution(model)), node)
    replaced(exported, FP32, model.SerializeToString())
    assert "batch norm of its own" in failures(exported)["fp32: batch norm folded, weights inside"]


def test_a_full_precision_model_in_the_place_of_the_half_one(exported: Path) -> None:
    replaced(exported, FP16, (exported / FP32).read_bytes())
    assert "in float" in failures(exported)["fp16: types"]


def test_no_onnx_at_all(exported: Path) -> None:
    replaced(exported, FP16, b"not a model")
    assert {"fp16: ONNX checker", "fp16: golden answers"} <= set(failures(exported))


def test_a_bundle_that_the_export_is_not_of(exported: Path, tmp_path: Path) -> None:
    from tests.bundles import make_bundle

    other = Bundle.load(make_bundle(tmp_path / "other"))
    assert "from another bundle" in failures(exported, other)["fp16: fixes"]


def gate(model: onnx.ModelProto) -> Check:
    pytest.importorskip("tensorrt_rtx", reason="TensorRT for RTX is not installed")
    return check_with_tensorrt("fp16", model.SerializeToString(), Profile().shapes(IMAGE_SIZE))[0]


def test_tensorrt_accepts_the_export(exported: Path) -> None:
    check = gate(onnx.load(exported / FP16))
    assert check.ok
    assert "3 FP16 convolutions" in check.detail


@pytest.mark.parametrize("change", [mixed_types, custom_operator, transposed_bytes, half_output])
def test_tensorrt_itself_refuses_the_faults(exported: Path, change: Break) -> None:
    model = onnx.load(exported / FP16)
    change(model)
    assert gate(model).ok is False


def test_tensorrt_refuses_what_is_not_half_precision(exported: Path) -> None:
    check = gate(onnx.load(exported / FP32))
    assert check.ok is False
    assert "is not FP16" in check.detail


def test_tensorrt_refuses_the_cpu_int8_model(bundle: Bundle) -> None:
    from core.network.onnx_export import quantize_int8

    images = np.random.default_rng(0).integers(0, 256, (4, IMAGE_SIZE, IMAGE_SIZE, 3), np.uint8)
    model = onnx.load_from_string(quantize_int8(bundle.read("model.onnx"), images))
    assert gate(model).ok is False  # asymmetric uint8 activations are for CPUs


def test_without_tensorrt_the_gate_is_skipped_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tensorrt_rtx", None)
    check = check_with_tensorrt("fp16", b"", Profile().shapes(IMAGE_SIZE))[0]
    assert check.ok is None
    assert "pip install -r requirements-dev.txt" in check.detail


def test_the_command_prints_every_check_and_fails_on_one(exported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import argparse

    args = argparse.Namespace(folder=exported, bundle=None)
    assert verify_module.main(args) == 0
    assert "FAIL" not in capsys.readouterr().out
    model = onnx.load(exported / FP16)
    changed_mean(model)
    replaced(exported, FP16, model.SerializeToString())
    with pytest.raises(EngineError, match=r"1 checks failed \(fp16: golden answers\)"):
        verify_module.main(args)
    assert "FAIL  fp16: golden answers" in capsys.readouterr().out
