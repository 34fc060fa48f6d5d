"""campus-gps COMMAND …: all that the package holds, as one command that works from any folder."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

from core.errors import run_cli


@dataclass(frozen=True)
class Entry:
    """A command: the module whose `main() -> exit code` answers it, and a line of help."""

    module: str
    help: str
    words: tuple[str, ...] = ()


ENTRIES = {
    "locate": Entry("predict", "where photos were taken"),
    "train": Entry("train.__main__", "photos become a campus bundle"),
    "edge": Entry("edge.__main__", "a bundle goes to a device, and runs there"),
    "serve": Entry("edge.__main__", "the field app for phones on this network, over https", ("serve",)),
}


def main() -> int:
    """Hand the command line to the command that its first word names, and return its exit code."""
    parser = argparse.ArgumentParser(prog="campus-gps", description=__doc__)
    parser.add_argument("--version", action="version", version=f"campus-gps {_version()}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, entry in ENTRIES.items():
        commands.add_parser(name, help=entry.help, add_help=False)
    name = parser.parse_args(sys.argv[1:2]).command
    entry = ENTRIES[name]
    # The commands' own parsers read sys.argv, and show its first word as the name of the program.
    sys.argv = [" ".join(("campus-gps", name)), *entry.words, *sys.argv[2:]]
    command: Callable[[], int] = import_module(entry.module).main
    return command()


def _version() -> str:
    try:
        return version("campus-gps")
    except PackageNotFoundError:
        return "(a checkout)"


def console() -> int:
    """The installed command's entry: as `main`, with errors in one line."""
    return run_cli(main)


if __name__ == "__main__":
    sys.exit(console())
