"""Files and folders written whole or not at all, whatever ends the writer: an error, a full disk, a kill."""

from __future__ import annotations

import ctypes
import errno
import os
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import CampusError, OccupiedError

_ENDING = ".temporary"  # of the workshops, by which a later writer knows those of killed ones
_REPLACED = "replaced"


def read_regular(path: Path, limit: int) -> bytes:
    """The first `limit` bytes of a file. Raises OSError also for a pipe, a device, a socket or a folder.

    A pipe without a writer would be waited for, and a device may never end.
    """
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        pieces = []
        while limit and (piece := file.read(min(limit, 1 << 20))):  # asked for all at once, memory is taken for all
            pieces.append(piece)
            limit -= len(piece)
        return b"".join(pieces)


def check_replaceable(out: Path, force: bool, kind: str, marker: str | None) -> None:
    """Raise where `out` may not be written; long work asks before it begins, not after.

    What exists is replaced only with `force`, and only by its like: a folder where it holds `marker`, the file by
    which a folder of this `kind` ("campus bundle") is known, and a file where `marker` is None. Force on a mistyped
    path must not cost someone's work. An empty folder may always be filled. Raises OccupiedError, and OSError as
    `check_writable` does.
    """
    if out.exists() and not (marker is not None and out.is_dir() and not holds_something(out)):
        alike = out.is_file() if marker is None else (out / marker).exists()
        if not (alike and force):
            raise OccupiedError(out, kind, alike)
    check_writable(out)


@contextmanager
def written_atomically(out: Path) -> Iterator[Path]:
    """Give a path beside `out` to write a file or folder at, and move it to `out` when the block ends well.

    What was written is on the disk before it is moved, so that readers, even after a power cut, find the old or the
    new. After an error nothing is left behind and what was at `out` still is; what a killed writer left beside `out`,
    the next one clears away. An OSError of the writing names `out`. Raises CampusError where `out` is a device, or is a
    folder and what was written is none: a mistyped path must not cost someone's work.
    """
    if out.exists() and not (out.is_file() or out.is_dir()):
        raise CampusError("is no ordinary file or folder", path=out, remedy="choose another path")
    with naming(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        _clear_leftovers(out)
        workshop = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=_ENDING, dir=out.parent))
        held = _hold(workshop)
        try:
            temporary = workshop / out.name
            yield temporary
            if not temporary.exists():
                raise CampusError("nothing was written", path=out)
            if _is_folder(out) and not temporary.is_dir():
                raise _is_a_folder(out)
            _settle(temporary)
            if not _is_folder(out):
                os.replace(temporary, out)
            elif not _exchange(temporary, out):
                os.rename(out, workshop / _REPLACED)
                os.replace(temporary, out)
        finally:
            shutil.rmtree(workshop, ignore_errors=True)
            if held is not None:
                os.close(held)


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file beside its place and rename it there: whoever reads it finds all of it or nothing.

    Lighter than `written_atomically`, for thousands of small files in a temporary folder: it does not wait for the
    disk, so a power cut may still empty the file, and a kill leaves a hidden one beside it.
    """
    with naming(path):
        temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
        temporary.write_bytes(data)
        temporary.replace(path)


def check_writable(out: Path) -> None:
    """Raise OSError, naming `out`, where nothing can be written there: long work asks before it begins, not after."""
    with naming(out):
        folder = next(parent for parent in out.absolute().parents if parent.exists())
        with tempfile.TemporaryDirectory(prefix=f".{out.name}.", suffix=_ENDING, dir=folder):
            pass


def check_file_writable(out: Path) -> None:
    """The same for a file: raises CampusError, too, where a folder lies there, which no file replaces."""
    if _is_folder(out):
        raise _is_a_folder(out)
    check_writable(out)


def _is_folder(out: Path) -> bool:
    """Whether a folder itself lies there, not a link to one."""
    return out.is_dir() and not out.is_symlink()


def _is_a_folder(out: Path) -> CampusError:
    return CampusError("is a folder, not a file", path=out, remedy="choose another path")


def holds_something(folder: Path) -> bool:
    """Whether `folder` is there and has anything in it but what a killed writer left."""
    return folder.is_dir() and not all(path.match(f".*{_ENDING}") for path in folder.iterdir())


@contextmanager
def naming(out: Path) -> Iterator[None]:
    """Name `out` in an OSError that names nothing (a full disk does not), or a hidden file beside `out`."""
    try:
        yield
    except OSError as error:
        named = None if error.filename is None else Path(os.fsdecode(error.filename))
        if named is None or any(part.startswith(f".{out.name}.") for part in named.parts):
            error.filename = str(out)
        raise


def _clear_leftovers(out: Path) -> None:
    """Remove the workshops of killed writers of `out`, and put back what one of them had already moved away."""
    ours = re.compile(re.escape(f".{out.name}.") + r"[a-z0-9_]+" + re.escape(_ENDING))
    for left in [path for path in out.parent.iterdir() if ours.fullmatch(path.name)]:
        held = _hold(left)
        if held is None:
            continue  # its writer is at work
        if (left / _REPLACED).exists() and not out.exists():
            os.rename(left / _REPLACED, out)
        shutil.rmtree(left, ignore_errors=True)
        os.close(held)


def _hold(folder: Path) -> int | None:
    """Lock a folder until the handle is closed or this process ends; None where another process holds it."""
    if os.name != "posix":
        return None  # Windows has no such locks, and opens no folder: there leftovers stay
    handle = os.open(folder, os.O_RDONLY)
    if not _flocked(handle):
        os.close(handle)
        return None
    return handle


def try_lock(handle: int) -> bool:
    """Lock an open file until it is closed, or this process ends; False where another handle on it is locked.

    True also where there are no locks: on Windows and some network drives.
    """
    return _flocked(handle) is not False


def _flocked(handle: int) -> bool | None:
    """Whether an open file is locked now; False where another handle on it is, None where there are no locks."""
    try:
        import fcntl
    except ImportError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _settle(path: Path) -> None:
    """Wait until a file, or a folder and all in it, is on the disk."""
    if os.name != "posix":
        return  # only POSIX lets a folder be synced
    for inner in (path, *path.rglob("*")):
        handle = os.open(inner, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two paths in one step, which `os.rename` cannot do for folders; False where the system cannot either."""
    if sys.platform != "linux":
        return False
    try:
        renameat2 = ctypes.CDLL(None).renameat2
    except AttributeError:  # a C library older than 2018
        return False
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    return bool(renameat2(here, os.fsencode(one), here, os.fsencode(other), exchange) == 0)
