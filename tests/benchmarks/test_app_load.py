"""The load benchmark's own parts, without a server; with one it runs in `tests/app/test_load.py`."""

from __future__ import annotations

import ssl
import sys
from pathlib import Path
from typing import cast

import pytest

from app import cards
from app.texts import Texts
from benchmarks import app_load
from benchmarks.app_load import Answer, Phone, mixed, report, soak, tenth
from core.locate.localizer import Localizer
from tests.app.harness import locate
from tests.bundles import Kind, make_bundle, photo
from tests.event_loop import run_apart


class _Quick:
    """A phone whose photos are answered at once."""

    def message(self, photo: bytes) -> bytes:
        return photo

    async def send(self, _message: bytes) -> Answer:
        return Answer("place", 0.0)


@pytest.mark.parametrize(("count", "notes"), [(5, [1, 2, 3, 4, 5]), (40, list(range(4, 41, 4)))])
def test_a_soak_of_a_few_photos_is_noted_too(count: int, notes: list[int]) -> None:
    noted: list[int] = []
    phone = cast(Phone, _Quick())
    photos = mixed([b"good"], [b"broken"], count)
    answers = run_apart(soak([phone], photos, noted.append, tenth(count)))
    assert (len(answers), noted) == (count, notes)


@pytest.mark.parametrize(("kind", "outcome"), [("good", "place"), ("split", "place"), ("elsewhere", "elsewhere")])
def test_an_answer_that_tells_no_place_is_none(
    tmp_path: Path, kind: Kind, outcome: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    localizer = Localizer.load(make_bundle(tmp_path / "field"))
    seen = locate(localizer, photo(kind=kind))
    told = {"html": cards.headline(seen, localizer.bundle, Texts("en")), "answered": "0"}

    async def page(_phone: Phone, _message: bytes) -> dict[str, str]:
        return {"alert": "", "markdown": "", "exception": ""} | told

    monkeypatch.setattr(Phone, "_run", page)
    answer = run_apart(Phone("https://localhost", "", ssl.create_default_context()).send(b""))
    assert answer.outcome == outcome
    report("one", [answer])
    said = capsys.readouterr().out
    assert ("1 with a place, 0 not of" in said) == (outcome == "place")
    assert ("0 with a place, 1 not of" in said) == (outcome == "elsewhere")


@pytest.mark.parametrize(("flag", "number"), [("--phones", 0), ("--rounds", 0), ("--singles", -1), ("--soak", -5)])
def test_numbers_that_cannot_be_are_refused(
    flag: str, number: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["app_load", flag, str(number)])
    with pytest.raises(SystemExit) as stop:
        app_load.main()
    assert stop.value.code == 2
    assert f"must be at least {1 if flag != '--soak' else 0}, not {number}" in capsys.readouterr().err


def test_help_tells_the_defaults(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["app_load", "--help"])
    with pytest.raises(SystemExit):
        app_load.main()
    assert "every tenth broken (0)" in " ".join(capsys.readouterr().out.split())
