"""Whether a stranger's network may be run: it is read as data and refused before any runtime sees it.

A model is a plain graph of tensors that lie in its file, of operators that this program's own exports use, whose every
size is known beforehand, and neither its memory nor its work is more than a network of a campus can need.
"""

from __future__ import annotations

import math

from core.engines.onnx_file import Graph, ModelRefused, read_graph
from core.engines.onnx_shapes import Known, outputs_of, work_of
from core.errors import EngineError

OPSETS = range(18, 21)  # torch exports 18 or later; TensorRT 10's older parsers stop at 20
MAX_BATCH = 16  # the most photos that are run at once
# Of one photo. DINOv2's ViT-B at 518 pixels has 90 M elements at once and 0.2e12 multiplications.
MAX_ELEMENTS_AT_ONCE = 192 * 2**20
MAX_WORK = 10**12


def check_model(model: bytes) -> None:
    """Raise EngineError, saying why, unless the bytes are an ONNX model that may be given to a runtime."""
    try:
        graph = read_graph(model)
        if graph.opset not in OPSETS:
            raise ModelRefused(f"its operators are of version {graph.opset}, not {OPSETS[0]} to {OPSETS[-1]}")
        for batch in (1, MAX_BATCH):
            _check_size(graph, batch)
    except ModelRefused as error:
        raise EngineError.unusable(f"the model is refused: {error}") from error


def _check_size(graph: Graph, batch: int) -> None:
    """Follow every tensor's shape in the order of the file, with its memory until its last use."""
    known: dict[str, Known] = {tensor.name: Known(tensor.shape, tensor.values) for tensor in graph.tensors}
    if len(known) != len(graph.tensors):
        raise ModelRefused("it has two tensors of one name")
    for port in graph.inputs:
        if port.name not in known:
            known[port.name] = Known(_shape_for(port.shape, batch))
    last_use = {name: index for index, node in enumerate(graph.nodes) for name in node.inputs}
    kept = {port.name for port in graph.outputs} | known.keys()
    at_once = sum(math.prod(value.shape) for value in known.values())
    most, work = at_once, 0
    for index, node in enumerate(graph.nodes):
        missing = next((name for name in node.inputs if name and name not in known), None)
        if missing is not None:
            raise ModelRefused(f"{node.operator[:40]} takes {missing[:40]}, which is not there")
        inputs = [known[name] if name else None for name in node.inputs]
        outputs = outputs_of(node, inputs)
        work += work_of(node, inputs, outputs)
        for name, output in zip(node.outputs, outputs, strict=True):
            if name in known or not name:
                raise ModelRefused("it has two tensors of one name")
            known[name] = output
            at_once += math.prod(output.shape)
        most = max(most, at_once)
        if most > MAX_ELEMENTS_AT_ONCE * batch:
            raise ModelRefused(f"it needs more than {MAX_ELEMENTS_AT_ONCE * 4 >> 20} MB for a photo")
        if work > MAX_WORK * batch:
            raise ModelRefused("it computes longer than any network here")
        for name in {*node.inputs, *node.outputs} - kept:
            if name and last_use.get(name, -1) <= index:
                at_once -= math.prod(known[name].shape)
    if any(port.name not in known for port in graph.outputs):
        raise ModelRefused("an output is not there")


def _shape_for(shape: tuple[int | str, ...], batch: int) -> tuple[int, ...]:
    """An input's shape, its first side the batch unless it is fixed. Raises ModelRefused where another side is not."""
    first, rest = shape[:1], shape[1:]
    sides = [side if isinstance(side, int) and side > 0 else None for side in rest]
    if not first or None in sides:
        raise ModelRefused("an input has a side beside the batch that is not fixed")
    return (first[0] if isinstance(first[0], int) and first[0] > 0 else batch, *[side for side in sides if side])
