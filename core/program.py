"""How this program was started: from a checkout, or as the pack that a device runs."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

PACKED_REQUIREMENTS = "requirements-jetson.txt"  # lies in every pack: what this program needs on a device


def running_pack() -> Path | None:
    """The NAME.campus-edge that Python is running (`python3 NAME.campus-edge …`), or None."""
    started = Path(sys.argv[0])
    return started if zipfile.is_zipfile(started) else None
