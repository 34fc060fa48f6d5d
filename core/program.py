"""What this program is called where it runs, for the commands that its messages tell people to type."""

from __future__ import annotations

import shlex
import sys
import zipfile
from pathlib import Path

PACKED_REQUIREMENTS = "requirements-jetson.txt"  # lies in every pack: what this program needs on a device


def running_pack() -> Path | None:
    """The NAME.campus-edge that Python is running (`python3 NAME.campus-edge …`), or None."""
    started = Path(sys.argv[0])
    return started if zipfile.is_zipfile(started) else None


def edge_program() -> str:
    """`python3 NAME.campus-edge` in a pack, else `python -m edge`; a command follows."""
    pack = running_pack()
    return f"python3 {shlex.quote(str(pack))}" if pack else "python -m edge"
