"""What the pages for people say is typed: the lines of Python run, the commands and their options are there."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

import campus_gps
from benchmarks.__main__ import ASKED_FOR, NAMES
from tests import REPOSITORY

PAGES = [
    *(REPOSITORY / name for name in ("README.md", "SECURITY.md", "ARCHITECTURE.md", "benchmarks/PREFACE.md")),
    *sorted((REPOSITORY / "docs").glob("*.md")),
]
ALL = "\n".join(page.read_text("utf-8") for page in PAGES)
NAMES_OF_SEVERAL = r"[a-z-]+(?:, [a-z-]+)*"  # `python -m train ingest, split`
TYPED = re.compile(
    r"(?:(?:python -m |campus-gps )(?P<room>train|edge) |python3 demo\.campus-edge )"
    rf"(?P<command>{NAMES_OF_SEVERAL})(?P<words>[^`\n#]*)"
    rf"|campus-gps (?P<installed>{NAMES_OF_SEVERAL})(?P<installed_words>[^`\n#]*)"
    r"|python -m app\.(?P<serve>serve)(?P<serve_words>[^`\n#]*)"
    r"|python (?P<locate>predict)\.py(?P<locate_words>[^`\n#]*)"
)


def typed() -> dict[tuple[str, ...], set[str]]:
    """The options that the pages give to each command."""
    found: dict[tuple[str, ...], set[str]] = {}
    for line in TYPED.finditer(ALL):
        alone = "serve" if line["serve"] else "locate" if line["locate"] else line["installed"]
        room = () if alone else (line["room"] or "edge",)
        words = next(
            line[key] for key in ("words", "serve_words", "locate_words", "installed_words") if line[key] is not None
        )
        for name in (alone or line["command"]).split(", "):
            found.setdefault((*room, name), set()).update(re.findall(r"(?<!\S)--[a-z][a-z0-9-]*", words))
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


def measured(text: str) -> set[tuple[str, str]]:
    """What a text types after `python -m benchmarks`: the name of a benchmark, or `.FILE`."""
    return set(re.findall(r"python -m benchmarks(?:(\.[a-z_]+)| ([a-z][a-z0-9_]+))", text))


@pytest.mark.parametrize("name", sorted("".join(found) for found in measured(ALL)))
def test_a_benchmark_of_the_pages_is_there(name: str) -> None:
    if name.startswith("."):
        assert (REPOSITORY / "benchmarks" / f"{name[1:]}.py").is_file()
    else:
        assert name in (*NAMES, *ASKED_FOR)


def test_every_page_and_kind_of_command_is_read() -> None:
    assert {("train", "compare"), ("edge", "bench"), ("serve",), ("locate",), ("train",)} <= typed().keys()
    assert {"soak", "gpu", ".large_archive"} <= {"".join(found) for found in measured(ALL)}


def test_readme_s_lines_of_python_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each block by itself, from a folder where the demo campus lies as in a checkout."""
    blocks = re.findall(r"^```python\n(.*?)^```", (REPOSITORY / "README.md").read_text("utf-8"), re.M | re.S)
    (tmp_path / "campuses").symlink_to(REPOSITORY / "campuses")
    monkeypatch.chdir(tmp_path)
    for block in blocks:
        exec(block, {})
    position, fix = capsys.readouterr().out.splitlines()
    assert [float(number) for number in position.strip("[]").split()] == pytest.approx([30.6, 34.6], abs=0.002)
    assert fix.endswith("True")
