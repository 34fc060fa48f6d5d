"""What runs on a device runs without torch, onnx and pandas, and on the Python of JetPack 6."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from tests import REPOSITORY
from tests.bundles import make_bundle, photo

ABSENT = ("torch", "onnx", "onnxscript", "pandas", "streamlit", "scipy", "safetensors", "sklearn", "timm")
COMMANDS = ("build", "run", "bench", "doctor")
# `python -m edge …` in a Python that has none of ABSENT
START = f"""
import sys
sys.modules.update(dict.fromkeys({ABSENT!r}))
sys.argv[0] = "edge"
from core.cli.run import run_cli
from edge.__main__ import main
sys.exit(run_cli(main))
"""


def on_device(*arguments: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-c", START, *arguments]
    return subprocess.run(line, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_device_command_needs_nothing_of_a_workstation(command: str) -> None:
    done = on_device(command, "--help")
    assert done.returncode == 0, done.stderr
    assert f"edge {command}" in done.stdout


def test_a_photo_is_located_there(tmp_path: Path) -> None:
    (tmp_path / "one.jpg").write_bytes(photo())
    done = on_device("run", "--bundle", str(make_bundle(tmp_path / "field")), str(tmp_path / "one.jpg"))
    assert done.returncode == 0, done.stderr
    assert '"lat": 4' in done.stdout


def test_what_needs_a_workstation_says_so_there(tmp_path: Path) -> None:
    done = on_device("verify", str(tmp_path))
    assert done.returncode == 2
    assert "pip install -r requirements-train.txt" in done.stderr


def test_no_file_uses_more_than_python_3_10() -> None:
    if importlib.util.find_spec("vermin") is None:
        pytest.skip("vermin is not installed: pip install -r requirements-dev.txt")
    script = (REPOSITORY / "scripts" / "resolve-jetson").read_text()
    assert "--target=3.10-" in script
    left_out = {"model", "onnx_export", "campus_map", "basemap", "labels"}
    sources = [path for path in (REPOSITORY / "core").glob("*.py") if path.stem not in left_out]
    sources += [
        REPOSITORY / "edge" / f"{name}.py" for name in (*COMMANDS, "__main__", "sources", "sinks", "nmea", "newest")
    ]
    sources += [
        REPOSITORY / "edge" / f"{name}.py" for name in ("machine", "tegrastats", "trtexec", "engine_build", "pack")
    ]
    sources += [REPOSITORY / "edge" / f"{name}.py" for name in ("manifest", "parity")]
    check = [sys.executable, "-c", "import vermin; vermin.main()", "--target=3.10-", "--no-tips", "--violations"]
    done = subprocess.run([*check, *map(str, sources)], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout


def test_a_newer_module_would_be_noticed(tmp_path: Path) -> None:
    if importlib.util.find_spec("vermin") is None:
        pytest.skip("vermin is not installed: pip install -r requirements-dev.txt")
    (tmp_path / "newer.py").write_text("import tomllib\n")
    check = [sys.executable, "-c", "import vermin; vermin.main()", "--target=3.10-", str(tmp_path / "newer.py")]
    assert subprocess.run(check, capture_output=True, check=False, timeout=60).returncode == 1
