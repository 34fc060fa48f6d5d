"""The queue: few at work, some waiting, the rest turned away."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from app.gate import BusyError, Gate

PATIENT_S = 3600.0  # nobody's patience ends where a machine stalls


def until(happened: Callable[[], object]) -> None:
    while not happened():
        time.sleep(0.005)


def started(enter: Callable[..., None], *args: int) -> threading.Thread:
    """A thread that no failed test has to wait for."""
    thread = threading.Thread(target=enter, args=args, daemon=True)
    thread.start()
    return thread


def test_gate_lets_few_in_keeps_some_waiting_and_turns_the_rest_away() -> None:
    gate, release, inside = Gate(at_once=1, waiting=1), threading.Event(), []

    def enter(waiting: int | None = None) -> None:
        with gate.turn(PATIENT_S, waiting):
            inside.append(threading.current_thread().name)
            release.wait()

    first = started(enter)
    until(lambda: inside)
    second = started(enter)
    until(lambda: gate._line)
    with pytest.raises(BusyError) as busy, gate.turn():
        pass
    assert busy.value.waiting == 1
    assert len(inside) == 1
    patient = started(enter, 2)  # where it waits, two may stand in line
    until(lambda: len(gate._line) == 2)
    release.set()
    for thread in (first, second, patient):
        thread.join()
    assert len(inside) == 3
    with gate.turn():
        pass


def test_whoever_came_first_is_let_in_first_and_no_newcomer_before() -> None:
    gate, release, inside = Gate(at_once=1, waiting=5), threading.Event(), []

    def enter(number: int) -> None:
        with gate.turn(PATIENT_S):
            inside.append(number)
            release.wait()

    threads: list[threading.Thread] = []
    with gate.turn():
        for number in range(4):
            threads.append(started(enter, number))
            until(lambda: len(gate._line) == len(threads))
    with pytest.raises(BusyError), gate.turn(timeout_s=0.0, waiting=0):  # though the first is hardly awake
        pass
    release.set()
    for thread in threads:
        thread.join()
    assert inside == [0, 1, 2, 3]


def test_gate_gives_up_after_a_while_and_frees_its_turn_after_an_error() -> None:
    gate = Gate(at_once=1, waiting=5)
    with gate.turn(), pytest.raises(BusyError), gate.turn(timeout_s=0.02):
        pass
    with pytest.raises(ValueError, match="ours"), gate.turn():
        raise ValueError("ours")
    with gate.turn(timeout_s=0.02):
        pass


def test_a_gate_that_is_widened_lets_one_in_that_waits_and_is_never_narrowed() -> None:
    gate, inside = Gate(at_once=1, waiting=5), threading.Event()

    def enter() -> None:
        with gate.turn(PATIENT_S):
            inside.set()

    with gate.turn():
        second = started(enter)
        until(lambda: gate._line)
        gate.widen(2)
        inside.wait()
        second.join()
        gate.widen(1)
        with gate.turn(timeout_s=0.02), pytest.raises(BusyError), gate.turn(timeout_s=0.02):
            pass
