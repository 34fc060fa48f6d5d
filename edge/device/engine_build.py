"""ONNX -> a TensorRT engine for the GPU of this very machine, by TensorRT's Python API."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from typing import Any

from core.engines.tensorrt_network import collecting_logger, import_tensorrt, said
from core.errors import EngineError
from core.program import typed
from edge.manifest import Shapes


@dataclass(frozen=True)
class BuildFlags:
    """Choices of a build. The engine takes batches of 1 to `max_batch` and is tuned for one photo at a time."""

    max_batch: int = 16
    workspace_mb: int = 1024  # what TensorRT may use while it looks for the fastest way; an Orin Nano has 8 GB in all

    def __post_init__(self) -> None:
        if self.max_batch < 1:
            raise EngineError(f"--max-batch {self.max_batch} is no number of photos", remedy="give at least 1")
        if self.workspace_mb < 16:
            raise EngineError(
                f"--workspace-mb {self.workspace_mb} is too little to build in", remedy="give at least 16"
            )

    def as_dict(self) -> dict[str, int]:
        return asdict(self)


@dataclass(frozen=True)
class Built:
    """An engine, and TensorRT's measurements that make the next build quick."""

    engine: bytes
    timing_cache: bytes
    tensorrt: str


def build_engine(model: bytes, shapes: Shapes, flags: BuildFlags, timing_cache: bytes = b"") -> Built:
    """Build a strongly typed engine from an FP16 model. Takes minutes.

    shapes: the least, best and largest (B, H, W, 3) of its input. Types are those of the model: TensorRT changes none.
    Raises EngineError where TensorRT is absent or too old, does not accept the model, or runs out of memory.
    """
    trt = import_tensorrt()
    logger = collecting_logger(trt)
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(model):
        errors = "; ".join(parser.get_error(index).desc() for index in range(parser.num_errors)) or said(logger)
        raise EngineError(
            f"TensorRT {trt.__version__} does not accept the model ({' '.join(errors.split())[:300]})",
            remedy=_check_export(),
        )
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, flags.workspace_mb << 20)
    profile = builder.create_optimization_profile()
    profile.set_shape(network.get_input(0).name, *shapes)
    if config.add_optimization_profile(profile) < 0:
        raise EngineError(f"TensorRT refuses the batch sizes {shapes} ({said(logger)})", remedy="choose others")
    # A cache of another version or device is refused; TensorRT then measures anew.
    if not config.set_timing_cache(config.create_timing_cache(timing_cache), False):
        config.set_timing_cache(config.create_timing_cache(b""), False)
    config.progress_monitor = _progress(trt)
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        raise _failure(said(logger), flags)
    cache = config.get_timing_cache()
    return Built(bytes(engine), bytes(cache.serialize()) if cache is not None else b"", str(trt.__version__))


def _failure(reason: str, flags: BuildFlags) -> EngineError:
    """Why TensorRT built no engine, by what it said."""
    if "memory" in reason.lower():
        return EngineError(
            f"not enough memory to build the engine ({reason})",
            remedy="close other programs and the desktop (`sudo init 3`), or give another --workspace-mb than "
            f"{flags.workspace_mb}, or --max-batch 1",
        )
    return EngineError(f"TensorRT could not build the engine ({reason})", remedy=_check_export())


def _check_export() -> str:
    return f"check the export with `{typed('edge')} verify` where it was made"


def _progress(trt: Any) -> Any:
    """TensorRT's progress as one line on stderr that is written over."""

    class Progress(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self._steps: dict[str, int] = {}

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            if parent_phase is None or not self._steps:
                self._steps[phase_name] = max(num_steps, 1)

        def step_complete(self, phase_name: str, step: int) -> bool:
            if phase_name in self._steps and sys.stderr.isatty():
                share = min(1.0, (step + 1) / self._steps[phase_name])
                print(f"\r{phase_name}: {share:4.0%} ", end="", file=sys.stderr, flush=True)
            return True  # go on

        def phase_finish(self, phase_name: str) -> None:
            if self._steps.pop(phase_name, None) and sys.stderr.isatty():
                print(f"\r{phase_name}: done", file=sys.stderr)

    return Progress()
