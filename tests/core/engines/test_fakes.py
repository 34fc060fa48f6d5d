"""The fakes may promise nothing that the real TensorRT and CUDA runtime do not have: names, arguments, constants."""

from __future__ import annotations

import ast
import ctypes
import inspect
import re
from enum import Enum
from types import ModuleType
from typing import Any

import pytest

from core.engines.cuda import SIGNATURES, BindingsCuda, CtypesCuda
from tests.core.engines import fake_cuda, fake_tensorrt

REASON = "is not installed: pip install -r requirements-dev.txt"
HOMES = {"IParserError": "nvonnxparser"}  # classes that pybind does not export, checked by what returns them


def real_tensorrt() -> Any:
    return pytest.importorskip("tensorrt_rtx", reason=f"tensorrt-rtx {REASON}")


def real_cuda() -> Any:
    return pytest.importorskip("cuda.bindings.runtime", reason=f"cuda-bindings {REASON}")


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
    import core.engines.tensorrt_engine
    import edge.device.engine_build

    used = used_by([core.engines.tensorrt_engine, edge.device.engine_build], "trt")
    assert {"Runtime", "Builder", "OnnxParser", "TensorIOMode"} <= used
    assert used <= set(dir(fake_tensorrt)), used - set(dir(fake_tensorrt))


@pytest.mark.parametrize("name", fake_cuda.FUNCTIONS)
def test_every_faked_call_is_in_cuda(name: str) -> None:
    real = getattr(real_cuda(), name)
    arguments = re.match(rf"{name}\((.*)\)", real.__doc__.splitlines()[0])
    assert arguments is not None
    known = [re.split(r"[:\s]+", part.strip())[-1 if ":" not in part else 0] for part in arguments[1].split(",")]
    faked = list(inspect.signature(getattr(fake_cuda.FakeCuda, name)).parameters)[1:]
    assert faked == [name for name in known if name]


@pytest.mark.parametrize("kind", ["cudaError_t", "cudaMemcpyKind", "cudaDeviceAttr"])
def test_every_faked_number_is_that_of_cuda(kind: str) -> None:
    for member in getattr(fake_cuda, kind):
        assert int(getattr(getattr(real_cuda(), kind), member.name)) == int(member)


def test_all_that_our_code_calls_of_cuda_is_faked() -> None:
    assert set(SIGNATURES) == set(fake_cuda.FUNCTIONS)


def test_the_real_bindings_take_our_arguments_and_answer_with_a_code() -> None:
    real_cuda()
    cuda = BindingsCuda()
    arguments = {name: tuple(0 for _ in taken) for name, (_, taken) in SIGNATURES.items()}
    arguments["cudaDeviceGetAttribute"] = (75, 0)
    arguments["cudaMemcpyAsync"] = (0, 0, 0, 1, 0)
    skipped = {"cudaStreamDestroy", "cudaFree", "cudaFreeHost"}  # may touch what is not there
    for name in set(SIGNATURES) - skipped:
        code, value = cuda._call(name, *arguments[name])
        assert isinstance(code, int), name
        assert isinstance(value, int), name


def test_the_real_library_has_every_call_that_ctypes_makes() -> None:
    libraries = [f"libcudart.so.{release}" for release in (13, 12)]
    try:
        from nvidia import cu13  # type: ignore[import-not-found]

        libraries += [f"{folder}/lib/libcudart.so.13" for folder in cu13.__path__]
    except ImportError:
        pass
    for name in libraries:
        try:
            library = ctypes.CDLL(name)
        except OSError:
            continue
        assert all(hasattr(library, call) for call in SIGNATURES)
        return
    pytest.skip("no libcudart on this machine")


def test_ctypes_and_bindings_make_the_same_calls() -> None:
    assert CtypesCuda.way != BindingsCuda.way
    assert all(len(taken) == len(inspect.signature(getattr(fake_cuda.FakeCuda, name)).parameters) - 1
               for name, (_, taken) in SIGNATURES.items())  # fmt: skip
