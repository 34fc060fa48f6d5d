"""A command line of several commands, each a module with `add_arguments(parser)` and `main(args) -> exit code`."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from core.errors import MissingDependency, OccupiedError

_CHATTY = ("torch", "onnxscript", "onnx_ir", "root")  # libraries that log at import or export what no one asked for

_OURS = ("core", "train", "edge", "app")
_PACKAGES = {"PIL": "pillow", "cv2": "opencv-python-headless", "sklearn": "scikit-learn"}  # pip's names for modules


@dataclass(frozen=True)
class Command:
    """Where a command lives, what it does in a line, and the requirements file that it needs."""

    module: str
    help: str
    requirements: str


def run_command(
    package: str,
    description: str | None,
    commands: Mapping[str, Command],
    program: str | None = None,
    former_names: Mapping[str, str] | None = None,
) -> int:
    """Run `python -m PACKAGE COMMAND …`, called `program` where it is started otherwise, and return its exit code.

    A command typed by its former name works as before, with a note on standard error. Only the chosen command is
    imported: an import of photos must not wait for torch, nor a Jetson have it.
    Raises MissingDependency when a package that it imports is absent.
    """
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    for chatty in _CHATTY:
        logging.getLogger(chatty).setLevel(logging.ERROR)
    for ours in _OURS:
        logging.getLogger(ours).setLevel(logging.INFO)
    parser = argparse.ArgumentParser(prog=program or f"python -m {package}", description=description)
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    parsers = {name: subparsers.add_parser(name, help=command.help) for name, command in commands.items()}
    chosen = next((word for word in sys.argv[1:] if not word.startswith("-")), None)
    if chosen is not None and (now := (former_names or {}).get(chosen)):
        print(f"note: {chosen} is now called {now}", file=sys.stderr)
        sys.argv[sys.argv.index(chosen)] = chosen = now
    if chosen is None or chosen not in commands:
        parser.parse_args()  # prints help or the error, and exits
        return 2
    command = commands[chosen]
    try:
        module = import_module(command.module)
        parsers[chosen].description = module.__doc__
        module.add_arguments(parsers[chosen])
        args = parser.parse_args()
        try:
            return int(module.main(args))
        except OccupiedError as error:
            raise _by_its_options(error, vars(args)) from error
    except ModuleNotFoundError as error:
        # Many packages are imported only where they are used, so one may be found missing at any time.
        missing = (error.name or "a package").partition(".")[0]
        if missing in _OURS:
            raise  # a fault of this program, which must not pass for a package to install
        raise MissingDependency(_PACKAGES.get(missing, missing), command.requirements) from error


def _by_its_options(error: OccupiedError, given: dict[str, Any]) -> OccupiedError:
    """The error with its remedy in the options that this command has, where one of them names the place."""
    named = [name for name, value in given.items() if isinstance(value, Path) and str(value) == error.path]
    option = "out" if "out" in given and (not named or "out" in named) else next(iter(named), None)
    remedy = error.remedy if option is None else f"choose another --{option.replace('_', '-')}"
    if option is not None and error.replaceable and "force" in given:
        remedy += ", or replace it with --force"
    return error.replace(remedy=remedy)
