"""Processes that kill themselves: at one of their file operations, or when a folder holds so many files."""

from __future__ import annotations

import os
import signal
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any


def killed_at(step: int, write: Callable[[Path], None], out: Path) -> bool:
    """Run `write` in a process that kills itself at its `step`-th file operation; False where it has fewer."""
    with warnings.catch_warnings():
        # Forking beside other threads: the child does next to nothing.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        steps = 0

        def hear(event: str, _: tuple[Any, ...]) -> None:
            nonlocal steps
            if event.startswith(("open", "os.", "shutil.", "tempfile.", "fcntl.", "ctypes.call")):
                steps += 1
                if steps == step:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hear)
        write(out)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def end_later(folder: str, count: int, seconds: float) -> None:
    """Kill this process by a thread, `seconds` after `folder` holds `count` files.

    Another process that watched the folder might be held up until there is nothing left to kill.
    """

    def end() -> None:
        while not (os.path.isdir(folder) and len(os.listdir(folder)) >= count):
            time.sleep(0.002)
        time.sleep(seconds)
        os.kill(os.getpid(), signal.SIGKILL)

    Thread(target=end, daemon=True).start()
