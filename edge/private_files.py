"""Where `edge serve` keeps its keys: a folder of this user, in files that nobody else can read."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def data_folder() -> Path:
    """$XDG_DATA_HOME/campus-gps, or ~/.local/share/campus-gps where that is not set."""
    base = os.environ.get("XDG_DATA_HOME", "")
    # The XDG specification has relative paths ignored: they would scatter keys over working folders.
    root = Path(base) if os.path.isabs(base) else Path.home() / ".local" / "share"
    return root / "campus-gps"


def write_private(path: Path, data: bytes) -> None:
    """Put `data` at `path` with mode 0600, whole or not at all, making its folder (0700) where it is absent."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, trial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # mkstemp makes it 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.replace(trial, path)
    except BaseException:
        os.unlink(trial)
        raise


def read_private(path: Path) -> bytes | None:
    """The bytes at `path`, or None where there is no such file; one that others could read is closed to them."""
    try:
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)
        return path.read_bytes()
    except FileNotFoundError:
        return None
