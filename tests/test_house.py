"""The size of rooms: few entries in each, files of one idea, functions that fit a screen."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import REPOSITORY

ROOMS = ("core", "train", "edge", "app")
MAX_LINES, MAX_FUNCTION_LINES, MAX_ENTRIES = 400, 60, 12


def too_long(path: Path) -> Iterator[str]:
    """A line for the file, and for each of its functions, where it is over the limit."""
    text = path.read_text("utf-8")
    if (lines := len(text.splitlines())) > MAX_LINES:
        yield f"{path}: {lines} lines"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert node.end_lineno is not None
            if (lines := node.end_lineno - node.lineno + 1) > MAX_FUNCTION_LINES:
                yield f"{path}:{node.lineno}: {node.name} has {lines} lines"


@pytest.mark.parametrize("room", ROOMS)
def test_files_and_functions_can_be_read_at_one_sitting(room: str) -> None:
    files = sorted((REPOSITORY / room).rglob("*.py"))
    assert len(files) > 10
    assert [line for file in files for line in too_long(file)] == []


@pytest.mark.parametrize("room", ["core", "train", "edge"])
def test_a_room_shows_few_things(room: str) -> None:
    shown = [path.name for path in (REPOSITORY / room).iterdir() if not path.name.startswith((".", "__pycache__"))]
    assert 3 < len(shown) <= MAX_ENTRIES, sorted(shown)


def test_what_is_too_long_is_named(tmp_path: Path) -> None:
    file = tmp_path / "long.py"
    body = "    x = 1\n" * (MAX_FUNCTION_LINES - 1)
    file.write_text(f"def fits():\n{body}\n\nasync def long():\n{body}    y = 2\n")
    (line,) = too_long(file)
    assert "long has 61 lines" in line
    file.write_text("# a comment\n" * (MAX_LINES + 1))
    assert list(too_long(file)) == [f"{file}: 401 lines"]
