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


@pytest.mark.parametrize(
    ("place", "least"),
    [*((room, 10) for room in ROOMS), ("benchmarks", 10), ("tests", 200), ("scripts", 1), ("docs", 1), (".", 4)],
)
def test_files_and_functions_can_be_read_at_one_sitting(place: str, least: int) -> None:
    files = sorted((REPOSITORY / place).glob("*.py" if place == "." else "**/*.py"))
    assert len(files) >= least
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


# The doors, where the environment is read: a command line's campus, the app's start, the XDG folders, systemd,
# an MQTT broker's password; and two settings that libraries take in no other way.
READS_ENVIRONMENT = {
    "core/cli/campus.py", "core/cli/service_manager.py", "core/io/private_files.py", "app/settings.py",
    "app/serve/__main__.py", "app/trial.py", "edge/__main__.py", "edge/device/run.py", "edge/device/sinks/mavlink.py",
}  # fmt: skip


def reads_environment(path: Path) -> bool:
    """Whether a file names `os.environ` or `os.getenv`."""
    return any(
        isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
    )


def test_settings_travel_as_arguments() -> None:
    files = [file for room in ROOMS for file in sorted((REPOSITORY / room).rglob("*.py"))]
    found = {file.relative_to(REPOSITORY).as_posix() for file in files if reads_environment(file)}
    assert found == READS_ENVIRONMENT


def test_the_core_names_no_command_of_a_room_above_it() -> None:
    """In what it says to people; comments and docstrings may."""
    commands = ("python -m train", "python -m edge", "python -m app", "predict.py")
    for file in sorted((REPOSITORY / "core").rglob("*.py")):
        tree = ast.parse(file.read_text("utf-8"))
        documents = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and node.body
            and isinstance(node.body[0], ast.Expr)
        }  # fmt: skip
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documents:
                assert not any(command in node.value for command in commands), f"{file}:{node.lineno}"
