"""Every command of `train` from outside: its options without torch, and bad input."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests import REPOSITORY
from tests.train.harness import train_cli

pytestmark = [pytest.mark.slow, pytest.mark.quick]  # each starts a process that imports much

WITHOUT_TORCH = """
import sys

class NoTorch:
    def find_spec(self, name, *_):
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, NoTorch())
from train.__main__ import main
main()
"""


@pytest.mark.parametrize("command", ["ingest", "split", "fit", "bundle", "evaluate"])
def test_every_command_tells_its_options_without_torch(command: str) -> None:
    line = [sys.executable, "-c", WITHOUT_TORCH, command, "--help"]
    done = subprocess.run(line, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"train {command}" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("evaluate", "nowhere", "nothing"), "no such campus bundle"),
        (("evaluate", "nowhere", "nothing", "--json", "."), "is a folder, not a file"),
        (("split", "nowhere"), "no such dataset"),
        (("bundle", "nowhere", "--out", "out"), "not a run"),
        (("fit", "nowhere", "--out", "out"), "no such dataset"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    words: tuple[str, ...],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert train_cli(monkeypatch, *words) == 2
    error = capsys.readouterr().err
    assert said in error
    assert len(error.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
