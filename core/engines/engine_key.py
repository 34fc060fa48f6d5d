"""engine.json: which device, libraries and model a TensorRT engine was built for; an engine runs nowhere else."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.campus.file_names import EDGE_LOCAL_MODEL, EDGE_MODEL, ENGINE, KEY, LOCAL_ENGINE, LOCAL_KEY
from core.engines.cuda import Cuda
from core.errors import EngineError

if TYPE_CHECKING:
    from core.campus.bundle import Bundle

BUILD_AGAIN = "build the engine again on this device"
_RELEASE = Path("/etc/nv_tegra_release")
_MODEL = Path("/proc/device-tree/model")


@dataclass(frozen=True)
class EngineFiles:
    """The names in a bundle's folder of an engine and its key, and in a pack of the FP16 model they are built from."""

    engine: str
    key: str
    model: str


NETWORK = EngineFiles(ENGINE, KEY, EDGE_MODEL)
LOCAL_FEATURES = EngineFiles(LOCAL_ENGINE, LOCAL_KEY, EDGE_LOCAL_MODEL)


@dataclass(frozen=True)
class EngineKey:
    """Where all of this is equal, an engine can be used again; anything else means building it anew.

    `compute_capability` as "8.7"; `l4t` and `device` are empty where the machine is no Jetson; `flags` are the choices
    of the build: batch sizes and workspace. `tried`: the engine has given the golden answers here, which nothing can
    ask it for without TensorRT's Python module; it makes no difference between two keys.
    """

    tensorrt: str
    compute_capability: str
    cuda: str
    l4t: str
    device: str
    onnx_sha256: str
    flags: dict[str, int] = field(default_factory=dict)
    tried: bool = True

    def differences(self, other: EngineKey) -> list[str]:
        """What is not equal, in words: "TensorRT 10.3.0 instead of 10.16.2"."""
        names = {"tensorrt": "TensorRT", "compute_capability": "GPU", "cuda": "CUDA", "l4t": "L4T"}
        found = []
        for key in fields(self):
            mine, theirs = getattr(self, key.name), getattr(other, key.name)
            if key.name == "tried":
                continue
            if mine != theirs and key.name == "onnx_sha256":
                found.append("another model")
            elif mine != theirs:
                found.append(f"{names.get(key.name, key.name)} {mine or 'none'} instead of {theirs or 'none'}")
        return found


def key_of_this_machine(tensorrt: str, cuda: Cuda, onnx_sha256: str, flags: dict[str, int]) -> EngineKey:
    """The key that an engine built here and now would have."""
    # trtexec says three parts of the version where the Python module says three or four.
    release = ".".join(tensorrt.split(".")[:3])
    return EngineKey(
        release, cuda.compute_capability(), cuda.driver_version(), l4t_release(), device_model(), onnx_sha256, flags
    )


def check_packed(bundle: Bundle) -> None:
    """Raise EngineError where a bundle carries nothing that an engine can be built from."""
    if EDGE_MODEL not in bundle.manifest.files:
        raise EngineError(
            "was not packed for a device",
            path=bundle.path,
            remedy="export and pack it where it was trained",
            step="pack",
        )


def l4t_release(path: Path | None = None) -> str:
    """The Jetson Linux release as "36.4.3", or "" where this is no Jetson. Its first line begins `# R36 (release)`."""
    try:
        text = (path or _RELEASE).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    found = re.search(r"R(\d+).*?REVISION:\s*([\d.]+)", text)
    return f"{found[1]}.{found[2]}" if found else ""


def device_model(path: Path | None = None) -> str:
    """As the device tree has it ("NVIDIA Jetson Orin Nano Developer Kit"), or ""."""
    try:
        return (path or _MODEL).read_bytes().rstrip(b"\0\n").decode("utf-8", "replace")
    except OSError:
        return ""


def key_text(key: EngineKey, engine: bytes) -> str:
    """What engine.json holds: the key, and the hash of the engine that it belongs to."""
    return json.dumps({**asdict(key), "engine_sha256": hashlib.sha256(engine).hexdigest()}, indent=1) + "\n"


def read_key(folder: Path, files: EngineFiles = NETWORK) -> tuple[EngineKey, str]:
    """The key beside an engine and the engine's sha256. Raises EngineError naming the file."""
    path = folder / files.key
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        sha256 = str(data.pop("engine_sha256"))
        return EngineKey(**data), sha256
    except FileNotFoundError as error:
        raise EngineError(f"{files.key} is missing", path=folder, remedy=BUILD_AGAIN, step="build") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EngineError(f"{files.key} is damaged", path=folder, remedy=BUILD_AGAIN, step="build") from error
