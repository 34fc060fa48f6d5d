"""An ONNX file read as data: protobuf fields by their numbers, and nothing but what a plain graph of tensors needs.

Field numbers are those of onnx.proto3. What is not listed here is refused rather than skipped: functions, subgraphs,
sparse and string tensors, sequences, maps, training information, and data outside the file.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_FIELDS = 100_000  # ResNet50 in INT8 has 9,000
MAX_NODES = 20_000
MAX_RANK = 8
MAX_VALUES = 1024  # elements up to which a tensor's values are kept, for shapes are computed of them

# The data types of a tensor: number in the file -> numpy's.
DTYPES: Mapping[int, type[np.generic]] = {
    1: np.float32, 2: np.uint8, 3: np.int8, 6: np.int32, 7: np.int64, 9: np.bool_, 10: np.float16, 11: np.float64,
}  # fmt: skip

_MODEL = {1: "ir_version", 2: "producer", 3: "producer_version", 4: "domain", 5: "version", 6: "doc", 7: "graph",
          8: "opset*", 14: "metadata*"}  # fmt: skip
_GRAPH = {1: "node*", 2: "name", 5: "initializer*", 10: "doc", 11: "input*", 12: "output*", 13: "shape*",
          16: "metadata*"}  # fmt: skip
_NODE = {1: "input*", 2: "output*", 3: "name", 4: "operator", 5: "attribute*", 6: "doc", 7: "domain", 9: "metadata*"}
_ATTRIBUTE = {1: "name", 2: "f", 3: "i", 4: "s", 5: "t", 7: "floats*", 8: "ints*", 13: "doc", 20: "type"}
_TENSOR = {1: "dims*", 2: "data_type", 4: "float_data*", 5: "int32_data*", 7: "int64_data*", 8: "name", 9: "raw_data",
           10: "double_data*", 12: "doc", 14: "data_location", 16: "metadata*"}  # fmt: skip
_VALUE_INFO = {1: "name", 2: "type", 3: "doc", 4: "metadata*"}
_TYPE = {1: "tensor", 6: "denotation"}
_TENSOR_TYPE = {1: "data_type", 2: "shape"}
_SHAPE = {1: "dim*"}
_DIM = {1: "size", 2: "name", 3: "denotation"}
_OPSET = {1: "domain", 2: "version"}
_NAMES_OF_REFUSED = {
    ("model", 20): "training information", ("model", 25): "functions", ("graph", 15): "sparse tensors",
    ("attribute", 6): "a graph within an operator", ("attribute", 11): "graphs within an operator",
    ("attribute", 9): "strings", ("tensor", 6): "strings", ("tensor", 13): "data outside the file",
    ("type", 4): "a sequence", ("type", 5): "a map", ("type", 8): "a sparse tensor", ("type", 9): "an optional value",
}  # fmt: skip


class ModelRefused(Exception):
    """Why a file is no plain graph of tensors, in a few words."""


@dataclass(frozen=True)
class Tensor:
    """A tensor in the file. `values` are kept where there are MAX_VALUES at most."""

    name: str
    shape: tuple[int, ...]
    values: NDArray[Any] | None


@dataclass(frozen=True)
class Port:
    """An input or output of the graph: each side is a number, or the name of one that is not fixed."""

    name: str
    shape: tuple[int | str, ...]


@dataclass(frozen=True)
class Node:
    """An operator with the names of its inputs and outputs; an absent optional input is called ""."""

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Graph:
    """The graph of a model, and the version of its operators."""

    opset: int
    nodes: tuple[Node, ...]
    tensors: tuple[Tensor, ...]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]


def read_graph(model: bytes) -> Graph:
    """The bytes of an ONNX file -> its graph. Raises ModelRefused saying what a plain graph has not."""
    if model[4:8] == b"ORTM":
        raise ModelRefused("it is of ONNX Runtime's own format")  # which the runtime knows by these bytes alone
    try:
        return _Reader(model).graph()
    except (IndexError, UnicodeDecodeError, ValueError, TypeError, KeyError) as error:
        raise ModelRefused("it is no ONNX file, or a damaged one") from error


class _Reader:
    """Counts the fields that it reads, so that a small file cannot take long."""

    def __init__(self, model: bytes) -> None:
        self._model = memoryview(model)
        self._left = MAX_FIELDS

    def graph(self) -> Graph:
        model = self._message("model", self._model, _MODEL)
        domains = [self._message("opset", opset, _OPSET) for opset in model["opset"]]
        versions = [opset.get("version", 0) for opset in domains if _text(opset, "domain") in ("", "ai.onnx")]
        graph = self._message("graph", model["graph"], _GRAPH)
        if len(versions) != 1 or len(graph["node"]) > MAX_NODES:
            raise ModelRefused("it has more operators than any network here, or none of ONNX's own")
        return Graph(
            versions[0],
            tuple(self._node(node) for node in graph["node"]),
            tuple(self._tensor(tensor) for tensor in graph["initializer"]),
            tuple(self._port(port) for port in graph["input"]),
            tuple(self._port(port) for port in graph["output"]),
        )

    def _node(self, data: memoryview) -> Node:
        node = self._message("node", data, _NODE)
        operator, domain = _text(node, "operator"), _text(node, "domain")
        if domain not in ("", "ai.onnx"):
            raise ModelRefused(f"its operator {operator[:40]} is of the domain {domain[:40]}")
        attributes = [self._attribute(attribute) for attribute in node["attribute"]]
        if len(dict(attributes)) != len(attributes):
            raise ModelRefused(f"its operator {operator[:40]} has two attributes of one name")
        names = [[str(name, "utf-8") for name in node[side]] for side in ("input", "output")]
        return Node(operator, tuple(names[0]), tuple(names[1]), dict(attributes))

    def _attribute(self, data: memoryview) -> tuple[str, Any]:
        found = self._message("attribute", data, _ATTRIBUTE)
        name, kind = _text(found, "name"), found.get("type", 0)
        values: dict[int, Any] = {
            1: lambda: float(np.frombuffer(found.get("f", bytes(4)), "<f4")[0]),
            2: lambda: _signed(found.get("i", 0)),
            3: lambda: _text(found, "s"),
            4: lambda: self._tensor(found["t"]),
            6: lambda: _floats(found["floats"], "<f4"),
            7: lambda: [_signed(value) for value in self._varints(found["ints"])],
        }
        if kind not in values:
            raise ModelRefused(f"an operator's {name[:40]} is neither a number nor a tensor")
        return name, values[kind]()

    def _tensor(self, data: memoryview) -> Tensor:
        found = self._message("tensor", data, _TENSOR)
        name = _text(found, "name")
        if found.get("data_location", 0) != 0:
            raise ModelRefused("it has data outside the file")
        dtype = DTYPES.get(found.get("data_type", 0))
        if dtype is None:
            raise ModelRefused(f"its tensor {name[:40]} holds no plain numbers")
        shape = tuple(_signed(side) for side in self._varints(found["dims"]))
        count = math.prod(shape)
        if len(shape) > MAX_RANK or any(side < 0 for side in shape):
            raise ModelRefused(f"its tensor {name[:40]} has an absurd shape")
        return Tensor(name, shape, self._values(name, found, dtype, shape, count))

    def _values(
        self, name: str, found: dict[str, Any], dtype: type[np.generic], shape: tuple[int, ...], count: int
    ) -> NDArray[Any] | None:
        """The values, where they are few; in any case as many as the shape says lie in the file."""
        numbers = np.dtype(dtype)
        ways = [key for key in ("raw_data", "float_data", "double_data", "int32_data", "int64_data") if found.get(key)]
        if len(ways) > 1 or (count and not ways):
            raise ModelRefused(f"its tensor {name[:40]} does not lie in the file, or twice")
        way = ways[0] if ways else "raw_data"
        if way == "raw_data":
            raw = found.get("raw_data", b"")
            fits, few = len(raw) == count * numbers.itemsize, count <= MAX_VALUES
            values = np.frombuffer(raw, numbers) if fits and few else None
        elif way in ("float_data", "double_data"):
            single = _floats(found[way], "<f4" if way == "float_data" else "<f8")
            fits, values = len(single) == count, np.asarray(single[:MAX_VALUES], numbers)
        else:
            fits = sum(_varint_count(piece) for piece in found[way]) == count
            few = fits and count <= MAX_VALUES and numbers.kind != "f"  # half precision comes as bits in these
            values = np.array([_signed(v) for v in self._varints(found[way])]).astype(numbers) if few else None
        if not fits:
            raise ModelRefused(f"its tensor {name[:40]} is larger or smaller than it says")
        return None if values is None or count > MAX_VALUES else values.reshape(shape)

    def _port(self, data: memoryview) -> Port:
        found = self._message("value", data, _VALUE_INFO)
        tensor = self._message("tensor type", self._message("type", found["type"], _TYPE)["tensor"], _TENSOR_TYPE)
        if tensor.get("data_type", 0) not in DTYPES:
            raise ModelRefused(f"its {_text(found, 'name')[:40]} holds no plain numbers")
        sides = [self._message("side", side, _DIM) for side in self._message("shape", tensor["shape"], _SHAPE)["dim"]]
        return Port(
            _text(found, "name"),
            tuple(_signed(side["size"]) if "size" in side else _text(side, "name") for side in sides),
        )

    def _varints(self, pieces: list[Any]) -> list[int]:
        """A repeated whole number, which files hold packed or one by one."""
        values: list[int] = []
        for piece in pieces:
            if isinstance(piece, int):
                values.append(piece)
                continue
            at = 0
            while at < len(piece):
                value, at = _varint(piece, at)
                values.append(value)
                self._count()
        return values

    def _message(self, kind: str, data: memoryview, known: Mapping[int, str]) -> dict[str, Any]:
        """The fields of a message by name: a list of each where the name ends in *, else one at most.

        Of a field that is there twice, protobuf's readers take the last or put both together. This one refuses it.
        """
        found: dict[str, Any] = {name[:-1]: [] for name in known.values() if name.endswith("*")}
        for number, value in self._fields(data):
            name = known.get(number)
            if name is None:
                what = _NAMES_OF_REFUSED.get((kind, number), f"something unknown in its {kind}")
                raise ModelRefused(f"it has {what}")
            if name.endswith("*"):
                found[name[:-1]].append(value)
            elif name in found:
                raise ModelRefused(f"its {kind} has two of {name}")
            else:
                found[name] = value
        return found

    def _fields(self, data: memoryview) -> Iterator[tuple[int, Any]]:
        """(number, value) of each field: a whole number, or the bytes of anything longer."""
        at = 0
        while at < len(data):
            self._count()
            key, at = _varint(data, at)
            number, wire = key >> 3, key & 7
            if wire == 0:
                value, at = _varint(data, at)
                yield number, value
                continue
            if wire == 2:
                size, at = _varint(data, at)
            elif wire in (1, 5):
                size = 8 if wire == 1 else 4
            else:
                raise ValueError("a wire type of no ONNX file")
            if size > len(data) - at:
                raise ValueError("cut short")
            yield number, data[at : at + size]
            at += size

    def _count(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise ModelRefused("it is cut into absurdly many pieces")


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """The unsigned number at a place, of ten bytes at most, and the place after it."""
    value = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number of more than ten bytes")


def _signed(value: int) -> int:
    """A 64-bit number as int64 fields hold it."""
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value


def _varint_count(piece: Any) -> int:
    return 1 if isinstance(piece, int) else int((np.frombuffer(piece, np.uint8) < 0x80).sum())


def _floats(pieces: list[Any], dtype: str) -> list[float]:
    return np.concatenate([np.frombuffer(piece, dtype) for piece in pieces]).tolist() if pieces else []


def _text(found: dict[str, Any], name: str) -> str:
    return str(found.get(name, b""), "utf-8")
