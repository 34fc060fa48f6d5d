"""What of an answer the map draws unasked: one place where it says one place, several where places look alike."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import unquote

import pytest

from app import cards
from app.map.deck import campus_deck, view_of
from app.map.drawn import NOTHING_MORE, Shown, draws_heat, numbered_places
from app.map.legend import legend
from app.map.shapes import LIGHT, css
from app.map.still import still_map
from app.texts import Texts
from core.campus.bundle import Bundle
from core.locate.confidence import confidence
from core.locate.fix import Candidate, Fix
from core.locate.localizer import Localizer
from tests.app.harness import locate
from tests.bundles import CENTRE, make_bundle, photo

ASKED = Shown(heat=True)


@pytest.fixture(scope="module")
def localizer(tmp_path_factory: pytest.TempPathFactory) -> Localizer:
    return Localizer.load(make_bundle(tmp_path_factory.mktemp("campus") / "testfield"))


def rivalled(localizer: Localizer, radius68_m: float, radius95_m: float, rival: float) -> Fix:
    """An answer at the campus's middle whose second place lies 330 m to its north."""
    fix = localizer.locate(photo())
    there = replace(fix.candidates[0], mass=0.8), Candidate(CENTRE[0] + 0.003, CENTRE[1], rival)
    return replace(fix, radius68_m=radius68_m, radius95_m=radius95_m, candidates=there)


def drawn(bundle: Bundle, fix: Fix, shown: Shown) -> tuple[set[str], bool]:
    """The ids of the map's layers, and whether the still map has a numbered place."""
    ids = {layer.id for layer in campus_deck(bundle, fix, shown=shown).layers}
    still = unquote(still_map(bundle, fix, shown=shown))
    return ids, f"r='12' fill='{css(LIGHT.candidate)}'" in still


@pytest.mark.parametrize(
    ("kind", "radii", "rival"), [("good", (8, 20), 0.1), ("likely", (20, 60), 0.1), ("wide", (60, 150), 0.1)]
)
def test_one_place_is_drawn_as_one_unless_more_is_asked_for(
    localizer: Localizer, kind: str, radii: tuple[float, float], rival: float
) -> None:
    fix, bundle = rivalled(localizer, *radii, rival), localizer.bundle
    assert confidence(fix) == kind
    ids, still = drawn(bundle, fix, NOTHING_MORE)
    assert not {"candidates", "candidate_numbers"} & ids
    assert not still
    assert not draws_heat(fix, NOTHING_MORE)
    assert not {"candidate", "probability"} & {item.key for item in legend(fix)}
    ids, still = drawn(bundle, fix, ASKED)
    assert {"candidates", "candidate_numbers"} <= ids
    assert still
    assert draws_heat(fix, ASKED)
    assert {"candidate", "probability"} <= {item.key for item in legend(fix, shown=ASKED)}


def test_a_far_rival_widens_the_view_only_where_it_is_drawn(localizer: Localizer) -> None:
    fix, bundle = rivalled(localizer, 8, 20, 0.1), localizer.bundle
    alone = view_of(bundle, replace(fix, candidates=()))
    assert view_of(bundle, fix) == alone
    assert view_of(bundle, fix, shown=ASKED).zoom < alone.zoom - 1
    split = rivalled(localizer, 8, 20, 0.4)
    assert confidence(split) == "split"
    assert view_of(bundle, split).zoom < alone.zoom - 1
    assert len(numbered_places(split, NOTHING_MORE)) == 2


def test_a_wide_answers_circle_is_seen_whole(localizer: Localizer) -> None:
    """Nothing else says how far away it may be."""
    near, far = (view_of(localizer.bundle, rivalled(localizer, 60, radius, 0.1)) for radius in (100, 200))
    assert far.zoom < near.zoom - 0.9


def test_places_are_numbered_in_the_sheet_where_the_map_numbers_them(localizer: Localizer) -> None:
    sighting = locate(localizer, photo("split"))
    said = [cards.candidates(sighting, localizer.bundle, Texts("en"), numbered=numbered) for numbered in (True, False)]
    assert [text.count("class='number'") for text in said] == [2, 0]
    assert [text.count("<li>") for text in said] == [2, 2]
