"""Files and folders written whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import CampusError


@contextmanager
def written_aside(out: Path) -> Iterator[Path]:
    """Give a path beside `out` to write a file or folder at, and move it to `out` when the block ends well.

    After an error nothing is left behind and what was at `out` still is.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    workshop = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        aside = workshop / out.name
        yield aside
        if not aside.exists():
            raise CampusError(f"{out}: nothing was written")
        if out.is_dir() and not out.is_symlink():
            os.rename(out, workshop / "replaced")  # a folder cannot be replaced in one step
        os.replace(aside, out)
    finally:
        shutil.rmtree(workshop, ignore_errors=True)


def write_aside(path: Path, data: bytes) -> None:
    """Write a file beside its place and rename it there: whoever reads it, even after a power cut, sees all or nothing.

    Lighter than `written_aside`, for thousands of small files in one folder.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    aside.write_bytes(data)
    aside.replace(path)
