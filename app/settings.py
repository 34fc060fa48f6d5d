"""What the app was started with: the campus it opens with, and where photos are kept.

`app.serve` gives both as arguments; `scripts/app` starts Streamlit alone, so there they are environment variables.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from core.cli.campus import chosen_bundle

KEEP_PHOTOS = "CAMPUS_KEEP_PHOTOS"


@dataclass(frozen=True)
class Settings:
    """`bundle`: None for the demo campus; `keep_photos`: a folder, or None where photos stay in memory."""

    bundle: Path | None = None
    keep_photos: Path | None = None

    @classmethod
    def from_environment(cls) -> Settings:
        kept = os.environ.get(KEEP_PHOTOS)
        return cls(chosen_bundle(), Path(kept) if kept else None)


_given: list[Settings] = []  # by whoever started this process: pages of Streamlit have no arguments


def give(chosen: Settings) -> None:
    """Set what `settings` answers from now on, whatever the environment says."""
    _given[:] = [chosen]


def settings() -> Settings:
    """What this process was started with."""
    return _given[0] if _given else Settings.from_environment()
