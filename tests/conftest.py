"""Fixtures that more than one folder of tests needs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def campus_data() -> Path:
    """The folder of real campus photos ($CAMPUS_DATA), or skip: they may not be redistributed with the project."""
    folder = Path(os.environ.get("CAMPUS_DATA", REPOSITORY / ".." / "shared" / "data")).resolve()
    if not folder.is_dir():
        pytest.skip(f"no real photos: {folder} is not a folder (set CAMPUS_DATA)")
    return folder
