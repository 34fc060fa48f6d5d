"""The lines of the log, and what is done with all of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone, tzinfo
from typing import Self

import pytest

from app import cards
from app.language import Lang
from app.texts import Texts
from tests.app.harness import Start
from tests.app.test_lasting_log import sighting

EAST, WEST = timezone(timedelta(hours=14)), timezone(timedelta(hours=-12))


class _Stopped(datetime):
    """A clock that no midnight passes on."""

    _stopped = datetime.now(timezone.utc)

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        return cls.fromtimestamp(cls._stopped.timestamp(), tz)


@pytest.mark.parametrize("lang", ["en", "he"])
def test_a_line_of_another_day_has_its_date_in_a_piece_of_its_own(lang: Lang, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = Texts(lang)
    monkeypatch.setattr(cards, "datetime", _Stopped)
    for zone in (timezone.utc, EAST, WEST):
        now = _Stopped.now(zone)
        today = replace(sighting(), time_utc=now.replace(hour=12).astimezone(timezone.utc))
        earlier = replace(today, time_utc=today.time_utc - timedelta(days=1))
        assert "<time>12:" in cards.logged(today, texts, zone)
        date = f"{earlier.time_utc.astimezone(zone):%Y-%m-%d}"
        assert f"<time><bdi>{date}</bdi> 12:" in cards.logged(earlier, texts, zone)


def test_one_tap_clears_no_log(start: Start) -> None:
    app = start()
    app.session_state["log"] = [sighting(1), sighting(2)]
    app.button_group(key="page").set_value("log").run()
    assert "Clear the log" not in [button.label for button in app.button], "it opens the question"
    assert any("with names and notes, from this browser too: 2." in caption.value for caption in app.caption)
    assert len(app.session_state["log"]) == 2
    app.button(key="clear_all").click().run()
    assert app.session_state["log"] == []
    assert not app.exception
