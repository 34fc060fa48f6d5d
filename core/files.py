"""Files and folders written whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import CampusError


def check_replaceable(out: Path, force: bool, kind: str, marker: str | None) -> None:
    """Raise CampusError where `out` may not be written; long work asks before it begins, not after.

    What exists is replaced only with `force`, and only by its like: a folder where it holds `marker`, the file by
    which a folder of this `kind` ("campus bundle") is known, and a file where `marker` is None. --force on a mistyped
    path must not cost someone's work.
    """
    if not out.exists():
        return
    if not force:
        raise CampusError(f"{out}: exists already: choose another --out, or replace it with --force")
    alike = out.is_file() if marker is None else out.is_dir() and ((out / marker).exists() or not any(out.iterdir()))
    if not alike:
        raise CampusError(f"{out}: holds something that is no {kind}: choose another --out")


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
