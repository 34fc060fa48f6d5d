"""The commands that the pages tell are those of the program that serves them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from app import campuses
from app.collect.words import WORDS
from core.campus.bundle import Bundle
from tests import REPOSITORY
from tests.bundles import make_bundle

_ASKED = "import sys; sys.argv[0] = sys.argv[1]; from app.collect.words import WORDS; "
_ASKED += "sys.stdout.reconfigure(encoding='utf-8'); print(*(WORDS[lang]['accepted_how'] for lang in WORDS), sep='\\n')"


@pytest.mark.parametrize(
    ("program", "command"),
    [("/opt/venv/bin/campus-gps", "campus-gps train refresh"), ("x.py", "python -m train refresh")],
)
def test_the_review_page_names_the_refresh_of_this_program(program: str, command: str) -> None:
    line = [sys.executable, "-c", _ASKED, program]
    said = subprocess.run(line, cwd=REPOSITORY, capture_output=True, check=True, encoding="utf-8").stdout.splitlines()
    assert len(said) == 2
    assert all(f"{command} BUNDLE INBOX --out BUNDLE --force" in one for one in said)
    assert "\u2066" in WORDS["he"]["accepted_how"], "a command is no Hebrew"


def test_an_edge_packs_commands_are_those_of_this_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Bundle.load(make_bundle(tmp_path / "own"))
    monkeypatch.setattr(campuses, "_WEIGHTS", "gallery.npz")  # any file that it holds
    assert all(line.startswith("python -m edge ") for line in campuses.pack_commands(opened))
    monkeypatch.setattr(sys, "argv", ["/opt/venv/bin/campus-gps"])
    exporting, packing = campuses.pack_commands(opened)
    assert exporting.startswith("campus-gps edge export Testfield.campus ")
    assert packing.startswith("campus-gps edge pack Testfield.campus ")
