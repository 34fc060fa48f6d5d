"""ONNX Runtime on the CPU with the bundle's own choice of INT8 or FP32."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.engines.heads import HEAD_OF_OUTPUT
from core.engines.onnx_engine import OnnxEngine
from core.errors import BundleError, EngineError

if TYPE_CHECKING:
    from core.campus.bundle import Bundle


def open_backend(bundle: Bundle, threads: int | None = None) -> OnnxEngine:
    """The engine of `cpu_model`. Raises BundleError where the bundle has it not, EngineError where it cannot run."""
    model = bundle.manifest.cpu_model
    if model not in bundle.manifest.files:
        raise BundleError.unusable(f"{model} is missing", path=bundle.path)
    return opened(bundle, model, f"ONNX Runtime {'FP32' if model == 'model.onnx' else 'INT8'}", threads)


def opened(bundle: Bundle, file: str, name: str, threads: int | None) -> OnnxEngine:
    """The engine of one of the bundle's models, called `name`."""
    try:
        engine = OnnxEngine(bundle.read(file), name, threads)
    except EngineError as error:
        raise error.replace(reason=f"{file}: {error.reason}", path=bundle.path) from error
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
            raise EngineError.unusable(
                f"`{port.name}` of the model is {port.type} (B, {str(port.shape[1:])[1:-1]}), of this "
                f"campus {kind} (B, {str(shape)[1:-1]})",
                path=bundle.path,
            )
    inputs, outputs = ({port.name for port in ports} for ports in (session.get_inputs(), session.get_outputs()))
    if inputs != {"image"} or "offset" not in outputs:
        raise EngineError.unusable(
            f"the model takes {', '.join(sorted(inputs))[:100]} and gives {', '.join(sorted(outputs))[:100]}, "
            "not `image` and `offset`",
            path=bundle.path,
        )
    return engine
