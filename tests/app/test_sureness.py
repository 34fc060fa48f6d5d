"""The sign of how sure an answer is: the same in the headline, the log and its downloads."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import pytest

from app import cards, session_log
from app.language import Lang
from app.texts import Texts
from core.locate.localizer import Localizer
from tests.app.harness import locate
from tests.bundles import photo


@pytest.mark.parametrize("lang", ["en", "he"])
def test_a_campus_that_cannot_tell_strangers_ticks_no_answer(bundle: Path, lang: Lang) -> None:
    localizer, texts = Localizer.load(bundle), Texts(lang)
    known = locate(localizer, photo(east_m=-52, north_m=68))
    untold = replace(known, fix=replace(known.fix, on_campus=None))
    said = [cards.headline(one, localizer.bundle, texts) for one in (known, untold)]
    assert ["✓" in one for one in said] == [True, False]
    assert [texts["sure_good"] in one for one in said] == [True, False]
    assert [texts["short_good"] in cards.logged(one, texts) for one in (known, untold)] == [True, False]
    rows = csv.DictReader(io.StringIO(session_log.to_csv([known, untold])))
    assert [row["answer"] for row in rows] == ["good", "likely"]
