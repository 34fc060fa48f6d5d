"""Checks of an exported ONNX graph that need no GPU: opset, operators, types, names, folded batch norms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import onnx
from onnx import TensorProto, shape_inference

from core.engines.vet import OPSETS

if TYPE_CHECKING:
    from edge.manifest import Manifest

NEEDED_OUTPUTS = frozenset({"offset"})
AFTER_BACKBONE = frozenset({"ReduceMean", "GlobalAveragePool", "Gemm", "MatMul", "ReduceL2"})  # makes no map of it


@dataclass(frozen=True)
class Check:
    """One thing looked at. `ok` is None where it could not be looked at here, and `detail` says why."""

    name: str
    ok: bool | None
    detail: str


def check_graph(model: bytes, manifest: Manifest, half: bool) -> list[Check]:
    """Every check of one model; `half`: its convolutions are to be FP16. A broken file gives a failed check."""
    label = "fp16" if half else "fp32"
    checks: list[Check] = []

    def look(name: str, problems: Iterator[str]) -> None:
        found = list(problems)
        checks.append(Check(f"{label}: {name}", not found, "; ".join(found[:3]) or "as they should be"))

    try:
        graph = onnx.load_from_string(model)
        look("opset and operators", _opset(graph, manifest))  # first: the wrong opset confuses the checker
        onnx.checker.check_model(graph, full_check=True)
        graph = shape_inference.infer_shapes(graph, strict_mode=True, data_prop=True)
    except Exception as error:  # protobuf's, checker's and inference's errors have no common base
        return [*checks, Check(f"{label}: ONNX checker", False, " ".join(str(error).split())[:300])]
    checks.append(Check(f"{label}: ONNX checker", True, f"{len(graph.graph.node)} nodes"))
    look("inputs and outputs", _ports(graph, manifest))
    look("types", _types(graph, half))
    look("batch norm folded, weights inside", _weights(graph))
    return checks


def _opset(graph: onnx.ModelProto, manifest: Manifest) -> Iterator[str]:
    for entry in graph.opset_import:
        if entry.domain in ("", "ai.onnx") and entry.version not in OPSETS:
            yield f"opset {entry.version} is not one of {OPSETS.start} to {OPSETS.stop - 1}"
        if entry.domain in ("", "ai.onnx") and entry.version != manifest.opset:
            yield f"opset {entry.version}, the manifest says {manifest.opset}"
    for node in graph.graph.node:
        if node.domain not in ("", "ai.onnx"):
            yield f"custom operator {node.domain}.{node.op_type}"
    if graph.functions:
        yield f"function {graph.functions[0].name} of its own"


def _ports(graph: onnx.ModelProto, manifest: Manifest) -> Iterator[str]:
    from edge.export.export import tensor_spec

    for kind, wanted, values in (
        ("input", manifest.inputs, graph.graph.input),
        ("output", manifest.outputs, graph.graph.output),
    ):
        given = tuple(tensor_spec(value) for value in values)
        if given != wanted:
            missing = [spec.name for spec in wanted if spec.name not in {other.name for other in given}]
            yield f"{kind} {missing[0]} is missing" if missing else f"{kind}s differ from the manifest"
        for spec in given:
            if spec.dtype != ("uint8" if kind == "input" else "float32"):
                yield f"{kind} {spec.name} is {spec.dtype}"
            if not isinstance(spec.shape[0], str):
                yield f"{kind} {spec.name} has a fixed batch of {spec.shape[0]}"
    names = {value.name for value in graph.graph.output}
    for name in NEEDED_OUTPUTS - names:
        yield f"output {name} is missing"
    size = manifest.preprocessing.size
    if [spec.shape[1:] for spec in manifest.inputs] != [(size, size, 3)]:
        yield f"the input is not one picture of {size} x {size} x 3"


def _types(graph: onnx.ModelProto, half: bool) -> Iterator[str]:
    """Convolutions in the wanted precision; pooling and heads in FP32; no transpose of bytes.

    A backbone's own matrix products, as in attention, may be FP16: all that is lies between one cast into FP16 and
    those out of it, one of each backbone, and what the latter take are the backbone's maps, not yet pooled.
    """
    kinds = {value.name: value.type.tensor_type.elem_type for value in graph.graph.value_info}
    kinds |= {value.name: value.type.tensor_type.elem_type for value in [*graph.graph.input, *graph.graph.output]}
    kinds |= {value.name: value.data_type for value in graph.graph.initializer}
    wanted = TensorProto.FLOAT16 if half else TensorProto.FLOAT
    convolutions = [node for node in graph.graph.node if node.op_type == "Conv"]
    if not convolutions:
        yield "no convolution"
    for node in convolutions:
        if wrong := [name for name in node.input if name and kinds.get(name) != wanted]:
            yield f"{node.name or 'a convolution'} takes {wrong[0]} in {_kind(kinds.get(wrong[0]))}"
    for node in graph.graph.node:
        if node.op_type == "Transpose" and kinds.get(node.input[0]) == TensorProto.UINT8:
            yield "bytes are transposed before they are cast, which TensorRT refuses"
    casts = [node for node in graph.graph.node if node.op_type == "Cast" and _crosses_half(node, kinds)]
    into = sum(_is_half(node.output[0], kinds) for node in casts)
    if half and (into != 1 or len(casts) < 2):
        yield f"{into} casts into FP16 and {len(casts) - into} out of it, where one into it belongs before all others"
    made_by = {name: node.op_type for node in graph.graph.node for name in node.output}
    read = Counter(name for node in graph.graph.node for name in node.input)
    for node in casts:
        if half and _is_half(node.input[0], kinds) and read[node.input[0]] > 1:
            yield f"{node.input[0]} leaves FP16 and goes on in it: a cast out of it belongs at a backbone's end"
        if (maker := made_by.get(node.input[0])) in AFTER_BACKBONE and _is_half(node.input[0], kinds):
            yield f"{maker} is float16: pooling and heads belong behind the cast"


def _crosses_half(node: onnx.NodeProto, kinds: dict[str, int]) -> bool:
    return _is_half(node.input[0], kinds) or _is_half(node.output[0], kinds)


def _is_half(name: str, kinds: dict[str, int]) -> bool:
    return bool(kinds.get(name) == TensorProto.FLOAT16)


def _kind(elem_type: int | None) -> str:
    return TensorProto.DataType.Name(elem_type).lower() if elem_type else "an unknown type"


def _weights(graph: onnx.ModelProto) -> Iterator[str]:
    for node in graph.graph.node:
        if node.op_type == "BatchNormalization":
            yield f"{node.name} is a batch norm of its own"
    for value in graph.graph.initializer:
        if value.data_location == TensorProto.EXTERNAL:
            yield f"{value.name} lies in another file"
