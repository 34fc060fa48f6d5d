"""The choice among the ways to run the network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.engines.heads import Engine
from core.errors import EngineError
from core.program import choices, chosen

if TYPE_CHECKING:
    from core.campus.bundle import Bundle

AUTO = "auto"
_ROOM = "core.engines.backends"


def backends() -> tuple[str, ...]:
    """What may be chosen: `auto`, and the files of `core/engines/backends/` by their names."""
    return (AUTO, *(name.replace("_", "-") for name in choices(_ROOM)))


def open_engine(bundle: Bundle, backend: str = AUTO, threads: int | None = None) -> Engine:
    """The engine that `backend` names.

    `auto` is a TensorRT engine if one built for this device lies in the bundle's folder, else `onnxruntime`.
    """
    if backend == AUTO:
        from core.engines.tensorrt_engine import built_engine

        if (built := built_engine(bundle)) is not None:
            return built
        backend = "onnxruntime"
    file = chosen(_ROOM, backend)
    if file is None:
        raise EngineError(f"backend {backend!r} is not one of {', '.join(backends())}")
    engine: Engine = file.open_backend(bundle, threads)
    return engine
