"""Sinks beside one another: what one does must not reach the others, nor the one who puts fixes in."""

from __future__ import annotations

import logging
import time
from itertools import count
from threading import Event, Timer

import pytest

from core.errors import EngineError
from core.locate.fix import Fix
from core.locate.localizer import Localizer
from edge.device import sink_threads
from edge.device.follow import single
from edge.device.run import Tally, run
from edge.device.sink_threads import SinkThread, close_all
from edge.device.sources import Frame
from tests.bundles import photo


class Kept:
    """A sink that keeps what it is given, or does what `on_put` does."""

    def __init__(self, fails: Exception | None = None, waits: Event | None = None) -> None:
        self.names: list[str] = []
        self.fixes: list[Fix] = []
        self.frames: list[Frame] = []
        self.closed = Event()
        self._fails, self._waits = fails, waits

    def put(self, frame: Frame, fix: Fix) -> None:
        if self._waits is not None:
            self._waits.wait()
        if self._fails is not None:
            raise self._fails
        self.names.append(frame.name)
        self.frames.append(frame)
        self.fixes.append(fix)

    def close(self) -> None:
        self.closed.set()


@pytest.fixture
def fix(localizer: Localizer) -> Fix:
    return localizer.locate(photo())


def test_all_that_was_put_is_taken_in_order_before_the_end(fix: Fix) -> None:
    kept = Kept()
    sink = SinkThread("x", kept)
    for number in range(500):
        sink.put(Frame(str(number), b"a picture", 0.0), fix)
    sink.close()
    assert kept.names == [str(number) for number in range(500)]
    assert kept.closed.is_set()
    # A queue of pictures and maps would take the memory of a Jetson.
    assert kept.frames[0].photo is None
    assert kept.fixes[0].probability is None
    assert (kept.fixes[0].lat, kept.fixes[0].zones) == (fix.lat, fix.zones)


def test_a_device_that_was_suspended_at_the_end_has_not_given_its_sink_the_time(
    fix: Fix, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock_s, ready = count(0.0, 3600.0), Event()
    monkeypatch.setattr(time, "monotonic", lambda: next(clock_s))  # at each look, an hour has gone by
    kept = Kept(waits=ready)
    sink = SinkThread("mcap:bag", kept)
    sink.put(Frame("0", None, 0.0), fix)
    Timer(0.3, ready.set).start()
    sink.close()
    assert sink.failure is None
    assert kept.names == ["0"]


def test_a_sink_that_hangs_is_dropped_and_named_and_holds_nobody(
    fix: Fix, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sink_threads, "STANDSTILL_S", 1.5)
    for_ever, kept = Event(), Kept()
    hanging, behind, good = (
        SinkThread("mqtt:nowhere", Kept(waits=for_ever)),
        SinkThread("nmea:/dev/line", Kept(waits=for_ever), max_behind=3),
        SinkThread("mcap:bag", kept),
    )
    try:
        with caplog.at_level(logging.WARNING):
            for number in range(10):
                for sink in (hanging, behind, good):
                    sink.put(Frame(str(number), None, 0.0), fix)
            assert behind.failure is not None
            close_all([hanging, behind, good], patient=True)
        assert len(kept.names) == 10
        assert "--to nmea:/dev/line is dropped: it is 3 fixes behind" in caplog.text
        assert "--to mqtt:nowhere is dropped: it took nothing for 1.5 s" in caplog.text
        assert good.failure is None
    finally:
        for_ever.set()


def test_a_reader_of_standard_output_may_take_its_time_but_not_when_the_run_is_ended(
    fix: Fix, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sink_threads, "STANDSTILL_S", 0.1)
    turned_page, kept = Event(), Kept()
    kept._waits = turned_page
    sink = SinkThread("json", kept)
    sink.put(Frame("0", None, 0.0), fix)

    def turn(_: float | None = None) -> None:
        turned_page.set()

    join = sink._thread.join
    waits = iter(range(8))

    def joined(timeout: float | None = None) -> None:
        if next(waits, None) is None:
            turn()
        join(timeout)

    monkeypatch.setattr(sink._thread, "join", joined)
    close_all([sink], patient=True)
    assert sink.failure is None
    assert kept.names == ["0"]

    stuck = SinkThread("json", Kept(waits=(never := Event())))
    stuck.put(Frame("0", None, 0.0), fix)
    with pytest.raises(EngineError, match="no sink is left") as ended:
        close_all([stuck], patient=False)
    assert ended.value.__cause__ is stuck.failure
    never.set()


def test_a_sink_that_names_its_time_to_close_gets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sink_threads, "STANDSTILL_S", 0.05)

    class SlowToClose(Kept):
        standstill_s = 60.0

        def close(self) -> None:
            time.sleep(0.5)
            super().close()

    slow = SlowToClose()
    sink = SinkThread("mcap:bag", slow)
    close_all([sink], patient=False)
    assert slow.closed.is_set()
    assert sink.failure is None


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), ValueError("odd"), EngineError("no")])
def test_what_one_sink_raises_is_its_own_affair(error: Exception, localizer: Localizer) -> None:
    kept, broken = Kept(), Kept(fails=error)
    sinks = [SinkThread("broken", broken), SinkThread("mcap:bag", kept)]
    tally = Tally()
    run(single(localizer), [Frame(str(number), photo(), 0.0) for number in range(3)], sinks, tally)
    close_all(sinks, patient=True)
    assert kept.names == ["0", "1", "2"]
    assert sinks[0].failure is error
    assert broken.closed.is_set()
    assert tally.located == 3


def test_a_run_without_any_sink_left_locates_no_further(fix: Fix, localizer: Localizer) -> None:
    sink = SinkThread("broken", Kept(fails=OSError(5, "Input/output error")))
    sink.put(Frame("first", None, 0.0), fix)
    sink._thread.join()
    tally = Tally()
    run(single(localizer), [Frame("next", photo(), 0.0)], [sink], tally)
    assert tally.frames == 0


def test_a_slow_line_is_sent_the_newest_fix_and_none_of_those_before(fix: Fix) -> None:
    """As a serial line of 9,600 baud beside a camera of 30 frames a second."""
    kept = Kept(waits=(ready := Event()))
    kept.newest_only = True  # type: ignore[attr-defined]
    sink = SinkThread("nmea:/dev/line", kept)
    sink.put(Frame("0", None, 0.0), fix)
    while sink._queue.qsize():  # the first is on its way
        pass
    for number in range(1, 10_000):
        sink.put(Frame(str(number), None, 0.0), fix)
    ready.set()
    sink.close()
    assert sink.failure is None
    assert kept.names == ["0", "9999"]


@pytest.mark.parametrize(("address", "told"), [("json", False), ("json:/tmp/pipe", True)])
def test_a_reader_who_leaves_is_named_but_for_standard_output_s(
    address: str, told: bool, fix: Fix, caplog: pytest.LogCaptureFixture
) -> None:
    sink = SinkThread(address, Kept(fails=BrokenPipeError(32, "Broken pipe")))
    with caplog.at_level(logging.WARNING):
        sink.put(Frame("0", None, 0.0), fix)
        with pytest.raises(EngineError if told else BrokenPipeError):
            close_all([sink], patient=True)
    assert (f"--to {address} is dropped: Broken pipe" in caplog.text) == told
