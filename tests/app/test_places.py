"""How the places that fit are named."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from app.places import candidate_names
from app.texts import Texts
from core.campus.bundle import Bundle
from core.locate.fix import Candidate, ZoneOdds
from tests.app.harness import sighting


def test_places_of_one_name_are_told_apart(bundle: Path) -> None:
    plain = sighting(zone="Library")
    twins = (Candidate(47.0, 8.4, 0.7), Candidate(47.0007, 8.3993, 0.15))
    fix = replace(plain.fix, candidates=twins)
    (named,) = candidate_names(fix, Bundle.load(bundle), Texts("en"))
    assert re.fullmatch(r"Library, 9\d m to the north-west", named[0])
    (other,) = candidate_names(replace(fix, zones=(ZoneOdds(4, "Law", 0.9),)), Bundle.load(bundle), Texts("en"))
    assert other[0] == "Library"
