"""A CUDA runtime in host memory: a libcudart as far as core.engines.cuda uses it, called by ctypes as the real one is.

`test_fakes.py` checks every prototype and number here against the real header.
"""

# ruff: noqa: N802, N803  (the names are those of CUDA)
from __future__ import annotations

import ctypes
from types import SimpleNamespace
from typing import Any

SUCCESS, INVALID_VALUE, MEMORY_ALLOCATION, INSUFFICIENT_DRIVER = 0, 1, 2, 35
MAJOR = 75  # cudaDevAttrComputeCapabilityMajor; the minor one follows

# As cuda_runtime_api.h has them.
PROTOTYPES = {
    "cudaGetDeviceCount": "int *count",
    "cudaDeviceGetAttribute": "int *value, enum cudaDeviceAttr attr, int device",
    "cudaDriverGetVersion": "int *driverVersion",
    "cudaMalloc": "void **devPtr, size_t size",
    "cudaFree": "void *devPtr",
    "cudaHostAlloc": "void **pHost, size_t size, unsigned int flags",
    "cudaFreeHost": "void *ptr",
    "cudaMemcpyAsync": "void *dst, const void *src, size_t count, enum cudaMemcpyKind kind, cudaStream_t stream",
    "cudaStreamCreate": "cudaStream_t *pStream",
    "cudaStreamSynchronize": "cudaStream_t stream",
    "cudaStreamDestroy": "cudaStream_t stream",
}
TYPES: dict[str, Any] = {
    "int": ctypes.c_int,
    "int *": ctypes.POINTER(ctypes.c_int),
    "enum cudaDeviceAttr": ctypes.c_int,
    "enum cudaMemcpyKind": ctypes.c_int,
    "unsigned int": ctypes.c_uint,
    "size_t": ctypes.c_size_t,
    "void *": ctypes.c_void_p,
    "const void *": ctypes.c_void_p,
    "cudaStream_t": ctypes.c_void_p,
    "void **": ctypes.POINTER(ctypes.c_void_p),
    "cudaStream_t *": ctypes.POINTER(ctypes.c_void_p),
}


def arguments_of(prototype: str) -> list[tuple[str, str]]:
    """The kind and name of each: `int *count` is ("int *", "count")."""
    found = []
    for argument in prototype.split(","):
        name = argument.split()[-1].lstrip("*")
        found.append((argument.strip().removesuffix(name).strip(), name))
    return found


class FakeCuda:
    """One GPU's memory: `held` are blocks by address; `limit` bytes of it may be taken."""

    def __init__(self, devices: int = 1, limit: int = 1 << 40, capability: tuple[int, int] = (8, 7)) -> None:
        self.devices, self.limit, self.capability = devices, limit, capability
        self.held: dict[int, ctypes.Array[ctypes.c_char]] = {}
        self.allocations = 0
        self.streams: set[int] = set()
        self.copies: list[tuple[int, int]] = []  # (direction, bytes)

    def library(self) -> SimpleNamespace:
        """What ctypes.CDLL would give: functions in C's calling convention, by the header's types."""
        functions = {}
        for name, prototype in PROTOTYPES.items():
            kinds = [TYPES[kind] for kind, _ in arguments_of(prototype)]
            functions[name] = ctypes.CFUNCTYPE(ctypes.c_int, *kinds)(getattr(self, name))
        return SimpleNamespace(**functions)

    def _take(self, place: Any, size: int) -> int:
        self.allocations += 1
        if sum(map(len, self.held.values())) + size > self.limit:
            return MEMORY_ALLOCATION
        block = ctypes.create_string_buffer(size)
        place[0] = ctypes.addressof(block)
        self.held[ctypes.addressof(block)] = block
        return SUCCESS

    def _give(self, address: int) -> int:
        return INVALID_VALUE if self.held.pop(address, None) is None else SUCCESS

    def cudaGetDeviceCount(self, count: Any) -> int:
        count[0] = self.devices
        return SUCCESS if self.devices else INSUFFICIENT_DRIVER

    def cudaDeviceGetAttribute(self, value: Any, attr: int, device: int) -> int:
        if device >= self.devices:
            return INVALID_VALUE
        value[0] = self.capability[attr - MAJOR]
        return SUCCESS

    def cudaDriverGetVersion(self, driverVersion: Any) -> int:
        driverVersion[0] = 12060
        return SUCCESS

    def cudaMalloc(self, devPtr: Any, size: int) -> int:
        return self._take(devPtr, size)

    def cudaFree(self, devPtr: int) -> int:
        return self._give(devPtr)

    def cudaHostAlloc(self, pHost: Any, size: int, flags: int) -> int:
        return INVALID_VALUE if flags else self._take(pHost, size)

    def cudaFreeHost(self, ptr: int) -> int:
        return self._give(ptr)

    def cudaMemcpyAsync(self, dst: int, src: int, count: int, kind: int, stream: int) -> int:
        if stream not in self.streams or any(count > len(self.held.get(address, b"")) for address in (dst, src)):
            return INVALID_VALUE
        ctypes.memmove(dst, src, count)
        self.copies.append((kind, count))
        return SUCCESS

    def cudaStreamCreate(self, pStream: Any) -> int:
        pStream[0] = stream = 1000 + len(self.streams)
        self.streams.add(stream)
        return SUCCESS

    def cudaStreamSynchronize(self, stream: int) -> int:
        return SUCCESS if stream in self.streams else INVALID_VALUE

    def cudaStreamDestroy(self, stream: int) -> int:
        if stream not in self.streams:
            return INVALID_VALUE
        self.streams.remove(stream)
        return SUCCESS
