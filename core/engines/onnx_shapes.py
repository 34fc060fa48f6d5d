"""The shape of everything that a graph computes, and so its memory and work, without computing it.

Each operator listed here is plain arithmetic on tensors whose output has a size known beforehand. Shapes that are
computed in the graph itself (`Shape`, `Concat`, `Reshape` …) are followed with their values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from core.engines.onnx_file import DTYPES, MAX_RANK, MAX_VALUES, ModelRefused, Node, Tensor

if TYPE_CHECKING:
    from numpy.typing import NDArray

Sides = tuple[int, ...]


class Known(NamedTuple):
    """What is known of a tensor: its shape, and its values where shapes may be computed of them."""

    shape: Sides
    values: NDArray[Any] | None = None


Inputs = Sequence[Known | None]
ShapeOf = Callable[[Node, Inputs], list[Sides]]


def outputs_of(node: Node, inputs: Inputs) -> list[Known]:
    """What is known of a node's outputs. Raises ModelRefused where their sizes cannot be known."""
    shape_of = OPERATORS.get(node.operator)
    if shape_of is None:
        raise ModelRefused(f"its operator {node.operator[:40]} is none that a network of a campus needs")
    try:
        with np.errstate(all="raise"):
            shapes = shape_of(node, inputs)
            values = _values(node, inputs, shapes)
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError) as error:
        raise ModelRefused(f"the shape of what {node.operator} gives is not known beforehand") from error
    if any(len(shape) > MAX_RANK or any(side < 0 for side in shape) for shape in shapes):
        raise ModelRefused(f"{node.operator} gives an absurd shape")
    if len(node.outputs) != len(shapes):
        raise ModelRefused(f"{node.operator} gives {len(node.outputs)} tensors instead of {len(shapes)}")
    return [Known(shape, values) for shape in shapes]


def work_of(node: Node, inputs: Inputs, outputs: Sequence[Known]) -> int:
    """About how many multiplications a node takes."""
    sizes = sum(math.prod(output.shape) for output in outputs)
    if node.operator == "Conv":
        return sizes * math.prod(_shape(inputs, 1)[1:])
    if node.operator == "MatMul":
        return sizes * _shape(inputs, 0)[-1]
    if node.operator == "Gemm":
        return sizes * _shape(inputs, 0)[0 if node.attributes.get("transA", 0) else 1]
    if node.operator in ("MaxPool", "AveragePool"):
        kernel: list[int] = node.attributes["kernel_shape"]
        return sizes * math.prod(kernel)
    return sizes + sum(math.prod(known.shape) for known in inputs if known is not None)


def _shape(inputs: Inputs, index: int) -> Sides:
    known = inputs[index]
    if known is None:
        raise ValueError("an input is missing")
    return known.shape


def _numbers(inputs: Inputs, index: int) -> list[int] | None:
    """The values of an input; None where it is absent. Raises ValueError where they are not known."""
    known = inputs[index] if index < len(inputs) else None
    if known is None:
        return None
    if known.values is None:
        raise ValueError("a shape that depends on the picture")
    return [int(value) for value in known.values.ravel().tolist()]


def _needed(inputs: Inputs, index: int) -> list[int]:
    numbers = _numbers(inputs, index)
    if numbers is None:
        raise ValueError("an input is missing")
    return numbers


def _same(_: Node, inputs: Inputs) -> list[Sides]:
    return [_shape(inputs, 0)]


def _broadcast(_: Node, inputs: Inputs) -> list[Sides]:
    return [tuple(np.broadcast_shapes(*(known.shape for known in inputs if known is not None)))]


def _conv(node: Node, inputs: Inputs) -> list[Sides]:
    batch, channels, *sides = _shape(inputs, 0)
    filters, depth, *kernel = _shape(inputs, 1)
    if depth * node.attributes.get("group", 1) != channels:
        raise ValueError("channels")
    return [(batch, filters, *_windows(node, sides, kernel))]


def _pool(node: Node, inputs: Inputs) -> list[Sides]:
    batch, channels, *sides = _shape(inputs, 0)
    return [(batch, channels, *_windows(node, sides, node.attributes["kernel_shape"]))]


def _windows(node: Node, sides: Sequence[int], kernel: Sequence[int]) -> Sides:
    """How often a kernel fits along each side."""
    given = node.attributes
    ones = [1] * len(sides)
    strides, dilations = given.get("strides", ones), given.get("dilations", ones)
    pads = given.get("pads", [0] * 2 * len(sides))
    if given.get("auto_pad", "NOTSET") != "NOTSET" or list(given.get("kernel_shape", kernel)) != list(kernel):
        raise ValueError("padding")
    if not len(sides) == len(kernel) == len(strides) == len(dilations) == len(pads) / 2:
        raise ValueError("sides")
    if min([1, *kernel, *strides, *dilations]) < 1 or min([0, *pads]) < 0:
        raise ValueError("a kernel, stride or pad")
    up = -1 if given.get("ceil_mode", 0) else 1  # -(-a // b) rounds up
    return tuple(
        up * ((up * (side + pads[i] + pads[i + len(sides)] - dilations[i] * (kernel[i] - 1) - 1)) // strides[i]) + 1
        for i, side in enumerate(sides)
    )


def _global_pool(_: Node, inputs: Inputs) -> list[Sides]:
    batch, channels, *sides = _shape(inputs, 0)
    return [(batch, channels, *[1] * len(sides))]


def _matmul(_: Node, inputs: Inputs) -> list[Sides]:
    (*left, rows, inner), (*right, again, columns) = _shape(inputs, 0), _shape(inputs, 1)
    if inner != again:
        raise ValueError("inner sides")
    return [(*np.broadcast_shapes(tuple(left), tuple(right)), rows, columns)]


def _gemm(node: Node, inputs: Inputs) -> list[Sides]:
    a, b = _shape(inputs, 0), _shape(inputs, 1)
    rows, inner = a[::-1] if node.attributes.get("transA", 0) else a
    again, columns = b[::-1] if node.attributes.get("transB", 0) else b
    if inner != again:
        raise ValueError("inner sides")
    return [(rows, columns)]


def _concat(node: Node, inputs: Inputs) -> list[Sides]:
    shapes = [_shape(inputs, index) for index in range(len(inputs))]
    axis = _axis(node.attributes["axis"], len(shapes[0]))
    if len({(*shape[:axis], -1, *shape[axis + 1 :]) for shape in shapes}) != 1:
        raise ValueError("sides")
    return [(*shapes[0][:axis], sum(shape[axis] for shape in shapes), *shapes[0][axis + 1 :])]


def _split(node: Node, inputs: Inputs) -> list[Sides]:
    shape = _shape(inputs, 0)
    axis = _axis(node.attributes.get("axis", 0), len(shape))
    parts = _numbers(inputs, 1)
    if parts is None:
        count = node.attributes.get("num_outputs", len(node.outputs))
        if count != len(node.outputs):
            raise ValueError("outputs")
        most = -(-shape[axis] // count)
        parts = [min(most, shape[axis] - most * index) for index in range(count)]
    if sum(parts) != shape[axis]:
        raise ValueError("parts")
    return [(*shape[:axis], part, *shape[axis + 1 :]) for part in parts]


def _slices(inputs: Inputs) -> tuple[slice, ...]:
    shape, starts, ends = _shape(inputs, 0), _needed(inputs, 1), _needed(inputs, 2)
    axes = _numbers(inputs, 3) or list(range(len(starts)))
    cuts = [slice(None)] * len(shape)
    for start, end, axis, step in zip(starts, ends, axes, _numbers(inputs, 4) or [1] * len(starts), strict=True):
        # ONNX stops before the first element where an end is below them all; Python's slices say so by None.
        cuts[_axis(axis, len(shape))] = slice(start, None if step < 0 and end < -shape[axis] else end, step)
    return tuple(cuts)


def _slice(_: Node, inputs: Inputs) -> list[Sides]:
    shape = _shape(inputs, 0)
    return [tuple(len(range(*cut.indices(side))) for cut, side in zip(_slices(inputs), shape, strict=True))]


def _gather(node: Node, inputs: Inputs) -> list[Sides]:
    shape, indices = _shape(inputs, 0), _shape(inputs, 1)
    axis = _axis(node.attributes.get("axis", 0), len(shape))
    return [(*shape[:axis], *indices, *shape[axis + 1 :])]


def _transpose(node: Node, inputs: Inputs) -> list[Sides]:
    shape = _shape(inputs, 0)
    order = node.attributes.get("perm", list(range(len(shape)))[::-1])
    if sorted(order) != list(range(len(shape))):
        raise ValueError("order")
    return [tuple(shape[axis] for axis in order)]


def _reshape(node: Node, inputs: Inputs) -> list[Sides]:
    shape, wanted = _shape(inputs, 0), _needed(inputs, 1)
    if not node.attributes.get("allowzero", 0):
        wanted = [shape[index] if side == 0 else side for index, side in enumerate(wanted)]
    if wanted.count(-1) == 1:
        rest = math.prod(side for side in wanted if side != -1)
        wanted[wanted.index(-1)] = math.prod(shape) // rest
    if math.prod(wanted) != math.prod(shape):
        raise ValueError("sizes")
    return [tuple(wanted)]


def _flatten(node: Node, inputs: Inputs) -> list[Sides]:
    shape = _shape(inputs, 0)
    axis = node.attributes.get("axis", 1)
    axis = axis + len(shape) if axis < 0 else axis
    return [(math.prod(shape[:axis]), math.prod(shape[axis:]))]


def _squeeze(_: Node, inputs: Inputs) -> list[Sides]:
    shape = _shape(inputs, 0)
    axes = _numbers(inputs, 1)
    gone = {i for i, side in enumerate(shape) if side == 1} if axes is None else {_axis(a, len(shape)) for a in axes}
    if any(shape[axis] != 1 for axis in gone):
        raise ValueError("axes")
    return [tuple(side for axis, side in enumerate(shape) if axis not in gone)]


def _unsqueeze(_: Node, inputs: Inputs) -> list[Sides]:
    rest, axes = list(_shape(inputs, 0)), _needed(inputs, 1)
    rank = len(rest) + len(axes)
    new = {_axis(axis, rank) for axis in axes}
    return [tuple(1 if axis in new else rest.pop(0) for axis in range(rank))]


def _expand(_: Node, inputs: Inputs) -> list[Sides]:
    return [tuple(np.broadcast_shapes(_shape(inputs, 0), tuple(_needed(inputs, 1))))]


def _reduce(node: Node, inputs: Inputs) -> list[Sides]:
    shape, axes = _shape(inputs, 0), _numbers(inputs, 1)
    if not axes:
        axes = [] if node.attributes.get("noop_with_empty_axes", 0) else list(range(len(shape)))
    gone = {_axis(axis, len(shape)) for axis in axes}
    if node.attributes.get("keepdims", 1):
        return [tuple(1 if axis in gone else side for axis, side in enumerate(shape))]
    return [tuple(side for axis, side in enumerate(shape) if axis not in gone)]


def _resize(node: Node, inputs: Inputs) -> list[Sides]:
    shape, sizes = _shape(inputs, 0), _numbers(inputs, 3)
    given = node.attributes
    if given.get("axes") or given.get("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise ValueError("policy")
    if sizes is not None:
        if len(sizes) != len(shape):
            raise ValueError("sizes")
        return [tuple(sizes)]
    scales = inputs[2]
    if scales is None or scales.values is None or len(scales.values) != len(shape):
        raise ValueError("scales")
    return [tuple(int(side * scale) for side, scale in zip(shape, scales.values.tolist(), strict=True))]


def _depth_to_space(node: Node, inputs: Inputs) -> list[Sides]:
    batch, channels, height, width = _shape(inputs, 0)
    block = node.attributes["blocksize"]
    return [(batch, channels // block**2, height * block, width * block)]


def _space_to_depth(node: Node, inputs: Inputs) -> list[Sides]:
    batch, channels, height, width = _shape(inputs, 0)
    block = node.attributes["blocksize"]
    return [(batch, channels * block**2, height // block, width // block)]


def _shape_of_shape(node: Node, inputs: Inputs) -> list[Sides]:
    return [(len(_cut_shape(node, inputs)),)]


def _cut_shape(node: Node, inputs: Inputs) -> Sides:
    shape = _shape(inputs, 0)
    return shape[node.attributes.get("start", 0) : node.attributes.get("end", len(shape))]


def _range(_: Node, inputs: Inputs) -> list[Sides]:
    return [(len(range(*(_needed(inputs, index)[0] for index in range(3)))),)]


def _constant(node: Node, _: Inputs) -> list[Sides]:
    return [_constant_values(node).shape]


def _constant_values(node: Node) -> Known:
    ((name, value),) = node.attributes.items()
    if isinstance(value, Tensor):
        return Known(value.shape, value.values)
    if name not in ("value_int", "value_ints", "value_float", "value_floats"):
        raise ValueError("a constant")
    array = np.asarray(value)
    return Known(array.shape, array if array.size <= MAX_VALUES else None)


def _axis(axis: int, rank: int) -> int:
    if not -rank <= axis < rank:
        raise ValueError("axis")
    return axis % rank


def _values(node: Node, inputs: Inputs, shapes: list[Sides]) -> NDArray[Any] | None:
    """The values of a node's output where shapes may be computed of them; None otherwise."""
    if len(shapes) != 1 or math.prod(shapes[0]) > MAX_VALUES:
        return None
    if node.operator == "Shape":
        return np.array(_cut_shape(node, inputs), np.int64)
    if node.operator == "Constant":
        return _constant_values(node).values
    arrays = [known.values for known in inputs if known is not None]
    if not arrays or any(array is None for array in arrays):
        return None
    first: NDArray[Any] = arrays[0]  # type: ignore[assignment]
    if node.operator in _ARITHMETIC:
        # Shapes are whole numbers; a picture's own values are never known here.
        return np.asarray(_ARITHMETIC[node.operator](first, arrays[1]))
    if node.operator in ("Reshape", "Squeeze", "Unsqueeze", "Identity"):
        return first.reshape(shapes[0])
    if node.operator == "Cast":
        return first.astype(DTYPES[node.attributes["to"]])
    if node.operator == "Concat":
        return np.concatenate(arrays, _axis(node.attributes["axis"], first.ndim))  # type: ignore[arg-type]
    if node.operator == "Gather":
        return np.asarray(np.take(first, arrays[1], axis=node.attributes.get("axis", 0)))  # type: ignore[arg-type]
    if node.operator == "Slice":
        return np.asarray(first[_slices(inputs)])
    if node.operator == "Range":
        return np.arange(*(_needed(inputs, index)[0] for index in range(3)))
    return None


def _divided(one: NDArray[Any], other: NDArray[Any]) -> Any:
    """ONNX cuts a whole number's fraction off, where Python rounds it down: no shape needs the difference."""
    if one.dtype.kind == "f":
        return one / other
    if (one < 0).any() or (other <= 0).any():
        raise ValueError("a negative number")
    return one // other


_ARITHMETIC: Mapping[str, Callable[[Any, Any], Any]] = {
    "Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Div": _divided, "Min": np.minimum,
    "Max": np.maximum,
}  # fmt: skip
_ELEMENTWISE = (
    "Add", "Sub", "Mul", "Div", "Pow", "Min", "Max", "Where", "Equal", "Greater", "GreaterOrEqual", "Less",
    "LessOrEqual", "And", "Or", "Clip",
)  # fmt: skip
_UNARY = (
    "Abs", "Neg", "Relu", "LeakyRelu", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "Erf", "Gelu", "Exp", "Log",
    "Sqrt", "Reciprocal", "Floor", "Sin", "Cos", "Not", "Cast", "Identity", "Softmax", "LayerNormalization",
    "BatchNormalization", "InstanceNormalization", "QuantizeLinear", "DequantizeLinear",
)  # fmt: skip
# All operators that a network may have: those of this program's exports (EfficientNet-Lite, ResNet50, vision
# transformers, XFeat, in FP32, FP16 and INT8), and the plain ones beside them.
OPERATORS: Mapping[str, ShapeOf] = {
    **dict.fromkeys(_ELEMENTWISE, _broadcast),
    **dict.fromkeys(_UNARY, _same),
    **dict.fromkeys(("ReduceMean", "ReduceSum", "ReduceL2", "ReduceMax"), _reduce),
    **dict.fromkeys(("MaxPool", "AveragePool"), _pool),
    "Conv": _conv, "GlobalAveragePool": _global_pool, "MatMul": _matmul, "Gemm": _gemm, "Concat": _concat,
    "Split": _split, "Slice": _slice, "Gather": _gather, "Transpose": _transpose, "Reshape": _reshape,
    "Flatten": _flatten, "Squeeze": _squeeze, "Unsqueeze": _unsqueeze, "Expand": _expand, "Resize": _resize,
    "DepthToSpace": _depth_to_space, "SpaceToDepth": _space_to_depth, "Shape": _shape_of_shape, "Range": _range,
    "Constant": _constant,
}  # fmt: skip
