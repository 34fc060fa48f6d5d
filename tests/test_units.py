"""The systemd units, read by systemd itself; and what they rely on in the two programs that they start."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.serving import start
from tests import REPOSITORY

UNITS = sorted((REPOSITORY / "scripts" / "systemd").glob("*.service"))
ANALYZE = shutil.which("systemd-analyze")
needs_systemd = pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed: apt install systemd")
MOST_EXPOSED = {"campus-gps-serve": 16, "campus-gps-run": 24}  # tenths of systemd's scale from 0 (closed) to 10


def analyze(unit: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(ANALYZE), *arguments, str(unit)], capture_output=True, text=True, check=False)


def here(unit: Path, folder: Path, old: str = "", new: str = "") -> Path:
    """The unit with a Python that this machine has, and perhaps a change."""
    text = re.sub(r"^ExecStart=\S+", f"ExecStart={sys.executable}", unit.read_text(), flags=re.MULTILINE)
    assert old in text
    copy = folder / unit.name
    copy.write_text(text.replace(old, new) if old else text)
    return copy


def test_there_is_a_unit_for_the_app_and_one_for_a_device() -> None:
    assert [unit.stem for unit in UNITS] == ["campus-gps-run", "campus-gps-serve"]


@needs_systemd
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_finds_no_fault_in_it(unit: Path, tmp_path: Path) -> None:
    checked = analyze(here(unit, tmp_path), "verify")
    assert (checked.returncode, checked.stderr) == (0, "")
    assert "often" in analyze(here(unit, tmp_path, "RestartSec=5", "RestartSec=often"), "verify").stderr


@needs_systemd
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_calls_it_hardened(unit: Path, tmp_path: Path) -> None:
    limit = ("security", "--offline=yes", f"--threshold={MOST_EXPOSED[unit.stem]}")
    assert analyze(here(unit, tmp_path), *limit).returncode == 0
    assert analyze(here(unit, tmp_path, "DynamicUser=yes", "User=root"), *limit).returncode != 0


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> socket.socket:
    wire = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    wire.bind(str(tmp_path / "notify"))
    wire.settimeout(120)
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    return wire


def test_a_device_with_no_photo_in_its_folder_stays_alive(
    pristine: Path, tmp_path: Path, manager: socket.socket
) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    line = [sys.executable, "-m", "edge", "run", "--watch", str(inbox), "--bundle", str(pristine), "--log", "json"]
    with manager, subprocess.Popen(line, cwd=REPOSITORY, stderr=subprocess.PIPE) as device:
        try:
            assert [manager.recv(100) for _ in range(3)] == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1"]
            device.terminate()
            while (said := manager.recv(100)) != b"STOPPING=1":
                assert said == b"WATCHDOG=1"
            assert device.stderr is not None
            lines = [text for text in device.stderr.read().splitlines() if text]
            assert device.wait(30) == 0
        finally:
            device.kill()
    assert json.loads(lines[0])["logger"] == "edge.device.run"


def test_a_server_is_ready_stays_alive_and_says_that_it_stops(
    pristine: Path, tmp_path: Path, manager: socket.socket
) -> None:
    running = start(tmp_path / "keys", pristine, "--log", "json")
    try:
        with manager:
            assert [manager.recv(100) for _ in range(3)] == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1"]
            os.kill(running.process.pid, 15)
            while (said := manager.recv(100)) != b"STOPPING=1":
                assert said == b"WATCHDOG=1"
    finally:
        running.stop()
