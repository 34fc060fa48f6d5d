"""One interface over the ways to run the network: TensorRT, ONNX Runtime on a CPU, or torch while training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from core.engines.heads import HEAD_OF_OUTPUT, Engine
from core.engines.onnx_engine import OnnxEngine
from core.errors import BundleError, EngineError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from core.campus.bundle import Bundle

    Float32 = NDArray[np.float32]

Backend = Literal["auto", "tensorrt", "onnxruntime", "onnxruntime-fp32"]
BACKENDS: tuple[Backend, ...] = ("auto", "tensorrt", "onnxruntime", "onnxruntime-fp32")


def open_engine(bundle: Bundle, backend: Backend = "auto", threads: int | None = None) -> Engine:
    """The engine that `backend` names.

    `auto` is a TensorRT engine if one built for this device lies in the bundle's folder, else `onnxruntime`, which is
    the bundle's own choice of INT8 or FP32 on the CPU.
    """
    if backend not in BACKENDS:
        raise EngineError(f"backend {backend!r} is not one of {', '.join(BACKENDS)}")
    if backend in ("auto", "tensorrt"):
        from core.engines.tensorrt_engine import built_engine

        if (built := built_engine(bundle, required=backend == "tensorrt")) is not None:
            return built
    if backend == "onnxruntime-fp32" or bundle.manifest.cpu_model == "model.onnx":
        return _opened(bundle, "model.onnx", "ONNX Runtime FP32", threads)
    if bundle.manifest.cpu_model not in bundle.manifest.files:
        raise BundleError(f"{bundle.path}: {bundle.manifest.cpu_model} is missing: make the bundle again")
    return _opened(bundle, bundle.manifest.cpu_model, "ONNX Runtime INT8", threads)


def _opened(bundle: Bundle, file: str, name: str, threads: int | None) -> OnnxEngine:
    try:
        engine = OnnxEngine(bundle.read(file), name, threads)
    except EngineError as error:
        raise EngineError(f"{file}: {error.reason}", path=bundle.path, remedy=error.remedy) from error
    return _checked(engine, bundle)


def _checked(engine: OnnxEngine, bundle: Bundle) -> OnnxEngine:
    """The engine, where the model is of this campus. Raises EngineError naming the input or output that is not."""
    size, gallery = bundle.manifest.image_size, bundle.gallery
    widths = {"offset": 2, "log_spread": 1, "heading": 2, "ood_score": 1}
    if bundle.manifest.zones:
        widths["zone_logits"] = len(bundle.manifest.zones)
    if gallery is not None:
        widths["embedding"] = gallery.embedding.shape[1]
    wanted = {"image": ("tensor(uint8)", [size, size, 3])}
    wanted |= {name: ("tensor(float)", [width]) for name, width in widths.items()}
    session = engine.session
    for port in [*session.get_inputs(), *session.get_outputs()]:
        kind, shape = wanted.get(HEAD_OF_OUTPUT.get(port.name, port.name), (port.type, port.shape[1:]))
        if (port.type, port.shape[1:]) != (kind, shape):
            raise EngineError(
                f"{bundle.path}: `{port.name}` of the model is {port.type} (B, {str(port.shape[1:])[1:-1]}), of this "
                f"campus {kind} (B, {str(shape)[1:-1]}): make the bundle again"
            )
    inputs, outputs = ({port.name for port in ports} for ports in (session.get_inputs(), session.get_outputs()))
    if inputs != {"image"} or "offset" not in outputs:
        raise EngineError(
            f"{bundle.path}: the model takes {', '.join(sorted(inputs))[:100]} and gives "
            f"{', '.join(sorted(outputs))[:100]}, not `image` and `offset`: make the bundle again"
        )
    return engine
