"""Which campus a command line works on."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import pytest

from core.cli.campus import chosen_bundle


def test_what_is_given_wins_then_the_environment_then_the_running_pack(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pack = tmp_path / "demo.campus-edge"
    zipfile.ZipFile(pack, "w").close()
    monkeypatch.delenv("CAMPUS_BUNDLE", raising=False)
    monkeypatch.setattr(sys, "argv", ["predict.py"])
    assert chosen_bundle() is None
    monkeypatch.setattr(sys, "argv", [str(pack)])
    assert chosen_bundle() == pack
    monkeypatch.setenv("CAMPUS_BUNDLE", "named")
    assert chosen_bundle() == Path("named")
    assert chosen_bundle(Path("given")) == Path("given")
