"""Which campus a command line works on."""

from __future__ import annotations

import sys
import zipapp
import zipfile
from pathlib import Path

import pytest

from core.cli.campus import chosen_bundle
from core.program import PACKED_REQUIREMENTS


def test_what_is_given_wins_then_the_environment_then_the_running_pack(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pack = tmp_path / "demo.campus-edge"
    with zipfile.ZipFile(pack, "w") as archive:
        archive.writestr(PACKED_REQUIREMENTS, "")
    monkeypatch.delenv("CAMPUS_BUNDLE", raising=False)
    monkeypatch.setattr(sys, "argv", ["predict.py"])
    assert chosen_bundle() is None
    monkeypatch.setattr(sys, "argv", [str(pack)])
    assert chosen_bundle() == pack
    monkeypatch.setenv("CAMPUS_BUNDLE", "named")
    assert chosen_bundle() == Path("named")
    assert chosen_bundle(Path("given")) == Path("given")


def test_a_program_of_another_s_that_is_a_zip_is_no_campus(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "__main__.py").write_text("print('mine')")
    zipapp.create_archive(tmp_path / "work", tmp_path / "work.pyz")
    monkeypatch.delenv("CAMPUS_BUNDLE", raising=False)
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "work.pyz")])
    assert chosen_bundle() is None
