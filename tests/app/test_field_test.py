"""The figures of a field test: the visitor's own photos, by truths that can be trusted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app import cards, session_log
from app.language import Lang
from app.lasting_log import as_json, from_json
from app.map.deck import Place
from app.sighting import Sighting, TruthSource
from app.standpoint import read, sighted
from app.texts import Texts
from core.locate.localizer import Localizer
from tests.app.test_lasting_log import sighting
from tests.bundles import make_bundle, photo


def off(north_m: float, error_m: float | None = None, source: TruthSource = "photo") -> Sighting:
    """An answer that is so far off; its 68 % radius is 10 m."""
    truth = Place(47.0 + north_m / 111_195, 8.4, error_m)
    return replace(sighting(), truth=truth, truth_source=source)


def test_samples_are_no_field_test() -> None:
    assert session_log.field_test([replace(off(5), own=False)]) is None
    figures = session_log.field_test([off(5), replace(off(500), own=False)])
    assert figures is not None
    assert (figures.gps.count, figures.left_out) == (1, 0)


def test_a_gps_that_knows_no_place_measures_none() -> None:
    figures = session_log.field_test([off(5, 30.0), off(400, 500.0, "phone"), off(8, 4.0, "phone")])
    assert figures is not None
    assert (figures.gps.count, figures.left_out) == (2, 1)
    assert figures.gps.mean_m == pytest.approx(6.5, abs=0.1)
    assert session_log.field_test([off(400, 500.0, "phone")]) is None


def test_corrected_answers_do_not_bias_how_many_lie_inside() -> None:
    figures = session_log.field_test([off(5), off(8), *(off(60 + n, 0.0, "person") for n in range(5))])
    assert figures is not None
    assert (figures.gps.count, figures.gps.inside68) == (2, 1.0)
    assert (figures.tapped.count, figures.tapped.inside68) == (5, 0.0)
    assert figures.tapped.median_m == pytest.approx(62, abs=0.5)


@pytest.mark.parametrize("lang", ["en", "he"])
def test_the_page_tells_both_apart_and_who_was_left_out(lang: Lang) -> None:
    texts = Texts(lang)
    tapped = [off(60, 0.0, "person")]
    refused = replace(off(5), fix=replace(off(5).fix, on_campus=False, radius68_m=None, radius95_m=None))
    figures = session_log.field_test([off(5), *tapped, refused])
    assert figures is not None
    said = cards.field_test(figures, texts)
    assert texts.say("summary", count=1) in said
    assert texts.say("summary_tapped", count=1, median=texts.distance(60)) in said
    assert texts.say("summary_left_out", count=1, most=30) in said
    alone = session_log.field_test(tapped)
    assert alone is not None
    said = cards.field_test(alone, texts)
    assert texts.say("summary", count=0) in said
    assert "nan" not in said
    assert texts["summary_inside"] not in said


def test_a_sample_is_known_as_one_after_a_reload_too(tmp_path_factory: pytest.TempPathFactory) -> None:
    localizer = Localizer.load(make_bundle(tmp_path_factory.mktemp("campus") / "testfield"))
    taken = read(localizer, photo(at=(47.0, 8.4)))
    for own in (True, False):
        found = sighted(localizer, [replace(taken, own=own)])
        assert found.own == own
        back = from_json(as_json(session_log.added([], found)[0]))
        assert back is not None
        assert back.own == own
