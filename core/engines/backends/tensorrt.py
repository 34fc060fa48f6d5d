"""The TensorRT engine that was built for this device, in the bundle's folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.engines.tensorrt_engine import TensorRtEngine, built_engine

if TYPE_CHECKING:
    from core.campus.bundle import Bundle


def open_backend(bundle: Bundle, _threads: int | None = None) -> TensorRtEngine:
    """Raises EngineError where there is none, or none for this very device and model."""
    engine = built_engine(bundle, required=True)
    assert engine is not None
    return engine
