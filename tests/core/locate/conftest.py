from __future__ import annotations

from pathlib import Path

import pytest

from core.locate.localizer import Localizer


@pytest.fixture(scope="session")
def localizer(pristine: Path) -> Localizer:
    """The test campus, opened once; not to be changed."""
    return Localizer.load(pristine)
