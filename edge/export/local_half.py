"""The second look's network with convolutions in FP16, made from the bundle's own FP32 file."""

from __future__ import annotations

# What multiplies and adds along the way. A photo's normalisation, the ranking of keypoints, and lengths stay in FP32.
_IN_HALF = {"Conv", "Relu", "AveragePool", "Resize", "Add"}


def half_local(model: bytes) -> bytes:
    """The bytes of an ONNX file -> those of the same network in FP16 with outputs in FP32, by ONNX Runtime."""
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    single = onnx.load_from_string(model)
    kinds = [node.op_type for node in single.graph.node]
    normalising = [node.name for node in single.graph.node[: kinds.index("Conv")]]
    half = OnnxModel(
        convert_float_to_float16(
            single, keep_io_types=True, op_block_list=sorted(set(kinds) - _IN_HALF), node_block_list=normalising
        )
    )
    half.remove_cascaded_cast_nodes()
    half.topological_sort()  # the converter leaves casts at the end of the list
    return bytes(half.model.SerializeToString())
