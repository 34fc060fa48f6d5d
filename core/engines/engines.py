"""One interface over the ways to run the network: TensorRT, ONNX Runtime on a CPU, or torch while training."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from core.errors import BundleError, EngineError, MissingDependency, reason_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from core.campus.bundle import Bundle
    from core.network.campus_net import CampusNet

    Float32 = NDArray[np.float32]

Backend = Literal["auto", "tensorrt", "onnxruntime", "onnxruntime-fp32"]
BACKENDS: tuple[Backend, ...] = ("auto", "tensorrt", "onnxruntime", "onnxruntime-fp32")


@dataclass(frozen=True)
class Heads:
    """The network's outputs for a batch, float32; None where the model has no such head.

    offset (B, 2) east and north of the campus centre in units of the frame's scale; zone_logits (B, K); embedding
    (B, D) unit length; log_spread (B, 1), the natural log of the regression's own Laplace scale in the same units;
    heading (B, 2), east and north of where the camera looked, as long as its von Mises concentration; novelty (B, 1),
    0 to 1, how much of the photo the training photos never showed.
    """

    offset: Float32
    zone_logits: Float32 | None = None
    embedding: Float32 | None = None
    log_spread: Float32 | None = None
    heading: Float32 | None = None
    novelty: Float32 | None = None

    def __len__(self) -> int:
        return len(self.offset)

    def one(self, index: int) -> Heads:
        """The heads of one photo, as a batch of 1."""
        return self.at(slice(index, index + 1))

    def at(self, rows: slice | NDArray[np.int64]) -> Heads:
        """The heads of some photos."""
        rest = (getattr(self, f.name) for f in fields(self)[1:])
        return Heads(self.offset[rows], *(None if value is None else value[rows] for value in rest))


class Engine(Protocol):
    """Something that runs the network."""

    name: str  # as a person reads it: "ONNX Runtime INT8"

    def run(self, images: NDArray[np.uint8]) -> Heads:
        """(B, S, S, 3) uint8 RGB -> Heads. Raises EngineError when an output is not finite."""
        ...


def checked_heads(outputs: dict[str, Float32]) -> Heads:
    """Outputs by name -> Heads; raises EngineError when one is absent or not finite, never a made-up answer."""
    if "offset" not in outputs:
        raise EngineError(f"the model has no output `offset`, only {', '.join(outputs) or 'none'}: export it again")
    for name, value in outputs.items():
        if not np.isfinite(value).all():
            raise EngineError(f"the network gave a value of `{name}` that is not finite: export the model again")
    return Heads(outputs["offset"], *(outputs.get(f.name) for f in fields(Heads)[1:]))


class OnnxEngine:
    """ONNX Runtime on the CPU."""

    def __init__(self, model: bytes, name: str, threads: int | None = None) -> None:
        """`model` is the bytes of an ONNX file. Raises EngineError when ONNX Runtime will not load it."""
        try:
            import onnxruntime as ort
        except ImportError as error:
            raise MissingDependency("onnxruntime", "requirements.txt") from error
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads or min(os.cpu_count() or 1, 4)
        options.log_severity_level = 3
        # Threads wait for the next operator by spinning, which makes a network a quarter faster; but not for long, nor
        # from one photo to the next: that takes the cores from decoding, the posterior, and other programs.
        options.add_session_config_entry("session.intra_op.spin_duration_us", "30")
        options.add_session_config_entry("session.force_spinning_stop", "1")
        try:
            self.session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's exceptions have no common base of their own
            raise EngineError(f"ONNX Runtime cannot load the model: {str(error).splitlines()[0]}") from error
        self.name = name
        known = {f.name for f in fields(Heads)}
        self._known = [output.name for output in self.session.get_outputs() if output.name in known]

    def run(self, images: NDArray[np.uint8]) -> Heads:
        try:
            values = self.session.run(self._known, {"image": images})
        except Exception as error:  # as above: a model of another picture size, or a damaged one
            raise EngineError(
                f"{self.name} cannot run the model ({reason_of(error)}): make the bundle again"
            ) from error
        return checked_heads(dict(zip(self._known, values, strict=True)))


class TorchEngine:
    """A CampusNet (or its average) as it is, in evaluation mode, on the device it lies on."""

    def __init__(self, net: CampusNet) -> None:
        self._net = net.eval()
        self.name = "torch FP32"

    def run(self, images: NDArray[np.uint8]) -> Heads:
        import torch

        device = next(self._net.parameters()).device
        with torch.inference_mode():
            values = self._net(torch.tensor(images, device=device))
        names = self._net.output_names
        return checked_heads({name: value.float().cpu().numpy() for name, value in zip(names, values, strict=True)})


def run_all(engine: Engine, images: NDArray[np.uint8], batch: int = 16) -> Heads:
    """Run (N, S, S, 3) uint8 in batches and join the heads, (N, …) each; images may be a memory map."""
    parts = [engine.run(np.ascontiguousarray(images[i : i + batch])) for i in range(0, len(images), batch)]
    joined = {
        f.name: np.concatenate([getattr(part, f.name) for part in parts])
        for f in fields(Heads)
        if getattr(parts[0], f.name) is not None
    }
    return checked_heads(joined)


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
    if backend == "onnxruntime-fp32" or bundle.card.cpu_model == "model.onnx":
        return _checked(OnnxEngine(bundle.read("model.onnx"), "ONNX Runtime FP32", threads), bundle)
    if bundle.card.cpu_model not in bundle.card.files:
        raise BundleError(f"{bundle.path}: {bundle.card.cpu_model} is missing: make the bundle again")
    return _checked(OnnxEngine(bundle.read(bundle.card.cpu_model), "ONNX Runtime INT8", threads), bundle)


def _checked(engine: OnnxEngine, bundle: Bundle) -> OnnxEngine:
    """The engine, where the model is of this campus. Raises EngineError naming the input or output that is not."""
    size, gallery = bundle.card.image_size, bundle.gallery
    widths = {"offset": 2, "log_spread": 1, "heading": 2, "novelty": 1}
    if bundle.card.zones:
        widths["zone_logits"] = len(bundle.card.zones)
    if gallery is not None:
        widths["embedding"] = gallery.embedding.shape[1]
    wanted = {"image": ("tensor(uint8)", [size, size, 3])}
    wanted |= {name: ("tensor(float)", [width]) for name, width in widths.items()}
    session = engine.session
    for port in [*session.get_inputs(), *session.get_outputs()]:
        kind, shape = wanted.get(port.name, (port.type, port.shape[1:]))
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
