"""Every error this project raises on purpose.

CampusError                 one clear line for the person: what is wrong, and the remedy
├── PhotoError              a photo cannot be read or used
├── BundleError             a campus bundle is missing, damaged, or of another version
├── DatasetError            a photo folder, label file or dataset cannot be trained on
├── EngineError             an inference engine cannot be made or gave unusable output
└── MissingDependency       an optional package is absent; names the requirements file that brings it

Command lines print the message alone on standard error and exit with code 2; what the disk refuses (OSError) they print
the same way (see `run_cli`).
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable

from core.program import PACKED_REQUIREMENTS, running_pack

_SPACE = "free some space there, then run the same command again"
_RIGHTS = "choose another place, or change its permissions"
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_REMEDIES = {
    **dict.fromkeys(_NO_ROOM, _SPACE),
    errno.EFBIG: "choose a place that takes files as large as this",
    errno.EROFS: "choose another place, or make it writable",
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
}


class CampusError(Exception):
    """A problem the person can do something about; `str(error)` is one line naming the thing and the remedy."""


class PhotoError(CampusError):
    """A photo cannot be read or used."""


class BundleError(CampusError):
    """A campus bundle is missing, damaged, or of another version."""


class DatasetError(CampusError):
    """A photo folder, label file or dataset cannot be trained on."""


class EngineError(CampusError):
    """An inference engine cannot be made or gave unusable output."""


class MissingDependency(CampusError):
    """The package `package` is not installed; the file `requirements` brings it.

    On a device numpy and Pillow are the system's, and a pack holds requirements-jetson.txt alone, so there any other
    package is named by itself.
    """

    def __init__(self, package: str, requirements: str) -> None:
        super().__init__(package, requirements)

    def __str__(self) -> str:
        package, requirements = self.args
        pack, source = running_pack(), f"-r {requirements}"
        if pack is not None and package in ("numpy", "pillow"):
            return f"{package} is not installed: sudo apt install python3-numpy python3-pil"
        if pack is not None and requirements == PACKED_REQUIREMENTS:
            source = f"{source} (`unzip {pack} {requirements}` takes it out of the pack)"
        elif pack is not None:
            source = package
        return f"{package} is not installed: pip install {source}"


def reason_of(error: Exception) -> str:
    """What an exception of a library says, in one line of at most 200 characters, or its kind where it says nothing.

    zipfile and Pillow put pieces of a damaged file into theirs, as long as that file likes.
    """
    return in_a_line(str(error)) or type(error).__name__


def in_a_line(text: str) -> str:
    """A stranger's text as a message may repeat it: its first 200 characters, without line breaks."""
    return " ".join(text.split())[:200]


def run_cli(main: Callable[[], int]) -> int:
    """Run a command line's `main` and return its exit code; a CampusError or OSError is one line on stderr and 2."""
    try:
        code = main()
        sys.stdout.flush()  # at exit it would be too late to say that the disk is full
        return code
    except CampusError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # The reader of our output went away (`… | head`): not an error of ours, and no traceback helps.
        sys.stderr.close()
        return 0
    except OSError as error:
        print(f"error: {_said(error)}", file=sys.stderr)
        _drop_output()
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def _said(error: OSError) -> str:
    """An OSError as one line: the file, what is wrong, and the remedy where there is one."""
    # All that writes files names them, so a disk without room for a nameless one is that of standard output.
    place = error.filename or ("standard output" if error.errno in _NO_ROOM else "")
    parts = (place, error.strerror or str(error), _REMEDIES.get(error.errno or 0, ""))
    return ": ".join(str(part) for part in parts if part)


def _drop_output() -> None:
    """Let go of what could not be printed, of which Python would complain once more at its end."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
