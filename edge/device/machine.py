"""Facts about the machine this runs on, read from where Linux and JetPack put them; nothing is guessed."""

from __future__ import annotations

import ctypes
import os
import platform
import re
import shutil
import subprocess
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from core.engines.engine_key import device_model, l4t_release

# Release of Jetson Linux (L4T) -> JetPack, by major number.
JETPACKS = {"32": "4", "34": "5", "35": "5", "36": "6", "38": "7"}
LIBRARIES = ("libnvinfer.so.10", "libnvonnxparser.so.10", "libnvdla_compiler.so", "libcudart.so")
_ELSEWHERE = ("/usr/lib/aarch64-linux-gnu/nvidia", "/usr/lib/aarch64-linux-gnu/tegra", "/usr/local/cuda/lib64")


@dataclass(frozen=True)
class Memory:
    """Of the whole machine, in megabytes; a Jetson's GPU shares it."""

    total_mb: int
    available_mb: int
    swap_mb: int


def describe_device() -> str:
    """The board's name, or processor and system where it is no board."""
    return device_model() or f"{platform.machine()}, {platform.system()} {platform.release()}"


def jetpack(l4t: str) -> str:
    """ "6" for "36.4.3"; "" where the release is unknown."""
    return JETPACKS.get(l4t.split(".")[0], "")


def is_jetson() -> bool:
    return bool(l4t_release())


def memory(path: Path = Path("/proc/meminfo")) -> Memory | None:
    """None where the system does not say."""
    try:
        text = path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    kb = {match[1]: int(match[2]) for match in re.finditer(r"^(\w+):\s+(\d+) kB", text, re.M)}
    return Memory(*(kb.get(name, 0) // 1024 for name in ("MemTotal", "MemAvailable", "SwapTotal")))


def resident_mb(path: Path = Path("/proc/self/status")) -> float:
    """The most memory that this process has held, in megabytes; 0 where the system does not say."""
    try:
        found = re.search(r"^VmHWM:\s+(\d+) kB", path.read_text(encoding="ascii", errors="replace"), re.M)
    except OSError:
        return 0.0
    return int(found[1]) / 1024 if found else 0.0


def library_problem(name: str) -> str:
    """ "" when a shared library can be loaded, else the reason in one line."""
    for place in (name, *(f"{folder}/{name}" for folder in _ELSEWHERE)):
        if place != name and not os.path.exists(place):
            continue
        try:
            ctypes.CDLL(place)
            return ""
        except OSError as error:
            reason = " ".join(str(error).split())
    return reason


def module_version(name: str) -> str:
    """The version of a Python module or its package, "?" where none says, "" where it cannot be imported."""
    try:
        told = getattr(import_module(name), "__version__", "")
        return str(told or version(name))
    except PackageNotFoundError:  # the package has another name than its module
        return "?"
    except Exception:  # a module with a broken library under it may raise anything
        return ""


def cameras(folder: Path = Path("/dev")) -> list[str]:
    """/dev/video0, … as they are now."""
    return sorted(str(path) for path in folder.glob("video[0-9]*"))


def power_mode() -> str:
    """The Jetson's power mode as `nvpmodel -q` says it ("MAXN_SUPER"), or "" where it cannot be asked."""
    said = answer_of(["nvpmodel", "-q"])
    found = re.search(r"NV Power Mode: (\S+)", said)
    return found[1] if found else ""


def answer_of(command: list[str], timeout_s: float = 10.0) -> str:
    """What a program prints, or "" where it is absent, fails or takes too long."""
    if shutil.which(command[0]) is None:
        return ""
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=timeout_s, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
