"""Which campus a command line works on."""

from __future__ import annotations

import os
from pathlib import Path

from core.program import running_pack

VARIABLE = "CAMPUS_BUNDLE"


def chosen_bundle(given: Path | None = None) -> Path | None:
    """The bundle `given`, else $CAMPUS_BUNDLE, else the pack that Python is running; None for the demo campus."""
    named = os.environ.get(VARIABLE)
    return given or (Path(named) if named else running_pack())
