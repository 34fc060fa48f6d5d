"""A function in a process of its own that is killed at one of its file operations."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
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
