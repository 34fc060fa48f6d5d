"""What this program is called where it runs, and its commands for what the engines say must be done."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager

from core.errors import EngineError
from core.program import running_pack, typed


def edge_program() -> str:
    """`python3 NAME.campus-edge` in a pack, else `python -m edge` or `campus-gps edge`; a command follows."""
    pack = running_pack()
    return f"python3 {shlex.quote(str(pack))}" if pack else typed("edge")


def with_command(error: EngineError) -> EngineError:
    """The error, its remedy followed by the command to type where this program has one for its `step`."""
    program = edge_program()
    command = {
        "pack": f"`{typed('edge')} export BUNDLE --out DIR`, `{typed('edge')} pack BUNDLE DIR --out NAME.campus-edge`",
        "build": f"`{program} build {error.path}`".replace(" `", "`"),
        "build smaller": f"`{program} build … --max-batch 1`",
        "doctor": f"`{program} doctor`",
    }.get(error.step)
    return error.replace(remedy=f"{error.remedy} ({command})") if command else error


@contextmanager
def commands_in_remedies() -> Iterator[None]:
    """Within it, or within a function that it decorates, an EngineError leaves as `with_command` has it."""
    try:
        yield
    except EngineError as error:
        raise with_command(error) from error
