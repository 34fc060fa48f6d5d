"""ONNX Runtime on the CPU."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from core.engines.heads import HEAD_OF_OUTPUT, Heads, checked_heads
from core.engines.vet import check_model
from core.errors import EngineError, MissingDependency, reason_of

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnxruntime import InferenceSession, SessionOptions

    Float32 = NDArray[np.float32]


def open_session(model: bytes, threads: int | None = None) -> InferenceSession:
    """The bytes of an ONNX file, ready to run. Raises EngineError where `check_model` or ONNX Runtime refuses them."""
    check_model(model)
    try:
        import onnxruntime as ort
    except ImportError as error:
        raise MissingDependency("onnxruntime", "requirements.txt") from error
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or min(os.cpu_count() or 1, 4)
    options.log_severity_level = 3
    options.add_session_config_entry("session.load_model_format", "ONNX")  # never its own, which is not checked
    compute_int8_exactly(options)
    # Threads wait for the next operator by spinning, which makes a network a quarter faster; but not for long, nor
    # from one photo to the next: that takes the cores from decoding, the posterior, and other programs.
    options.add_session_config_entry("session.intra_op.spin_duration_us", "30")
    options.add_session_config_entry("session.force_spinning_stop", "1")
    try:
        return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's exceptions have no common base of their own
        reason = f"ONNX Runtime cannot load the model: {str(error).splitlines()[0]}"
        raise EngineError(reason, kind="unusable") from error


def compute_int8_exactly(options: SessionOptions, cpus: Path = Path("/proc/cpuinfo")) -> None:
    """Let a session give the answers that all CPUs give, as Linux describes its `cpus`.

    x86 without VNNI adds two products of 8 bits in 16, which overflows. What makes it exact there would take twice the
    time where there is VNNI, so it is asked for only where there is none, or where that is not known.
    """
    try:
        has_vnni = not {"avx512_vnni", "avx_vnni"}.isdisjoint(cpus.read_text(encoding="utf-8").split())
    except OSError:
        has_vnni = False
    if not has_vnni:
        options.add_session_config_entry("session.x64quantprecision", "1")


class OnnxEngine:
    """ONNX Runtime on the CPU."""

    def __init__(self, model: bytes, name: str, threads: int | None = None) -> None:
        """`model` is the bytes of an ONNX file. Raises EngineError where it may not or cannot be run."""
        self.session = open_session(model, threads)
        self.name = name
        self._known = [output.name for output in self.session.get_outputs() if output.name in HEAD_OF_OUTPUT]

    def run(self, images: NDArray[np.uint8]) -> Heads:
        try:
            values = self.session.run(self._known, {"image": images})
        except Exception as error:  # as above: a model of another picture size, or a damaged one
            raise EngineError.unusable(f"{self.name} cannot run the model ({reason_of(error)})") from error
        return checked_heads(dict(zip(self._known, values, strict=True)))
