"""campus-gps COMMAND …: all that the package holds, as one command that works from any folder."""

from __future__ import annotations

import argparse
import shlex
import sys
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from core.cli.run import run_cli
from core.errors import MissingDependency


@dataclass(frozen=True)
class Entry:
    """A command: the module whose `main(program) -> exit code` answers it, and a line of help."""

    module: str
    help: str


ENTRIES = {
    "locate": Entry("predict", "where photos were taken"),
    "train": Entry("train.__main__", "photos become a campus bundle"),
    "edge": Entry("edge.__main__", "a bundle goes to a device, and runs there"),
    "serve": Entry("app.serve.__main__", "the field app for phones on this network, over https"),
}

# Installed without what they ask for, which no extra can say; the wheel holds these files.
ALONE = ("requirements-blur.txt", "requirements-second-look.txt")
EXTRAS = ("train", "cluster", "receivers")  # of the package, each what requirements-EXTRA.txt names


def main() -> int:
    """Hand the command line to the command that its first word names, and return its exit code."""
    parser = argparse.ArgumentParser(prog="campus-gps", description=__doc__)
    parser.add_argument("--version", action="version", version=f"campus-gps {_version()}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, entry in ENTRIES.items():
        commands.add_parser(name, help=entry.help, add_help=False)
    name = parser.parse_args(sys.argv[1:2]).command
    del sys.argv[1]  # the command's own parser reads the rest
    try:
        return int(import_module(ENTRIES[name].module).main(f"campus-gps {name}"))
    except MissingDependency as error:
        here = Path(__file__).resolve().parent
        if (here / "pyproject.toml").is_file():
            raise
        # Installed from a wheel, there is hardly a requirements file to name; pip reads an installed package's extras.
        package, requirements = map(str, error.args)
        if requirements in ALONE:
            alone = shlex.quote(str(here / requirements))
            raise error.replace(remedy=f"pip install --no-deps -r {alone}") from error
        extra = requirements.removeprefix("requirements-").removesuffix(".txt")
        wanted = f'"campus-gps[{extra}]"' if extra in EXTRAS else package
        raise error.replace(remedy=f"pip install {wanted}") from error


def _version() -> str:
    try:
        return version("campus-gps")
    except PackageNotFoundError:
        return "(not installed)"


def console() -> int:
    """The installed command's entry: as `main`, with errors in one line."""
    return run_cli(main)


if __name__ == "__main__":
    sys.exit(console())
