"""A fix and a refused photo, for every sink."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.locate.fix import Fix
from core.locate.localizer import Localizer
from tests.bundles import photo


@pytest.fixture(scope="module")
def fix(localizer: Localizer) -> Fix:
    return replace(localizer.locate(photo(east_m=-30, north_m=10)), probability=None, course_deg=90.0, speed_m_s=1.25)


@pytest.fixture(scope="module")
def refused(localizer: Localizer) -> Fix:
    return replace(localizer.locate(photo("elsewhere")), probability=None)
