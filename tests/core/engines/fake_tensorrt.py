"""A small TensorRT: the module `tensorrt` as far as this project uses it, which runs the model with ONNX Runtime.

An "engine" is the ONNX file behind a line that names the TensorRT version, so an engine of another version is refused
as the real one refuses it. `test_fakes.py` checks every class, method, argument and constant here against the real
pybind docstrings of TensorRT for RTX.
"""

from __future__ import annotations

import ctypes
import sys
from enum import Enum, IntEnum
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import onnxruntime

__version__ = "10.3.0"
MAGIC = b"fake engine "
workspace_needed = 1 << 20  # a build with less is refused, as for want of memory


class NetworkDefinitionCreationFlag(IntEnum):
    STRONGLY_TYPED = 1


class MemoryPoolType(Enum):
    WORKSPACE = 0


class TensorIOMode(Enum):
    INPUT = 1
    OUTPUT = 2


class DataType(Enum):
    FLOAT = 0
    HALF = 1
    UINT8 = 2


class ILogger:
    class Severity(Enum):
        INTERNAL_ERROR = 0
        ERROR = 1
        WARNING = 2

    def __init__(self) -> None: ...

    def log(self, severity: Any, msg: str) -> None: ...


class IProgressMonitor:
    def __init__(self) -> None: ...

    def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None: ...

    def step_complete(self, phase_name: str, step: int) -> bool:
        raise NotImplementedError

    def phase_finish(self, phase_name: str) -> None: ...


class IHostMemory(bytes):
    @property
    def nbytes(self) -> int:
        return len(self)


class IParserError:
    def __init__(self, text: str) -> None:
        self._text = text

    def desc(self) -> str:
        return self._text


class ITensor:
    def __init__(self, name: str) -> None:
        self.name = name


class INetworkDefinition:
    _model = b""

    def get_input(self, index: int) -> ITensor:
        return ITensor(onnx.load_from_string(self._model).graph.input[index].name)


class OnnxParser:
    def __init__(self, network: INetworkDefinition, logger: ILogger) -> None:  # noqa: ARG002
        self._network, self._errors = network, list[str]()

    @property
    def num_errors(self) -> int:
        return len(self._errors)

    def get_error(self, index: int) -> IParserError:
        return IParserError(self._errors[index])

    def parse(self, model: bytes) -> bool:
        try:
            onnx.checker.check_model(onnx.load_from_string(model))
        except Exception as error:
            self._errors.append(str(error))
            return False
        self._network._model = model
        return True


class IOptimizationProfile:
    _shapes: tuple[tuple[int, ...], ...] = ()

    def set_shape(self, input: str, min: tuple[int, ...], opt: tuple[int, ...], max: tuple[int, ...]) -> None:
        assert input == "image"
        self._shapes = (min, opt, max)


class ITimingCache:
    def __init__(self, data: bytes) -> None:
        self._data = data

    def serialize(self) -> IHostMemory:
        return IHostMemory(self._data + b"timed ")


class IBuilderConfig:
    progress_monitor: IProgressMonitor | None = None

    def __init__(self) -> None:
        self._workspace = 0
        self._profile: IOptimizationProfile | None = None
        self._cache: ITimingCache | None = None

    def set_memory_pool_limit(self, pool: MemoryPoolType, pool_size: int) -> None:
        assert pool is MemoryPoolType.WORKSPACE
        self._workspace = pool_size

    def add_optimization_profile(self, profile: IOptimizationProfile) -> int:
        self._profile = profile
        return 0 if profile._shapes and profile._shapes[0][0] <= profile._shapes[2][0] else -1

    def create_timing_cache(self, serialized_timing_cache: bytes) -> ITimingCache:
        return ITimingCache(serialized_timing_cache)

    def set_timing_cache(self, cache: ITimingCache, ignore_mismatch: bool) -> bool:
        self._cache = cache
        return not ignore_mismatch

    def get_timing_cache(self) -> ITimingCache | None:
        return self._cache


class Builder:
    def __init__(self, logger: ILogger) -> None:
        self._logger = logger

    def create_network(self, flags: int = 0) -> INetworkDefinition:
        assert flags == 1 << NetworkDefinitionCreationFlag.STRONGLY_TYPED
        return INetworkDefinition()

    def create_builder_config(self) -> IBuilderConfig:
        return IBuilderConfig()

    def create_optimization_profile(self) -> IOptimizationProfile:
        return IOptimizationProfile()

    def build_serialized_network(self, network: INetworkDefinition, config: IBuilderConfig) -> IHostMemory | None:
        if config._workspace < workspace_needed:
            self._logger.log(ILogger.Severity.ERROR, "Could not find any implementation: insufficient memory")
            return None
        if (monitor := config.progress_monitor) is not None:
            monitor.phase_start("Building", None, 2)
            if not all(monitor.step_complete("Building", step) for step in range(2)):
                return None
            monitor.phase_finish("Building")
        assert config._profile is not None
        largest = ",".join(map(str, config._profile._shapes[2]))
        return IHostMemory(MAGIC + f"{__version__} {largest}\n".encode() + network._model)


class Runtime:
    def __init__(self, logger: ILogger) -> None:
        self._logger = logger

    def deserialize_cuda_engine(self, serialized_engine: bytes) -> ICudaEngine | None:
        head, _, model = serialized_engine.partition(b"\n")
        version, _, largest = head.removeprefix(MAGIC).decode("ascii", "replace").partition(" ")
        if version != __version__:
            self._logger.log(ILogger.Severity.ERROR, f"engine of version {version}, expecting {__version__}")
            return None
        return ICudaEngine(model, tuple(map(int, largest.split(","))))


class ICudaEngine:
    memory_for_context = True

    def __init__(self, model: bytes, largest: tuple[int, ...]) -> None:
        self._session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        self._largest = largest
        self._names = ["image", *(output.name for output in self._session.get_outputs())]

    @property
    def num_io_tensors(self) -> int:
        return len(self._names)

    def get_tensor_name(self, index: int) -> str:
        return self._names[index]

    def get_tensor_mode(self, name: str) -> TensorIOMode:
        return TensorIOMode.INPUT if name == "image" else TensorIOMode.OUTPUT

    def get_tensor_dtype(self, name: str) -> DataType:
        return DataType.UINT8 if name == "image" else DataType.FLOAT

    def get_tensor_profile_shape(self, name: str, profile_index: int) -> list[tuple[int, ...]]:
        assert (name, profile_index) == ("image", 0)
        return [(1, *self._largest[1:])] * 2 + [self._largest]

    def create_execution_context(self) -> IExecutionContext | None:
        return IExecutionContext(self) if self.memory_for_context else None


class IExecutionContext:
    def __init__(self, engine: ICudaEngine) -> None:
        self._engine, self._shape = engine, tuple[int, ...]()
        self._addresses: dict[str, int] = {}

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self._shape = tuple(shape)
        return (
            name == "image"
            and self._shape[1:] == self._engine._largest[1:]
            and self._shape[0] <= self._engine._largest[0]
        )

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        output = next(value for value in self._engine._session.get_outputs() if value.name == name)
        return (self._shape[0] if self._shape else -1, *output.shape[1:])

    def set_tensor_address(self, name: str, memory: int) -> bool:
        self._addresses[name] = memory
        return name in self._engine._names

    def execute_async_v3(self, stream_handle: int) -> bool:
        if set(self._addresses) != set(self._engine._names) or not stream_handle:
            return False
        size = int(np.prod(self._shape))
        image = np.frombuffer(ctypes.string_at(self._addresses["image"], size), np.uint8).reshape(self._shape)
        names = self._engine._names[1:]
        for name, value in zip(names, self._engine._session.run(names, {"image": image}), strict=True):
            ctypes.memmove(self._addresses[name], np.ascontiguousarray(value).ctypes.data, value.nbytes)
        return True


def module() -> ModuleType:
    """This module as it is put into sys.modules under the name `tensorrt`."""
    return sys.modules[__name__]
