"""The few calls of the CUDA runtime that an engine needs, by ctypes over the libcudart that every JetPack brings."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from ctypes.util import find_library
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.errors import EngineError

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Numbers of the CUDA runtime API, the same in every release.
HOST_TO_DEVICE, DEVICE_TO_HOST = 1, 2
_CAPABILITY_MAJOR, _CAPABILITY_MINOR = 75, 76
_OUT_OF_MEMORY = 2
_PINNED = 0  # cudaHostAllocDefault
_SIZE, _POINTER, _INT, _UNSIGNED = ctypes.c_size_t, ctypes.c_void_p, ctypes.c_int, ctypes.c_uint
# name -> (type of the value it gives through its first argument or None, types of the other arguments)
SIGNATURES: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "cudaGetDeviceCount": (_INT, ()),
    "cudaDeviceGetAttribute": (_INT, (_INT, _INT)),
    "cudaDriverGetVersion": (_INT, ()),
    "cudaMalloc": (_POINTER, (_SIZE,)),
    "cudaFree": (None, (_POINTER,)),
    "cudaHostAlloc": (_POINTER, (_SIZE, _UNSIGNED)),
    "cudaFreeHost": (None, (_POINTER,)),
    "cudaMemcpyAsync": (None, (_POINTER, _POINTER, _SIZE, _INT, _POINTER)),
    "cudaStreamCreate": (_POINTER, ()),
    "cudaStreamSynchronize": (None, (_POINTER,)),
    "cudaStreamDestroy": (None, (_POINTER,)),
}
_LIBRARIES = (
    "libcudart.so", "libcudart.so.13", "libcudart.so.12", "/usr/local/cuda/lib64/libcudart.so",
)  # fmt: skip


class Cuda:
    """The CUDA runtime. Addresses and streams are plain integers; every failed call raises EngineError."""

    def __init__(self, library: Any) -> None:
        """`library` has the functions of SIGNATURES, as ctypes.CDLL gives them. AttributeError where it lacks one."""
        self._library = library
        for name, (given, taken) in SIGNATURES.items():
            function = getattr(library, name)
            function.restype = _INT
            function.argtypes = [*([ctypes.POINTER(given)] if given else []), *taken]

    def _call(self, name: str, *arguments: int) -> tuple[int, int]:
        """(error code, the value given or 0)."""
        given, _ = SIGNATURES[name]
        function = getattr(self._library, name)
        if given is None:
            return int(function(*arguments)), 0
        value = given()
        code = int(function(ctypes.byref(value), *arguments))
        return code, int(value.value or 0)

    def _checked(self, name: str, *arguments: int) -> int:
        code, value = self._call(name, *arguments)
        if code == _OUT_OF_MEMORY:
            raise EngineError(
                "the GPU is out of memory",
                remedy="close other programs, or build the engine for smaller batches",
                step="build smaller",
            )
        if code:
            raise EngineError(
                f"{name} failed with error {code}", path="CUDA", remedy="restart the program, then the device"
            )
        return value

    def device_count(self) -> int:
        """How many GPUs can be used; 0 where the driver is absent or too old for this library."""
        code, count = self._call("cudaGetDeviceCount")
        return 0 if code else count

    def compute_capability(self) -> str:
        """Of the first GPU, as "8.7"."""
        return ".".join(
            str(self._checked("cudaDeviceGetAttribute", which, 0)) for which in (_CAPABILITY_MAJOR, _CAPABILITY_MINOR)
        )

    def driver_version(self) -> str:
        """The CUDA release of the driver, as "12.6", whatever release the library is of."""
        number = self._checked("cudaDriverGetVersion")
        return f"{number // 1000}.{number % 1000 // 10}"

    def allocate(self, size: int) -> int:
        """The address of `size` bytes on the GPU."""
        return self._checked("cudaMalloc", size)

    def free(self, address: int) -> None:
        self._checked("cudaFree", address)

    def allocate_pinned(self, size: int) -> int:
        """The address of `size` bytes of host memory that is never swapped out, so that copies need no detour."""
        return self._checked("cudaHostAlloc", size, _PINNED)

    def free_pinned(self, address: int) -> None:
        self._checked("cudaFreeHost", address)

    def copy(self, target: int, source: int, size: int, direction: int, stream: int) -> None:
        """Queue a copy of `size` bytes; `direction` is HOST_TO_DEVICE or DEVICE_TO_HOST."""
        self._checked("cudaMemcpyAsync", target, source, size, direction, stream)

    def create_stream(self) -> int:
        return self._checked("cudaStreamCreate")

    def wait(self, stream: int) -> None:
        """Until all that is queued on the stream is done."""
        self._checked("cudaStreamSynchronize", stream)

    def destroy_stream(self, stream: int) -> None:
        self._checked("cudaStreamDestroy", stream)


def libraries() -> Iterator[Any]:
    """Every libcudart that can be loaded: the system's, the toolkit's, and that of pip's packages."""
    found = find_library("cudart")
    nvidia = find_spec("nvidia")
    packaged = [
        str(file)
        for folder in (nvidia.submodule_search_locations or () if nvidia else ())
        for file in sorted(Path(folder).glob("*/lib/libcudart.so.*"))
    ]
    for name in (*([found] if found else []), *_LIBRARIES, *packaged):
        try:
            yield ctypes.CDLL(name)
        except OSError:
            continue


def open_cuda() -> Cuda:
    """By the first library that finds a GPU. Raises EngineError where there is none, saying whether a library is."""
    seen = False
    for library in libraries():
        try:
            cuda = Cuda(library)
        except AttributeError:  # too old to have one of the calls
            continue
        if cuda.device_count():
            return cuda
        seen = True
    if seen:
        raise EngineError(
            "no NVIDIA GPU can be used here (CUDA finds none)",
            remedy="on a Jetson reinstall the driver with `sudo apt install --reinstall nvidia-jetpack`; without a GPU "
            "use ONNX Runtime",
        )
    raise EngineError(
        "no NVIDIA GPU and no CUDA runtime on this machine",
        remedy="on a Jetson `sudo apt install nvidia-jetpack` brings it; without a GPU use ONNX Runtime",
    )


def as_array(address: int, shape: tuple[int, ...], dtype: type[np.generic]) -> NDArray[Any]:
    """Host memory at `address` as an array that shares it."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = memoryview((ctypes.c_uint8 * size).from_address(address))
    array: NDArray[Any] = np.frombuffer(memory, dtype).reshape(shape)
    return array
