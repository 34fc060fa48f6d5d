"""What README and the pages in docs/ say is typed: the lines of Python run, and the commands know their options."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest

import campus_gps
from tests import REPOSITORY

PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
TYPED = re.compile(
    r"(?:python -m (?P<room>train|edge) |python3 demo\.campus-edge )(?P<command>[a-z-]+)(?P<words>[^`\n#]*)"
    r"|python -m app\.(?P<serve>serve)(?P<serve_words>[^`\n#]*)"
    r"|python (?P<locate>predict)\.py(?P<locate_words>[^`\n#]*)"
)


def typed() -> dict[tuple[str, ...], set[str]]:
    """The options that the pages give to each command."""
    found: dict[tuple[str, ...], set[str]] = {}
    for line in TYPED.finditer("\n".join(page.read_text("utf-8") for page in PAGES)):
        alone = "serve" if line["serve"] else "locate" if line["locate"] else None
        command = (alone,) if alone else (line["room"] or "edge", line["command"])
        words = line["words"] or line["serve_words"] or line["locate_words"] or ""
        found.setdefault(command, set()).update(re.findall(r"(?<!\S)--[a-z][a-z0-9-]*", words))
    return found


@pytest.mark.parametrize("command", sorted(typed()), ids=" ".join)
def test_a_command_of_the_pages_knows_its_options(
    command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["campus-gps", *command, "--help"])
    with pytest.raises(SystemExit) as stop:
        campus_gps.main()
    assert stop.value.code == 0
    assert typed()[command] <= set(re.findall(r"--[a-z][a-z0-9-]*", capsys.readouterr().out))


def test_readme_s_lines_of_python_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (lines,) = re.findall(r"^```python\n(.*?)^```", (REPOSITORY / "README.md").read_text("utf-8"), re.M | re.S)
    (tmp_path / "campuses").symlink_to(REPOSITORY / "campuses")
    shutil.copy(REPOSITORY / "campuses/demo/samples/test-night-IMG_00013.jpg", tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    exec(lines, {"photos": ["photo.jpg"]})
    position, fix = capsys.readouterr().out.splitlines()
    assert [float(number) for number in position.strip("[]").split()] == pytest.approx([30.6, 34.6], abs=0.002)
    assert fix.endswith("True")
