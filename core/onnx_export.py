"""CampusNet -> ONNX in FP32, and FP32 -> INT8 for CPUs."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from core.errors import MissingDependency
from core.model import OUTPUTS, CampusNet

if TYPE_CHECKING:
    from numpy.typing import NDArray

OPSET = 18  # torch exports 18 or later; TensorRT 10's older parsers stop at 20
MAX_BATCH = 16


def export_fp32(net: CampusNet) -> bytes:
    """The network as an ONNX file: input `image` (B, S, S, 3) uint8 with B from 1 to 16, outputs float32 by name."""
    try:
        import onnxscript  # noqa: F401  (torch's exporter needs it and says so less clearly)
    except ImportError as error:
        raise MissingDependency("onnxscript", "requirements-train.txt") from error
    size = net.config.image_size
    batch = torch.export.Dim("batch", min=1, max=MAX_BATCH)
    net = net.eval().cpu()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecations, none of which we can act on
        path = Path(folder) / "model.onnx"
        torch.onnx.export(
            net,
            (torch.zeros(2, size, size, 3, dtype=torch.uint8),),
            path,
            input_names=["image"],
            output_names=list(OUTPUTS),
            dynamic_shapes=({0: batch},),
            opset_version=OPSET,
            external_data=False,
            verbose=False,
            dynamo=True,
        )
        return path.read_bytes()


def quantize_int8(model: bytes, images: NDArray[np.uint8]) -> bytes:
    """Static INT8 (QDQ, uint8 activations, int8 weights per channel) of an FP32 model, calibrated on photos.

    images: (N, S, S, 3) uint8 of the training split; about a hundred suffice. The backbone alone is quantised: it is
    nearly all of the time, and the heads' few matrix products decide the metres. Its activations go with the
    convolutions, or ONNX Runtime cannot fuse them and INT8 gains nothing.
    """
    try:
        from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
        from onnxruntime.quantization.calibrate import CalibrationDataReader
        from onnxruntime.quantization.shape_inference import quant_pre_process
    except ImportError as error:
        raise MissingDependency("onnxruntime and onnx", "requirements-train.txt") from error

    class Photos(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._rest: Iterator[NDArray[np.uint8]] = iter(images)

        def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
            image = next(self._rest, None)
            return None if image is None else {"image": image[None]}

    with tempfile.TemporaryDirectory() as folder:
        source, prepared, target = (Path(folder) / name for name in ("fp32.onnx", "prepared.onnx", "int8.onnx"))
        source.write_bytes(model)
        quant_pre_process(source, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            target,
            Photos(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=["Conv", "Clip", "Relu", "Add", "MaxPool"],
            calibrate_method=CalibrationMethod.MinMax,
        )
        return target.read_bytes()
