"""A CUDA runtime in host memory: the module `cuda.bindings.runtime` as far as core.engines.cuda uses it.

`test_fakes.py` checks every function, argument and enum here against the real package.
"""

# ruff: noqa: N801, N802, N803, N815  (the names are those of CUDA)
from __future__ import annotations

import ctypes
from enum import IntEnum
from types import ModuleType


class cudaError_t(IntEnum):
    cudaSuccess = 0
    cudaErrorInvalidValue = 1
    cudaErrorMemoryAllocation = 2
    cudaErrorInsufficientDriver = 35


class cudaMemcpyKind(IntEnum):
    cudaMemcpyHostToDevice = 1
    cudaMemcpyDeviceToHost = 2


class cudaDeviceAttr(IntEnum):
    cudaDevAttrComputeCapabilityMajor = 75
    cudaDevAttrComputeCapabilityMinor = 76


class FakeCuda:
    """One GPU's memory: `held` are blocks by address; `limit` bytes of it may be taken."""

    def __init__(self, devices: int = 1, limit: int = 1 << 40, capability: tuple[int, int] = (8, 7)) -> None:
        self.devices, self.limit, self.capability = devices, limit, capability
        self.held: dict[int, ctypes.Array[ctypes.c_char]] = {}
        self.allocations = 0
        self.streams: set[int] = set()
        self.copies: list[tuple[int, int]] = []  # (direction, bytes)

    def module(self) -> ModuleType:
        """Something to put into sys.modules as `cuda.bindings.runtime`."""
        module = ModuleType("cuda.bindings.runtime")
        for name in FUNCTIONS:
            setattr(module, name, getattr(self, name))
        for kind in (cudaError_t, cudaMemcpyKind, cudaDeviceAttr):
            setattr(module, kind.__name__, kind)
        return module

    def _take(self, size: int) -> tuple[cudaError_t, int | None]:
        self.allocations += 1
        if sum(map(len, self.held.values())) + size > self.limit:
            return cudaError_t.cudaErrorMemoryAllocation, None
        block = ctypes.create_string_buffer(size)
        self.held[ctypes.addressof(block)] = block
        return cudaError_t.cudaSuccess, ctypes.addressof(block)

    def _give(self, address: int) -> tuple[cudaError_t]:
        gone = self.held.pop(address, None)
        return (cudaError_t.cudaSuccess if gone is not None else cudaError_t.cudaErrorInvalidValue,)

    def cudaGetDeviceCount(self) -> tuple[cudaError_t, int | None]:
        return (
            (cudaError_t.cudaSuccess, self.devices) if self.devices else (cudaError_t.cudaErrorInsufficientDriver, None)
        )

    def cudaDeviceGetAttribute(self, attr: cudaDeviceAttr, device: int) -> tuple[cudaError_t, int]:
        assert isinstance(attr, cudaDeviceAttr)  # the real one refuses a plain number
        assert device < self.devices
        return cudaError_t.cudaSuccess, self.capability[attr - cudaDeviceAttr.cudaDevAttrComputeCapabilityMajor]

    def cudaDriverGetVersion(self) -> tuple[cudaError_t, int]:
        return cudaError_t.cudaSuccess, 12060

    def cudaMalloc(self, size: int) -> tuple[cudaError_t, int | None]:
        return self._take(size)

    def cudaFree(self, devPtr: int) -> tuple[cudaError_t]:
        return self._give(devPtr)

    def cudaHostAlloc(self, size: int, flags: int) -> tuple[cudaError_t, int | None]:
        assert flags == 0
        return self._take(size)

    def cudaFreeHost(self, ptr: int) -> tuple[cudaError_t]:
        return self._give(ptr)

    def cudaMemcpyAsync(self, dst: int, src: int, count: int, kind: cudaMemcpyKind, stream: int) -> tuple[cudaError_t]:
        assert isinstance(kind, cudaMemcpyKind)
        if stream not in self.streams or any(count > len(self.held.get(address, b"")) for address in (dst, src)):
            return (cudaError_t.cudaErrorInvalidValue,)
        ctypes.memmove(dst, src, count)
        self.copies.append((int(kind), count))
        return (cudaError_t.cudaSuccess,)

    def cudaStreamCreate(self) -> tuple[cudaError_t, int]:
        self.streams.add(stream := 1000 + len(self.streams))
        return cudaError_t.cudaSuccess, stream

    def cudaStreamSynchronize(self, stream: int) -> tuple[cudaError_t]:
        return (cudaError_t.cudaSuccess if stream in self.streams else cudaError_t.cudaErrorInvalidValue,)

    def cudaStreamDestroy(self, stream: int) -> tuple[cudaError_t]:
        self.streams.remove(stream)
        return (cudaError_t.cudaSuccess,)


FUNCTIONS = tuple(name for name in vars(FakeCuda) if name.startswith("cuda"))
