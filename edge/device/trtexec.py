"""Build an engine with TensorRT's own program, where its Python module is absent."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from core.engines.tensorrt_network import OLDEST
from core.errors import EngineError
from edge.device.engine_build import BuildFlags, Built
from edge.manifest import Shapes

PLACES = (Path("/usr/src/tensorrt/bin/trtexec"), Path("/usr/local/tensorrt/bin/trtexec"))


def find_trtexec() -> Path | None:
    """The program on PATH, or where JetPack puts it."""
    found = shutil.which("trtexec")
    return Path(found) if found else next((place for place in PLACES if place.is_file()), None)


def arguments(model: Path, engine: Path, cache: Path, shapes: Shapes, flags: BuildFlags) -> list[str]:
    """Its command line, without the program."""
    written = ("x".join(map(str, shape)) for shape in shapes)
    return [
        f"--onnx={model}",
        f"--saveEngine={engine}",
        "--stronglyTyped",
        *(f"--{kind}Shapes=image:{shape}" for kind, shape in zip(("min", "opt", "max"), written, strict=True)),
        f"--memPoolSize=workspace:{flags.workspace_mb}M",
        f"--timingCacheFile={cache}",
        "--skipInference",
    ]


def build_with_trtexec(
    program: Path, model: bytes, shapes: Shapes, flags: BuildFlags, timing_cache: bytes = b""
) -> Built:
    """As `build_engine`. Raises EngineError with trtexec's last complaint where it fails."""
    with tempfile.TemporaryDirectory() as folder:
        onnx, engine, cache = (Path(folder) / name for name in ("model.onnx", "model.engine", "timing.cache"))
        onnx.write_bytes(model)
        if timing_cache:
            cache.write_bytes(timing_cache)
        command = [str(program), *arguments(onnx, engine, cache, shapes, flags)]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        said = done.stdout + done.stderr
        version = tensorrt_version(said)
        if version and int(version.split(".")[0]) < OLDEST:
            raise EngineError(
                f"{program} is of TensorRT {version}, {OLDEST} is needed", remedy="update to JetPack 6 or newer"
            )
        if done.returncode or not engine.is_file():
            complaints = re.findall(r"\[E\] (.+)", said) or [f"exit code {done.returncode}"]
            raise EngineError(f"{program} could not build the engine ({complaints[-1][:300]})")
        return Built(engine.read_bytes(), cache.read_bytes() if cache.is_file() else b"", version)


def tensorrt_version(output: str) -> str:
    """From trtexec's first line, `… [TensorRT v100300] …` -> "10.3.0"; "" where it has none.

    Two digits each since TensorRT 10; before it the last two were single or double: v8502 is 8.5.2.
    """
    found = re.search(r"\[TensorRT v(\d+)\]", output)
    if not found:
        return ""
    number = int(found[1])
    if number >= 100_000:
        return f"{number // 10_000}.{number // 100 % 100}.{number % 100}"
    return f"{number // 1000}.{number // 100 % 10}.{number % 100}"
