from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from core.engines.onnx_engine import open_session

CHANNELS, OUTPUTS, SIZE = 64, 16, 4


def quantised_sum_of_the_largest_products() -> bytes:
    """A 1 × 1 convolution in INT8 (QDQ) that adds CHANNELS products of 255 and 127, scaled to 200."""
    scale = CHANNELS * 255 * 127 / 200
    constants = {
        "weights": np.full((OUTPUTS, CHANNELS, 1, 1), 127, np.int8),
        "weight_scale": np.ones(OUTPUTS, np.float32),
        "weight_zero": np.zeros(OUTPUTS, np.int8),
        "scale": np.array(scale, np.float32),
        "one": np.array(1, np.float32),
        "zero": np.array(0, np.uint8),
    }
    image, sums = (
        helper.make_tensor_value_info(name, kind, ["batch", channels, SIZE, SIZE])
        for name, kind, channels in (("image", TensorProto.UINT8, CHANNELS), ("sums", TensorProto.FLOAT, OUTPUTS))
    )
    nodes = [
        helper.make_node("DequantizeLinear", ["image", "one", "zero"], ["x"]),
        helper.make_node("DequantizeLinear", ["weights", "weight_scale", "weight_zero"], ["w"], axis=0),
        helper.make_node("Conv", ["x", "w"], ["y"]),
        helper.make_node("QuantizeLinear", ["y", "scale", "zero"], ["quantised"]),
        helper.make_node("DequantizeLinear", ["quantised", "one", "zero"], ["sums"]),
    ]
    initializers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "sums", [image], [sums], initializers)
    return onnx.ModelProto(ir_version=8, graph=graph, opset_import=[helper.make_opsetid("", 18)]).SerializeToString()


def test_products_of_8_bits_do_not_overflow_on_any_cpu() -> None:
    """Without VNNI, x86 adds pairs of them in 16 bits unless ONNX Runtime is told to be exact."""
    session = open_session(quantised_sum_of_the_largest_products(), threads=1)
    image = np.full((1, CHANNELS, SIZE, SIZE), 255, np.uint8)
    (sums,) = session.run(None, {"image": image})
    np.testing.assert_array_equal(sums, 200)
