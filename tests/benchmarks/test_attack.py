"""The parts of the attack's benchmark in small; the whole runs in `test_benchmarks.py`."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from types import SimpleNamespace

import pytest

from app.trial import check_campus
from benchmarks import attack
from benchmarks.app_load import Answer
from benchmarks.attack import (
    ALONE,
    LOOPS,
    SILENT,
    Attack,
    Phase,
    ended,
    nmea_waits,
    photos_with_a_place,
    silent_until_gone,
    tell_app,
)
from benchmarks.strange_campuses import loop_campus
from benchmarks.timing import Section
from core.campus.bundle import Bundle
from core.errors import EngineError
from core.locate.localizer import DEMO_BUNDLE, Localizer
from tests.bundles import make_bundle, photo


def test_the_looping_campus_is_small_and_refused(tmp_path: Path) -> None:
    campus = loop_campus(tmp_path / "loop.campus", Bundle.load(make_bundle(tmp_path / "plain")))
    assert campus.stat().st_size < 4000
    with pytest.raises(EngineError, match="a graph within an operator"):
        check_campus(campus)


def test_a_silent_connection_is_as_old_as_when_it_was_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s, looks = [0.0], Queue[bool]()

    def look(client: socket.socket) -> bool:
        looks.put(gone := ended(client))
        return gone

    monkeypatch.setattr(attack, "time", SimpleNamespace(monotonic=lambda: now_s[0]))
    monkeypatch.setattr(attack, "ended", look)
    with ThreadPoolExecutor(1) as pool, socket.create_server(("127.0.0.1", 0)) as server:
        watched = pool.submit(silent_until_gone, server.getsockname()[1], 2, None, 1.0)
        (first, _), (second, _) = server.accept(), server.accept()
        try:
            with second:
                second.send(b"words change nothing")
                assert not looks.get()
                now_s[0] = 0.3
                first.close()
                assert looks.get()
                second.send(b"nor do more words")
                assert not looks.get()  # and by now the first one's age has been told
                now_s[0] = 1.5
                assert watched.result() == [0.3, None]
        finally:
            now_s[0] = 1.5  # or it would be watched for ever


def test_clients_that_never_read_are_counted_as_they_are_let_go(tmp_path: Path) -> None:
    fix = Localizer.load(make_bundle(tmp_path / "field")).locate(photo())
    waits, left = nmea_waits(fix, deaf=2, least=5)
    assert left == 0
    assert len(waits) > 100, "what the system holds for a client is more than so many fixes"
    assert nmea_waits(fix, deaf=0, least=5)[1] == 0


def test_each_photo_of_the_phones_has_a_place_to_be_told() -> None:
    """The demo has a sample that does not look like it."""
    photos = photos_with_a_place(Bundle.load(DEMO_BUNDLE), (320, 240), 4)
    localizer = Localizer.load(DEMO_BUNDLE)
    assert [localizer.locate(one).on_campus for one in photos] == [True] * 4


def test_what_honest_ones_lost_falls_short() -> None:
    """A photo without a place, a connection that stays, a wait and a refusal that take long: none of it passes."""
    good = Phase([Answer("place", 0.1)], [0.05])
    bad = Phase([Answer("place", 0.2), Answer("failed", 0.3, said="Busy"), Answer("elsewhere", 0.1)], [3.0])
    fine, poor = Section("", ""), Section("", "")
    tell_app(fine, {ALONE: good, SILENT: good, LOOPS: good}, [10.0, 29.9], [0.4], Attack(), 2700)
    tell_app(poor, {ALONE: good, SILENT: bad, LOOPS: bad}, [10.0, None], [0.4, 2.1], Attack(), 2700)
    assert [target.met for target in fine.targets] == [True] * 5
    assert [target.met for target in poor.targets] == [False] * 5
    assert poor.targets[1].measured == "2 of 3 without"
    assert "1 still there" in poor.targets[2].measured
    late = Section("", "")
    tell_app(late, {ALONE: good, SILENT: good, LOOPS: good}, [10.0, 30.1], [0.4], Attack(), 2700)
    assert [target.met for target in late.targets] == [True, True, False, True, True]
