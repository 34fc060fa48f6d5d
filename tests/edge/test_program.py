"""The commands that this program names for what the engines say must be done."""

from __future__ import annotations

import sys

import pytest

from core.errors import EngineError
from edge import __main__ as edge
from edge.program import with_command


@pytest.mark.parametrize(
    ("step", "path", "command"),
    [
        ("build", "campus", "(`python -m edge build campus`)"),
        ("build", "", "(`python -m edge build`)"),
        ("build smaller", "", "(`python -m edge build … --max-batch 1`)"),
        ("doctor", "", "(`python -m edge doctor`)"),
    ],
)
def test_a_step_is_told_as_the_command_for_it(step: str, path: str, command: str) -> None:
    error = with_command(EngineError("is broken", path=path, remedy="mend it", step=step))
    assert str(error).endswith(f"is broken: mend it {command}")


def test_an_error_that_no_command_mends_stays_as_it_is() -> None:
    error = EngineError("is broken", remedy="mend it")
    assert with_command(error) is error


def test_the_command_line_names_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> int:
        raise EngineError("is broken", path="campus", remedy="mend it", step="build")

    monkeypatch.setattr(edge, "run_command", broken)
    monkeypatch.setattr(sys, "argv", ["edge", "run"])
    with pytest.raises(EngineError, match=r"mend it \(`python -m edge build campus`\)"):
        edge.main()
