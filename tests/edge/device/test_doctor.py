from __future__ import annotations

import json
import subprocess
import sys
from ctypes.util import find_library
from pathlib import Path

import pytest

from core.campus.bundle import Bundle
from edge.device import doctor, machine
from edge.device.build import build
from edge.device.doctor import Fact, examine, what_follows
from edge.device.engine_build import BuildFlags
from tests import REPOSITORY
from tests.bundles import make_bundle
from tests.core.engines.fake_cuda import FakeCuda


def facts(changes: dict[str, str]) -> list[Fact]:
    plain = {"GPU": "missing", "TensorRT for Python": "missing", "trtexec": "note", "onnxruntime": "ok"}
    return [Fact(name, state, "", f"mend {name}") for name, state in {**plain, **changes}.items()]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "following"),
    [
        ({}, "run --backend onnxruntime"),
        ({"onnxruntime": "note"}, "mend onnxruntime"),
        ({"GPU": "ok", "TensorRT for Python": "ok"}, "build NAME.campus-edge"),
        ({"GPU": "ok", "trtexec": "ok"}, "build NAME.campus-edge"),
        ({"GPU": "ok", "TensorRT for Python": "ok", "pack": "ok"}, "python -m edge build mend pack"),
        ({"GPU": "ok", "TensorRT for Python": "ok", "pack": "ok", "engine": "ok"}, "--camera 0"),
        ({"JetPack": "missing"}, "flash JetPack 6"),
    ],
)
def test_the_next_command_follows_from_the_facts(changes: dict[str, str], following: str) -> None:
    assert following in what_follows(facts(changes))[1]


def test_a_jetson_without_tensorrt_is_sent_to_jetpack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "is_jetson", lambda: True)
    assert "apt install nvidia-jetpack" in what_follows(facts({"GPU": "ok"}))[1]


@pytest.mark.parametrize(("l4t", "state"), [("35.4.1", "missing"), ("36.4.3", "ok"), ("38.2.0", "ok"), ("99.1", "ok")])
def test_an_old_jetpack_is_said(monkeypatch: pytest.MonkeyPatch, l4t: str, state: str) -> None:
    monkeypatch.setattr(doctor, "is_jetson", lambda: True)
    monkeypatch.setattr(doctor, "l4t_release", lambda: l4t)
    monkeypatch.setattr(doctor, "power_mode", lambda: "15W")
    found = {fact.name: fact for fact in examine(None)}
    assert found["JetPack"].state == state
    assert l4t in found["JetPack"].found
    assert found["power mode"].remedy == "sudo nvpmodel -m 0; sudo jetson_clocks"


def test_a_device_with_its_engine_needs_nothing(unpacked: Bundle, device: FakeCuda) -> None:
    assert device.devices
    found = {fact.name: fact for fact in examine(unpacked.path)}
    assert found["GPU"].found == "compute capability 8.7, CUDA 12.6"
    assert found["engine"].state == "note"
    assert "python -m edge build" in found["engine"].remedy
    build(unpacked, BuildFlags(max_batch=1))
    found = {fact.name: fact for fact in examine(unpacked.path)}
    assert found["engine"] == Fact("engine", "ok", "TensorRT 10.3.0 FP16")


def test_the_command_works_on_this_machine_whatever_it_is(tmp_path: Path) -> None:
    field = make_bundle(tmp_path / "field")
    line = [sys.executable, "-m", "edge", "doctor", str(field)]
    done = subprocess.run([*line, "--json"], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    report = json.loads(done.stdout)
    names = [fact["name"] for fact in report["facts"]]
    assert {"machine", "GPU", "TensorRT for Python", "libnvdla_compiler.so", "cameras", "campus"} <= set(names)
    assert report["next"]
    done = subprocess.run(line, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout.rstrip().splitlines()[-1].startswith("next: ")


def test_an_absent_library_says_why() -> None:
    assert "libabsent.so.9" in machine.library_problem("libabsent.so.9")
    known = find_library("c") or "libc.so.6"
    assert machine.library_problem(known) == ""


def test_memory_is_read(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text(
        "MemTotal: 7850000 kB\nMemFree: 1 kB\nMemAvailable: 2048000 kB\nSwapTotal: 0 kB\n"
    )
    assert machine.memory(tmp_path / "meminfo") == machine.Memory(7666, 2000, 0)
    assert machine.memory(tmp_path / "absent") is None
    assert machine.resident_mb() > 10


def test_cameras_are_those_of_video4linux(tmp_path: Path) -> None:
    for name in ("video1", "video0", "vide", "videodev"):
        (tmp_path / name).touch()
    assert [Path(camera).name for camera in machine.cameras(tmp_path)] == ["video0", "video1"]


def test_a_power_mode_is_read_from_nvpmodel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvpmodel"
    program.write_text("#!/bin/sh\necho 'NV Power Mode: MAXN_SUPER\n2'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert machine.power_mode() == "MAXN_SUPER"
    program.write_text("#!/bin/sh\nexit 1\n")
    assert machine.power_mode() == ""
    monkeypatch.setenv("PATH", "/nowhere")
    assert machine.power_mode() == ""


def test_it_says_what_each_sink_needs() -> None:
    (missing,) = [fact for fact in examine(None) if fact.name == "pymavlink"]
    assert missing.state in ("ok", "note")
    assert {"pynmea2", "paho.mqtt", "rosbags"} <= {fact.name for fact in examine(None)}
