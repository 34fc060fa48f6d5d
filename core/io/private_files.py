"""Where this user's files lie, and whether others may write there; the keys of `app.serve` among them, in files that
nobody else can read.
"""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from core.errors import CampusError


def data_folder() -> Path:
    """$XDG_DATA_HOME/campus-gps, or ~/.local/share/campus-gps where that is not set."""
    return _folder("XDG_DATA_HOME", ".local/share")


def cache_folder() -> Path:
    """$XDG_CACHE_HOME/campus-gps, or ~/.cache/campus-gps where that is not set: what may be deleted at any time."""
    return _folder("XDG_CACHE_HOME", ".cache")


def _folder(variable: str, default: str) -> Path:
    base = os.environ.get(variable, "")
    # The XDG specification has relative paths ignored: they would scatter keys over working folders.
    return (Path(base) if os.path.isabs(base) else Path.home() / default) / "campus-gps"


def is_private(folder: Path) -> bool:
    """Whether none but this user and the administrator may write to a folder, so that code in it may be run."""
    state = folder.stat()
    return stat.S_ISDIR(state.st_mode) and state.st_uid in (0, os.geteuid()) and not state.st_mode & 0o022


def _check_folder(folder: Path) -> None:
    """Raise CampusError where anyone may replace the files of a folder; that others may add to it does no harm to a
    file whose owner is asked for too.
    """
    mode = folder.stat().st_mode
    if os.name != "nt" and mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        raise CampusError(
            "any user may write there, so keys are not safe in it", path=folder, remedy=f"chmod o-w {folder}"
        )


def write_private(path: Path, data: bytes) -> None:
    """Put `data` at `path` with mode 0600, whole or not at all, making its folder (0700) where it is absent."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    _check_folder(path.parent)
    handle, trial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # mkstemp makes it 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())  # a key that a power cut emptied would lock its owner out
        os.replace(trial, path)
    except BaseException:
        os.unlink(trial)
        raise


def read_private(path: Path) -> bytes | None:
    """The bytes at `path`, or None where there is no such file; one that others could read is closed to them.

    Raises CampusError where another user could have put it there.
    """
    try:
        state = path.stat()
        _check_folder(path.parent)
        if os.name != "nt" and os.geteuid() not in (0, state.st_uid):
            raise CampusError("belongs to another user", path=path, remedy="give a folder of your own")
        if state.st_mode & 0o077:
            path.chmod(0o600)
        return path.read_bytes()
    except FileNotFoundError:
        return None
