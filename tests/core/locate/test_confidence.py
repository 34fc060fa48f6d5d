"""How sure an answer is, from its radii, its second place and whether the campus knows its own photos."""

from __future__ import annotations

import pytest

from core.locate.confidence import Confidence, confidence
from core.locate.fix import Candidate, Fix, ZoneOdds


def fix(radii_m: tuple[float, float] | None, rival: float, on_campus: bool | None) -> Fix:
    places = Candidate(47.0, 8.4, 0.7), Candidate(47.001, 8.4, rival)
    radius68_m, radius95_m = radii_m or (None, None)
    return Fix(47.0, 8.4, radius68_m, radius95_m, (ZoneOdds(0, "Library", 1.0),), places, on_campus, 0.1, "x", {})


@pytest.mark.parametrize(
    ("radii_m", "rival", "on_campus", "told"),
    [
        ((8, 20), 0.1, True, "good"),
        ((8, 20), 0.1, None, "likely"),  # a photo of elsewhere would be as clear
        ((8, 60), 0.1, True, "likely"),
        ((8, 60), 0.1, None, "likely"),
        ((8, 20), 0.3, None, "split"),
        ((40, 80), 0.1, None, "wide"),
        (None, 0.1, False, "elsewhere"),
    ],
)
def test_only_a_campus_that_knows_its_own_photos_is_clear(
    radii_m: tuple[float, float] | None, rival: float, on_campus: bool | None, told: Confidence
) -> None:
    assert confidence(fix(radii_m, rival, on_campus)) == told
