"""What the app was started with: the campus it opens with, where photos are kept, and where sent ones wait.

`app.serve` gives them as arguments; `scripts/app` starts Streamlit alone, so there they are environment variables.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from core.cli.campus import chosen_bundle
from core.io.private_files import data_folder

KEEP_PHOTOS, INBOX, NAME_ZONES, BLUR = "CAMPUS_KEEP_PHOTOS", "CAMPUS_INBOX", "CAMPUS_NAME_ZONES", "CAMPUS_BLUR"


@dataclass(frozen=True)
class Settings:
    """`bundle`: None for the demo campus; `keep_photos`: a folder, or None where photos stay in memory.

    `inbox` is the folder of photos that visitors send on purpose, or None where none are taken; `collects` says that
    this server has the pages on which they are collected and reviewed, `names_zones` that visitors may name zones. With
    `blur` faces and number plates are painted over in whatever photo is stored.
    """

    bundle: Path | None = None
    keep_photos: Path | None = None
    inbox: Path | None = None
    collects: bool = False
    names_zones: bool = False
    blur: bool = False

    @classmethod
    def from_environment(cls) -> Settings:
        kept, inbox = os.environ.get(KEEP_PHOTOS), os.environ.get(INBOX, str(data_folder() / "inbox"))
        return cls(
            chosen_bundle(),
            Path(kept) if kept else None,
            Path(inbox) if inbox else None,
            names_zones=_is_on(NAME_ZONES),
            blur=_is_on(BLUR),
        )


def _is_on(name: str) -> bool:
    return os.environ.get(name, "") not in ("", "0")


_given: list[Settings] = []  # by whoever started this process: pages of Streamlit have no arguments


def give(chosen: Settings) -> None:
    """Set what `settings` answers from now on, whatever the environment says."""
    _given[:] = [chosen]


def settings() -> Settings:
    """What this process was started with."""
    return _given[0] if _given else Settings.from_environment()
