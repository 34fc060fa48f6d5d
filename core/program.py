"""How this program was started: from a checkout, installed, or as a device's pack; and its files found by name."""

from __future__ import annotations

import sys
import zipfile
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

PACKED_REQUIREMENTS = "requirements-jetson.txt"  # lies in every pack: what this program needs on a device


def running_pack() -> Path | None:
    """The NAME.campus-edge that Python is running (`python3 NAME.campus-edge …`), or None."""
    started = Path(sys.argv[0])
    return started if _is_pack(started) else None


@lru_cache(maxsize=1)
def _is_pack(started: Path) -> bool:
    """A program of someone else's may be a zip as well, and use this one."""
    try:
        with zipfile.ZipFile(started) as archive:
            return PACKED_REQUIREMENTS in archive.namelist()
    except (OSError, ValueError, zipfile.BadZipFile):
        return False


def typed(package: str) -> str:
    """What starts a package's commands, as this program was started: `campus-gps train`, else `python -m train`."""
    if Path(sys.argv[0]).stem == "campus-gps":
        return f"campus-gps {'locate' if package == 'predict' else package}"
    return f"python -m {package}"


def choices(room: str) -> tuple[str, ...]:
    """The names of the files of a room, to choose among them: a new choice is one new file beside its siblings.

    `room` is the dotted name of a package, in a pack too.
    """
    return tuple(sorted(found.name for found in iter_modules(import_module(room).__path__)))


def chosen(room: str, name: str) -> Any:
    """The file of a room that is called `name`, with `-` or `_`, imported now; None where there is none."""
    file = name.replace("-", "_")
    return import_module(f"{room}.{file}") if file in choices(room) else None
