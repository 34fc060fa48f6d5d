"""What this machine has and lacks for running a campus, what follows from it, and the next command to type."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from core.campus.bundle import Bundle
from core.campus.file_names import EDGE_LOCAL_MODEL, ENGINE, LOCAL_ENGINE
from core.cli.campus import chosen_bundle
from core.engines.cuda import open_cuda
from core.engines.engine_key import LOCAL_FEATURES, check_packed, l4t_release
from core.engines.tensorrt_engine import built_engine
from core.engines.tensorrt_network import import_tensorrt, open_built
from core.errors import CampusError, EngineError
from core.locate.localizer import DEMO_BUNDLE
from edge.device.machine import (
    LIBRARIES,
    cameras,
    describe_device,
    is_jetson,
    jetpack,
    library_problem,
    memory,
    module_version,
    power_mode,
)
from edge.device.trtexec import find_trtexec
from edge.program import edge_program, with_command

State = Literal["ok", "missing", "note"]
LEAST_MB = 2048  # building an engine of a ResNet50 next to a desktop runs out below this
SUPPORTED_PYTHON = (3, 10)
TENSORRT_ELSEWHERE = "install TensorRT 10 or newer with its Python module: docs.nvidia.com/deeplearning/tensorrt"


@dataclass(frozen=True)
class Fact:
    """One thing looked at; `remedy` is a command or a sentence, empty where nothing needs to be done."""

    name: str
    state: State
    found: str
    remedy: str = ""


def examine(bundle: Path | None) -> list[Fact]:
    """Every fact, in the order a person would ask."""
    return [*_machine(), *_gpu(), *_libraries(), *_packages(), *_devices(), *_campus(bundle)]


def _machine() -> list[Fact]:
    facts = [Fact("machine", "ok", describe_device())]
    if is_jetson():
        l4t = l4t_release()
        name = jetpack(l4t)
        if name and int(name) < 6:
            facts.append(Fact("JetPack", "missing", f"{name} (L4T {l4t})", "install JetPack 6 or newer"))
        else:
            facts.append(Fact("JetPack", "ok", f"{name or 'unknown'} (L4T {l4t})"))
        mode = power_mode()
        found, remedy = mode or "unknown", "" if mode.startswith("MAXN") else "sudo nvpmodel -m 0; sudo jetson_clocks"
        facts.append(Fact("power mode", "note" if remedy else "ok", found, remedy))
    python_ok = sys.version_info >= SUPPORTED_PYTHON
    facts.append(
        Fact("Python", "ok" if python_ok else "missing", platform.python_version(), "" if python_ok else "install 3.10")
    )
    if (held := memory()) is not None:
        enough = held.available_mb >= LEAST_MB
        facts.append(
            Fact(
                "memory",
                "ok" if enough else "note",
                f"{held.available_mb} of {held.total_mb} MB free, {held.swap_mb} MB swap",
                "" if enough else "close programs, or `sudo init 3` ends the desktop, before building an engine",
            )
        )
    return facts


def _gpu() -> list[Fact]:
    facts = []
    # Elsewhere than on a Jetson a GPU is one of two good ways, and JetPack's packages are no remedy.
    absent: State = "missing" if is_jetson() else "note"
    try:
        cuda = open_cuda()
        found = f"compute capability {cuda.compute_capability()}, CUDA {cuda.driver_version()}"
        facts.append(Fact("GPU", "ok", found))
    except EngineError as error:
        facts.append(Fact("GPU", absent, "none that can be used", str(error) if is_jetson() else ""))
    try:
        facts.append(Fact("TensorRT for Python", "ok", str(import_tensorrt().__version__)))
    except EngineError as error:
        remedy = str(with_command(error)) if is_jetson() else TENSORRT_ELSEWHERE if facts[0].state == "ok" else ""
        facts.append(Fact("TensorRT for Python", absent, "none that can be used", remedy))
    program = find_trtexec()
    facts.append(Fact("trtexec", "ok" if program else "note", str(program or "not found")))
    return facts


def _libraries() -> list[Fact]:
    facts = []
    for name in LIBRARIES:
        problem = library_problem(name)
        if problem and is_jetson():
            facts.append(Fact(name, "missing", problem, "sudo apt install --reinstall nvidia-jetpack"))
        else:
            facts.append(Fact(name, "note" if problem else "ok", problem or "loads"))
    return facts


def _packages() -> list[Fact]:
    facts = []
    # JetPack's own OpenCV knows the ribbon-cable cameras; that of pip does not.
    opencv = "sudo apt install python3-opencv" if is_jetson() else "pip install opencv-python-headless"
    for module, use, remedy in (
        ("onnxruntime", "running on the CPU", "pip install onnxruntime"),
        ("cv2", "cameras and videos", opencv),
        ("pynmea2", "NMEA output", "pip install pynmea2"),
        ("pillow_heif", "HEIC photos of iPhones", "pip install pillow-heif"),
        ("paho.mqtt", "MQTT output", "pip install paho-mqtt"),
        ("pymavlink", "MAVLink output", "pip install pymavlink"),
        ("rosbags", "ROS 2 bags", "pip install rosbags"),
    ):
        version = module_version(module)
        found = version or f"not installed; needed for {use}"
        facts.append(Fact(module, "ok" if version else "note", found, "" if version else remedy))
    return facts


def _devices() -> list[Fact]:
    found = cameras()
    return [Fact("cameras", "ok" if found else "note", ", ".join(found) or "none under /dev/video*")]


def _campus(path: Path | None) -> list[Fact]:
    path = chosen_bundle(path) or DEMO_BUNDLE
    try:
        bundle = Bundle.load(path)
    except CampusError as error:
        return [Fact("campus", "note", "none", str(error))]
    facts = [Fact("campus", "ok", f"{bundle.manifest.name} ({path})")]
    try:
        check_packed(bundle)
    except EngineError as error:
        return [*facts, Fact("pack", "note", "none", str(with_command(error)))]
    facts.append(Fact("pack", "ok", str(path)))
    try:
        engine = built_engine(bundle, required=True)
        facts.append(Fact("engine", "ok", engine.name if engine else ""))
    except EngineError as error:
        return [*facts, Fact("engine", "note", f"no usable {ENGINE}", str(with_command(error)))]
    return facts + _second_look(bundle)


def _second_look(bundle: Bundle) -> list[Fact]:
    name = "second look"
    if bundle.manifest.second_look is None:
        return []
    if EDGE_LOCAL_MODEL not in bundle.manifest.files:
        return [Fact(name, "note", "on ONNX Runtime's CPU", "pack this campus again for an engine of it")]
    try:
        return [Fact(name, "ok", f"TensorRT {open_built(bundle, LOCAL_FEATURES).version} FP16")]
    except EngineError as error:
        return [Fact(name, "note", f"no usable {LOCAL_ENGINE}", str(with_command(error)))]


def what_follows(facts: list[Fact]) -> tuple[str, str]:
    """A sentence on what this machine can do, and the next command to type."""
    state = {fact.name: fact.state for fact in facts}
    said = {fact.name: fact.remedy or fact.found for fact in facts}
    program = edge_program()
    if state.get("JetPack") == "missing":
        return "This JetPack is too old for TensorRT 10.", "flash JetPack 6 or newer with NVIDIA SDK Manager"
    if state.get("engine") == "ok":
        return "Everything is there, the engine too.", f"{program} run --bundle {said['pack']} --camera 0"
    if state["GPU"] == "ok" and "ok" in (state["TensorRT for Python"], state["trtexec"]):
        if state.get("pack") == "ok":
            return "An engine can be built here.", f"{program} build {said['pack']}"
        return "An engine can be built here, once there is a pack.", f"{program} build NAME.campus-edge"
    if is_jetson():
        return "This Jetson lacks parts of JetPack.", "sudo apt update && sudo apt install nvidia-jetpack"
    if state["onnxruntime"] == "ok":
        return "No TensorRT here; the network runs on the CPU.", f"{program} run --backend onnxruntime PHOTO"
    return "Nothing here can run the network yet.", said["onnxruntime"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", nargs="?", type=Path, metavar="BUNDLE", help="default: $CAMPUS_BUNDLE, else the demo")
    parser.add_argument("--json", action="store_true", help="print everything as one JSON object")


def main(args: argparse.Namespace) -> int:
    facts = examine(args.bundle)
    meaning, following = what_follows(facts)
    if args.json:
        print(json.dumps({"facts": [asdict(fact) for fact in facts], "meaning": meaning, "next": following}, indent=1))
        return 0
    for fact in facts:
        print(f"{fact.state:<7}  {fact.name:<22} {fact.found}")
        if fact.remedy:
            print(f"{'':<9}{'':<22} -> {fact.remedy}")
    print(f"\n{meaning}\nnext: {following}")
    return 0
