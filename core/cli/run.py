"""A command line's main: errors become one line on standard error and exit code 2."""

from __future__ import annotations

import errno
import io
import logging
import os
import sys
from collections.abc import Callable

from core.cli.log_lines import in_json
from core.errors import CampusError

log = logging.getLogger(__name__)

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


def run_cli(main: Callable[[], int]) -> int:
    """Run a command line's `main` and return its exit code; a CampusError or OSError is one line on stderr and 2.

    Where the log is JSON, so is that line.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a file's name may hold what the terminal has no letter for
    try:
        code = main()
        sys.stdout.flush()  # at exit it would be too late to say that the disk is full
        return code
    except CampusError as error:
        _say(f"error: {error}")
        return 2
    except BrokenPipeError:
        # The reader of our output went away (`… | head`): not an error of ours, and no traceback helps.
        _drop_output()
        return 0
    except OSError as error:
        _say(f"error: {_said(error)}")
        _drop_output()
        return 2
    except KeyboardInterrupt:
        _say("interrupted")
        return 130


def _say(text: str) -> None:
    """The last line of a command, in the form that its log has."""
    if in_json():
        log.error("%s", text.removeprefix("error: "))
    else:
        print(text, file=sys.stderr)


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
