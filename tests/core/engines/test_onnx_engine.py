from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime import SessionOptions

from core.engines.onnx_engine import compute_int8_exactly, open_session

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


@pytest.mark.parametrize(
    ("flags", "asked"),
    [("avx2 avx512f avx512_vnni", False), ("avx2 avx_vnni", False), ("avx2 avx512f", True), ("asimd fp16", True)],
)
def test_what_makes_int8_exact_is_asked_for_only_without_vnni(flags: str, asked: bool, tmp_path: Path) -> None:
    """Beside VNNI, which is exact, it would double a network's time."""
    cpus, options = tmp_path / "cpuinfo", SessionOptions()
    cpus.write_text(f"flags\t\t: fpu {flags} ht\n")
    compute_int8_exactly(options, cpus)
    assert is_asked_for(options) is asked
    compute_int8_exactly(unknown := SessionOptions(), tmp_path / "absent")
    assert is_asked_for(unknown)


def is_asked_for(options: SessionOptions) -> bool:
    try:
        return bool(options.get_session_config_entry("session.x64quantprecision") == "1")
    except Exception:  # ONNX Runtime's own for what was never set, which has no type of its own
        return False
