"""The fakes may promise nothing that the real TensorRT and CUDA runtime do not have: names, arguments, constants."""

from __future__ import annotations

import ast
import ctypes
import inspect
import re
from enum import Enum
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from core.engines import cuda
from tests.core.engines import fake_cuda, fake_tensorrt

REASON = "is not installed: pip install -r requirements-dev.txt"
HOMES = {"IParserError": "nvonnxparser"}  # classes that pybind does not export, checked by what returns them


def real_tensorrt() -> Any:
    return pytest.importorskip("tensorrt_rtx", reason=f"tensorrt-rtx {REASON}")


def faked_classes() -> list[type]:
    found = [kind for kind in vars(fake_tensorrt).values() if inspect.isclass(kind)]
    return [kind for kind in found if kind.__module__ == fake_tensorrt.__name__]


def overloads(docstring: str, name: str) -> list[dict[str, bool]]:
    """Each pybind signature as {argument: whether it may be left out}, `self` left out."""
    found = []
    for line in docstring.splitlines():
        match = re.match(rf"(?:\d+\. )?{re.escape(name)}\((.*)\)( ->.*)?$", line.strip())
        if match and "*args" not in match[1]:
            # Defaults are printed as <repr>, which is no Python.
            plain = re.sub(r"<[^<>]*>", "None", match[1])
            plain = re.sub(r"(\w+): [^=,()]*(\[[^\]]*\])?", r"\1", plain)
            arguments = ast.parse(f"def f({plain}): ...").body[0].args  # type: ignore[attr-defined]
            names = [argument.arg for argument in arguments.args]
            free = len(arguments.defaults)
            found.append({key: i >= len(names) - free for i, key in enumerate(names) if key != "self"})
    return found


def fits(fake: dict[str, bool], real: dict[str, bool]) -> bool:
    """Every faked argument exists, in order, and every real one that must be given is faked."""
    return list(fake) == list(real)[: len(fake)] and all(free for name, free in real.items() if name not in fake)


def members(kind: type) -> dict[str, Any]:
    return {name: value for name, value in vars(kind).items() if not name.startswith("_") or name == "__init__"}


@pytest.mark.parametrize("fake", faked_classes(), ids=lambda kind: kind.__name__)
def test_every_faked_class_is_in_tensorrt(fake: type) -> None:
    trt = real_tensorrt()
    if fake.__name__ in HOMES:
        home = HOMES[fake.__name__]
        assert f"{home}::{fake.__name__}" in trt.OnnxParser.get_error.__doc__
        return
    real = getattr(trt, fake.__name__)
    if issubclass(fake, Enum):
        assert set(fake.__members__) <= set(real.__members__)
        return
    for name, member in members(fake).items():
        if inspect.isclass(member) and issubclass(member, Enum):
            assert set(member.__members__) <= set(getattr(real, name).__members__)
        elif name == "__init__" and fake.__name__ not in (
            "ILogger",
            "IProgressMonitor",
            "OnnxParser",
            "Builder",
            "Runtime",
        ):
            continue  # made by another object, never by a caller
        elif inspect.isfunction(member):
            wanted = {
                argument.name: argument.default is not argument.empty
                for argument in list(inspect.signature(member).parameters.values())[1:]
            }
            known = overloads(getattr(real, name).__doc__, name)
            assert known, f"{fake.__name__}.{name}: no signature in {getattr(real, name).__doc__!r}"
            assert any(fits(wanted, signature) for signature in known), f"{fake.__name__}.{name}{wanted}: real {known}"
        elif name != "memory_for_context":  # a switch of the tests
            assert isinstance(getattr(real, name), property), f"{fake.__name__}.{name}"


def test_a_renamed_or_invented_call_would_be_noticed() -> None:
    trt = real_tensorrt()
    known = overloads(trt.IExecutionContext.execute_async_v3.__doc__, "execute_async_v3")
    assert fits({"stream_handle": False}, known[0])
    assert not fits({"stream": False}, known[0])
    assert not fits({}, known[0])
    assert not hasattr(trt.IExecutionContext, "execute_async_v2")


def used_by(sources: list[ModuleType], prefix: str) -> set[str]:
    """Attributes that our code takes from names such as `trt`, found in its syntax tree."""
    found = set()
    for source in sources:
        for node in ast.walk(ast.parse(inspect.getsource(source))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == prefix:
                found.add(node.attr)
    return found


def test_all_that_our_code_takes_from_tensorrt_is_faked_and_so_checked() -> None:
    import core.engines.tensorrt_network
    import edge.device.engine_build

    used = used_by([core.engines.tensorrt_network, edge.device.engine_build], "trt")
    assert {"Runtime", "Builder", "OnnxParser", "TensorIOMode"} <= used
    assert used <= set(dir(fake_tensorrt)), used - set(dir(fake_tensorrt))


@pytest.fixture(scope="module")
def header() -> str:
    """The runtime's own header and the enums that it includes, as pip's nvidia-cuda-runtime brings them with torch."""
    nvidia = find_spec("nvidia")
    folders = nvidia.submodule_search_locations or () if nvidia else ()
    found = next((file for folder in folders for file in Path(folder).glob("*/include/cuda_runtime_api.h")), None)
    if found is None:
        pytest.skip("no header of CUDA on this machine")
    return found.read_text("utf-8") + (found.parent / "driver_types.h").read_text("utf-8")


@pytest.mark.parametrize("name", fake_cuda.PROTOTYPES)
def test_every_faked_call_is_in_cuda(name: str, header: str) -> None:
    real = re.search(rf"CUDARTAPI {name}\((.*?)\);", header)
    assert real is not None
    assert re.sub(r" __dv\(\d\)", "", real[1]) == fake_cuda.PROTOTYPES[name]
    faked = list(inspect.signature(getattr(fake_cuda.FakeCuda, name)).parameters)[1:]
    assert faked == [argument for _, argument in fake_cuda.arguments_of(fake_cuda.PROTOTYPES[name])]


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("cudaSuccess", fake_cuda.SUCCESS),
        ("cudaErrorInvalidValue", fake_cuda.INVALID_VALUE),
        ("cudaErrorMemoryAllocation", fake_cuda.MEMORY_ALLOCATION),
        ("cudaErrorMemoryAllocation", cuda._OUT_OF_MEMORY),
        ("cudaErrorInsufficientDriver", fake_cuda.INSUFFICIENT_DRIVER),
        ("cudaDevAttrComputeCapabilityMajor", fake_cuda.MAJOR),
        ("cudaDevAttrComputeCapabilityMajor", cuda._CAPABILITY_MAJOR),
        ("cudaDevAttrComputeCapabilityMinor", fake_cuda.MAJOR + 1),
        ("cudaDevAttrComputeCapabilityMinor", cuda._CAPABILITY_MINOR),
        ("cudaMemcpyHostToDevice", cuda.HOST_TO_DEVICE),
        ("cudaMemcpyDeviceToHost", cuda.DEVICE_TO_HOST),
    ],
)
def test_every_number_is_that_of_cuda(name: str, number: int, header: str) -> None:
    assert re.search(rf"\b{name}\s*=\s*{number}\b", header)


def test_our_code_calls_what_is_faked_by_the_same_types() -> None:
    prototypes = {
        name: [fake_cuda.TYPES[kind] for kind, _ in fake_cuda.arguments_of(prototype)]
        for name, prototype in fake_cuda.PROTOTYPES.items()
    }
    ours = {
        name: [*([ctypes.POINTER(given)] if given else []), *taken] for name, (given, taken) in cuda.SIGNATURES.items()
    }
    assert ours == prototypes


def test_the_real_library_has_every_call_and_answers_it() -> None:
    """Without a driver, as here, each call has an error code; none is made that may touch what is not there."""
    library = next(cuda.libraries(), None)
    if library is None:
        pytest.skip("no libcudart on this machine")
    real = cuda.Cuda(library)
    assert real.device_count() >= 0
    code, _ = real._call("cudaMalloc", 16)
    assert isinstance(code, int)
