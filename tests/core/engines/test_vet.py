"""Which networks may be run: all that this program exports, and nothing that reads, loops, or takes the machine."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from core.campus.bundle import Bundle
from core.engines.onnx_engine import OnnxEngine
from core.engines.onnx_file import MAX_FIELDS, ModelRefused, _Reader, read_graph
from core.engines.onnx_shapes import OPERATORS, Known, outputs_of
from core.engines.vet import check_model
from core.errors import EngineError
from core.locate.localizer import DEMO_BUNDLE
from tests.bundles import make_bundle

DEMO_MODELS = ("model.onnx", "model.int8.onnx")


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The network of the tests' campus."""
    return Bundle.load(make_bundle(tmp_path_factory.mktemp("vet") / "field")).read("model.onnx")


def refusal(model: bytes) -> str:
    """Why a model is refused, in the one line that people get."""
    with pytest.raises(EngineError) as caught:
        check_model(model)
    text = str(caught.value)
    assert text.startswith("the model is refused: ")
    assert len(text.splitlines()) == 1
    assert len(text) < 300
    return text


@pytest.mark.parametrize("name", DEMO_MODELS)
def test_the_demo_campus_may_be_run(name: str) -> None:
    check_model(Bundle.load(DEMO_BUNDLE).read(name))


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("name", [*DEMO_MODELS, "plain"])
def test_shapes_are_those_that_the_runtime_computes(name: str, batch: int, plain: bytes) -> None:
    data = plain if name == "plain" else Bundle.load(DEMO_BUNDLE).read(name)
    graph = read_graph(data)
    shape = (batch, *(int(side) for side in graph.inputs[0].shape[1:]))
    known = {tensor.name: Known(tensor.shape, tensor.values) for tensor in graph.tensors} | {"image": Known(shape)}
    for node in graph.nodes:
        outputs = outputs_of(node, [known[name] if name else None for name in node.inputs])
        known |= dict(zip(node.outputs, outputs, strict=True))

    model = onnx.load_from_string(data)
    names = [name for node in graph.nodes for name in node.outputs]
    have = {output.name for output in model.graph.output}
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in have)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    found = session.run(names, {"image": np.zeros(shape, np.uint8)})
    assert {name: known[name].shape for name in names} == {
        name: value.shape for name, value in zip(names, found, strict=True)
    }
    for name, value in zip(names, found, strict=True):
        if (values := known[name].values) is not None:
            assert np.array_equal(values, value)


# --- what may not be run ---------------------------------------------------------------------------------------

Change = Callable[[Any], None]


def changed(model: bytes, change: Change) -> bytes:
    parsed = onnx.load_from_string(model)
    change(parsed)
    return bytes(parsed.SerializeToString())


def tensor(model: Any, name: str) -> Any:
    return next(tensor for tensor in model.graph.initializer if tensor.name == name)


def constant(model: Any, name: str, values: Any, dtype: type = np.int64) -> None:
    model.graph.initializer.append(numpy_helper.from_array(np.array(values, dtype), name))


def first(model: Any, operator: str, inputs: list[str], **attributes: Any) -> None:
    """Put a node before all others, whose output nobody uses: it is run all the same."""
    model.graph.node.insert(0, helper.make_node(operator, inputs, ["extra"], **attributes))


def body() -> Any:
    """The body of a Loop, which says to go on for ever."""
    return helper.make_graph(
        [helper.make_node("Identity", ["going"], ["again"])],
        "body",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("going", TensorProto.BOOL, []),
        ],
        [helper.make_tensor_value_info("again", TensorProto.BOOL, [])],
    )


def endless_loop(model: Any) -> None:
    constant(model, "true", True, np.bool_)
    model.graph.node.insert(0, helper.make_node("Loop", ["", "true"], [], body=body()))


def branch(model: Any) -> None:
    constant(model, "true", True, np.bool_)
    model.graph.node.insert(0, helper.make_node("If", ["true"], [], then_branch=body(), else_branch=body()))


def subgraph_in_a_plain_operator(model: Any) -> None:
    model.graph.node[0].attribute.append(helper.make_attribute("more", body()))


def external(location: str) -> Change:
    def change(model: Any) -> None:
        half = tensor(model, "half")
        half.ClearField("raw_data")
        half.data_location = TensorProto.EXTERNAL
        half.external_data.add(key="location", value=location)

    return change


def external_by_name_alone(model: Any) -> None:
    tensor(model, "half").external_data.add(key="location", value="secret")


def external_in_a_constant(model: Any) -> None:
    value = TensorProto(dims=[1], data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
    value.external_data.add(key="location", value="secret")
    model.graph.node.insert(0, helper.make_node("Constant", [], ["extra"], value=value))


def without_data(model: Any) -> None:
    tensor(model, "half").ClearField("raw_data")


def short_data(model: Any) -> None:
    tensor(model, "centres").raw_data = tensor(model, "centres").raw_data[:-4]


def gigabytes_of_zeros(model: Any) -> None:
    constant(model, "size", [40_000, 40_000])
    first(model, "ConstantOfShape", ["size"])


def expanded(model: Any) -> None:
    constant(model, "size", [40_000, 40_000])
    first(model, "Expand", ["half", "size"])


def counted(model: Any) -> None:
    constant(model, "start", 0)
    constant(model, "end", 10**10)
    constant(model, "step", 1)
    first(model, "Range", ["start", "end", "step"])


def outer_product(model: Any) -> None:
    for name, shape in (("row", [1, 16384]), ("column", [16384, 1])):
        model.graph.initializer.append(numpy_helper.from_array(np.zeros(shape, np.float32), name))
    first(model, "MatMul", ["column", "row"])


def blown_up_picture(model: Any) -> None:
    constant(model, "scales", [1, 200, 200, 1], np.float32)
    first(model, "Resize", ["image", "", "scales"], mode="nearest")


def padded_picture(model: Any) -> None:
    model.graph.initializer.append(numpy_helper.from_array(np.zeros((1, IMAGE, 1, 1), np.float32), "kernel"))
    model.graph.node.insert(0, helper.make_node("Cast", ["image"], ["numbers"], to=TensorProto.FLOAT))
    pads = [20_000] * 4
    model.graph.node.insert(1, helper.make_node("Conv", ["numbers", "kernel"], ["extra"], pads=pads))


def each_photo_with_each(model: Any) -> None:
    """Little of one photo, and of a batch the square of it."""
    first(model, "MatMul", ["pixels", "colours"])
    for name, sides in (("pixels", [-1, 3]), ("colours", [3, -1])):
        constant(model, f"{name} sides", sides)
        model.graph.node.insert(0, helper.make_node("Reshape", ["numbers", f"{name} sides"], [name]))
    model.graph.node.insert(0, helper.make_node("Cast", ["image"], ["numbers"], to=TensorProto.FLOAT))


def held_until_later(model: Any) -> None:
    """Tensors of which each is small enough, and that are all used after the last of them."""
    constant(model, "size", [7000, 7000])
    for index in range(5):
        use = helper.make_node("ReduceMax", [f"held{index}"], [f"used{index}"], keepdims=0)
        model.graph.node.insert(index, use)
        model.graph.node.insert(0, helper.make_node("Expand", ["half", "size"], [f"held{index}"]))


IMAGE = 64


def hours_of_work(model: Any) -> None:
    model.graph.initializer.append(numpy_helper.from_array(np.zeros((2048, 2048), np.float32), "square"))
    before = "square"
    for index in range(200):
        model.graph.node.insert(index, helper.make_node("MatMul", [before, "square"], [f"power{index}"]))
        before = f"power{index}"


def shape_of_the_picture(model: Any) -> None:
    nodes = [
        helper.make_node("Cast", ["image"], ["whole"], to=TensorProto.INT64),
        helper.make_node("ReduceMax", ["whole"], ["most"], keepdims=0),
        helper.make_node("Expand", ["half", "most"], ["extra"]),
    ]
    for node in reversed(nodes):
        model.graph.node.insert(0, node)


def sides_unknown(model: Any) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_param = "height"


def sequence_input(model: Any) -> None:
    kind = helper.make_sequence_type_proto(helper.make_tensor_type_proto(TensorProto.FLOAT, [1]))
    model.graph.input.append(helper.make_value_info("list", kind))


def string_input(model: Any) -> None:
    model.graph.input.append(helper.make_tensor_value_info("text", TensorProto.STRING, [1]))


def string_tensor(model: Any) -> None:
    model.graph.initializer.append(helper.make_tensor("text", TensorProto.STRING, [1], [b"a"]))


def sparse_tensor(model: Any) -> None:
    values = helper.make_tensor("values", TensorProto.FLOAT, [1], [1.0])
    indices = helper.make_tensor("indices", TensorProto.INT64, [1], [3])
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [10**9]))


def function(model: Any) -> None:
    node = helper.make_node("Add", ["a", "a"], ["b"])
    opset = helper.make_opsetid("", 18)
    model.functions.append(helper.make_function("", "Abs", ["a"], ["b"], [node], [opset]))


def custom_domain(model: Any) -> None:
    model.graph.node[0].domain = "com.microsoft"


def old_operators(model: Any) -> None:
    model.opset_import[0].version = 11


def no_operators(model: Any) -> None:
    del model.opset_import[:]


def backwards(model: Any) -> None:
    nodes = list(model.graph.node)[::-1]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def twice_the_same_name(model: Any) -> None:
    model.graph.node.add().CopyFrom(model.graph.node[0])


def two_attributes(model: Any) -> None:
    cast = next(node for node in model.graph.node if node.op_type == "Cast")
    cast.attribute.add().CopyFrom(cast.attribute[0])


def missing_output(model: Any) -> None:
    model.graph.output[0].name = "nowhere"


def many_sides(model: Any) -> None:
    constant(model, "size", [1] * 60)
    first(model, "Reshape", ["half", "size"])


def negative_stride(model: Any) -> None:
    model.graph.initializer.append(numpy_helper.from_array(np.zeros((1, IMAGE, 1, 1), np.float32), "kernel"))
    model.graph.node.insert(0, helper.make_node("Conv", ["image", "kernel"], ["extra"], strides=[-1, 0]))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (endless_loop, "a graph within an operator"),
        (branch, "a graph within an operator"),
        (subgraph_in_a_plain_operator, "a graph within an operator"),
        (external("/etc/hostname"), "outside the file"),
        (external("secret"), "outside the file"),
        (external_by_name_alone, "outside the file"),
        (external_in_a_constant, "outside the file"),
        (without_data, "does not lie in the file"),
        (short_data, "larger or smaller than it says"),
        (gigabytes_of_zeros, "ConstantOfShape"),
        (expanded, "more than 768 MB"),
        (counted, "more than 768 MB"),
        (outer_product, "more than 768 MB"),
        (blown_up_picture, "more than 768 MB"),
        (padded_picture, "more than 768 MB"),
        (each_photo_with_each, "more than 768 MB"),
        (held_until_later, "more than 768 MB"),
        (hours_of_work, "computes longer"),
        (shape_of_the_picture, "Expand gives is not known"),
        (sides_unknown, "not fixed"),
        (sequence_input, "a sequence"),
        (string_input, "no plain numbers"),
        (string_tensor, "strings"),
        (sparse_tensor, "sparse tensors"),
        (function, "functions"),
        (custom_domain, "of the domain com.microsoft"),
        (old_operators, "version 11"),
        (no_operators, "none of ONNX's own"),
        (backwards, "which is not there"),
        (twice_the_same_name, "two tensors of one name"),
        (two_attributes, "two attributes of one name"),
        (missing_output, "an output is not there"),
        (many_sides, "an absurd shape"),
        (negative_stride, "is not known beforehand"),
    ],
    ids=lambda value: value.__name__ if callable(value) else None,
)
def test_a_hostile_network_is_refused_before_any_runtime_sees_it(plain: bytes, change: Change, said: str) -> None:
    assert said in refusal(changed(plain, change))


@pytest.mark.parametrize(
    "operator", ["Loop", "If", "Scan", "ConstantOfShape", "NonZero", "Tile", "OneHot", "RandomNormal"]
)
def test_operators_of_unknown_size_or_course_are_not_listed(operator: str) -> None:
    assert operator not in OPERATORS


def test_what_the_runtime_would_read_otherwise_is_refused(plain: bytes) -> None:
    # Protobuf's readers put two graphs together, so the second adds nodes to a first that looks harmless.
    graph = plain[plain.index(b"\x3a") :]
    assert "two of graph" in refusal(plain + graph)
    # A flatbuffer of ONNX Runtime's own is known by four bytes, which a protobuf may have there too.
    assert "own format" in refusal(b"\x08\x0a\x12\x40ORTM" + bytes(60) + plain)


def test_an_engine_is_not_made_of_a_refused_model(
    plain: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret").write_bytes(np.full(1, 7, np.float32).tobytes())

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("the runtime saw it")

    monkeypatch.setattr(ort, "InferenceSession", never)
    for change in (external("secret"), endless_loop):
        with pytest.raises(EngineError, match="refused"):
            OnnxEngine(changed(plain, change), "test")


def test_a_file_cut_into_millions_of_pieces_is_not_read_to_its_end(plain: bytes) -> None:
    assert "many pieces" in refusal(plain + b"\x72\x00" * (MAX_FIELDS + 1))  # empty metadata
    with pytest.raises(ModelRefused, match="many pieces"):  # numbers that stand packed in one field
        _Reader(plain)._varints([memoryview(bytes(MAX_FIELDS + 1))])


def test_no_damage_ends_in_anything_but_a_refusal(plain: bytes) -> None:
    rng = random.Random(0)
    for cut in range(0, len(plain), 7):
        with pytest.raises(EngineError):
            check_model(plain[:cut])
    refused = 0
    for _ in range(1500):
        damaged = bytearray(plain)
        for _ in range(rng.randint(1, 4)):
            damaged[rng.randrange(len(damaged))] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        try:
            check_model(bytes(damaged))
        except EngineError:
            refused += 1
    assert refused > 300
