"""Campuses that a stranger might upload: a network written by hand, and one that never ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from core.campus.bundle import Bundle, save_bundle


def model(nodes: list[Any], **constants: Any) -> bytes:
    """A network that answers every photo of 64 x 64 with the middle of the campus, after `nodes`."""
    answer = [
        helper.make_node("Cast", ["image"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["numbers", "sides"], ["colour"], keepdims=0),
        helper.make_node("Slice", ["colour", "zero", "two", "one"], ["two_colours"]),
        helper.make_node("Mul", ["two_colours", "nothing"], ["offset"]),
    ]
    constants |= {
        "sides": np.array([1, 2]), "zero": np.array([0]), "two": np.array([2]), "one": np.array([1]),
        "nothing": np.array(0, np.float32),
    }  # fmt: skip
    graph = helper.make_graph(
        [*nodes, *answer],
        "stranger",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", 64, 64, 3])],
        [helper.make_tensor_value_info("offset", TensorProto.FLOAT, ["batch", 2])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9).SerializeToString()
    )


def loop_model() -> bytes:
    """A network of a few hundred bytes that never ends."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["going"], ["again"])],
        "body",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("going", TensorProto.BOOL, []),
        ],
        [helper.make_tensor_value_info("again", TensorProto.BOOL, [])],
    )
    return model([helper.make_node("Loop", ["", "true"], [], body=body)], true=np.array(True))


def loop_campus(out: Path, like: Bundle) -> Path:
    """Write a `.campus` file of `loop_model` and the least that a campus holds, its frame and grid those of another."""
    bare = {"zones": like.manifest.zones[:1], "metrics": {}, "cpu_model": "model.onnx"}
    save_bundle(out, like.manifest.model_copy(update=bare), {"model.onnx": loop_model()})
    return out
