"""ONNX Runtime on the CPU in FP32, whatever the bundle chose."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.engines.backends.onnxruntime import opened
from core.engines.onnx_engine import OnnxEngine

if TYPE_CHECKING:
    from core.campus.bundle import Bundle


def open_backend(bundle: Bundle, threads: int | None = None) -> OnnxEngine:
    """The engine of `model.onnx`. Raises EngineError where it cannot run."""
    return opened(bundle, "model.onnx", "ONNX Runtime FP32", threads)
