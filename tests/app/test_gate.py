"""The queue: few at work, some waiting, the rest turned away."""

from __future__ import annotations

import threading
import time

import pytest

from app.gate import BusyError, Gate


def test_gate_lets_few_in_keeps_some_waiting_and_turns_the_rest_away() -> None:
    gate, release, inside = Gate(at_once=1, waiting=1), threading.Event(), []

    def enter(waiting: int | None = None) -> None:
        with gate.turn(waiting=waiting):
            inside.append(threading.current_thread().name)
            release.wait(5)

    first, second = threading.Thread(target=enter), threading.Thread(target=enter)
    patient = threading.Thread(target=enter, args=(2,))
    first.start()
    while not inside:
        time.sleep(0.005)
    second.start()
    while not gate._waiting:
        time.sleep(0.005)
    with pytest.raises(BusyError) as busy, gate.turn():
        pass
    assert busy.value.waiting == 1
    assert len(inside) == 1
    patient.start()  # where it waits, two may stand in line
    while gate._waiting < 2:
        time.sleep(0.005)
    release.set()
    for thread in (first, second, patient):
        thread.join(5)
    assert len(inside) == 3
    with gate.turn():
        pass


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
        with gate.turn(timeout_s=5):
            inside.set()

    second = threading.Thread(target=enter)
    with gate.turn():
        second.start()
        while not gate._waiting:
            time.sleep(0.005)
        gate.widen(2)
        assert inside.wait(5)
        second.join(5)
        gate.widen(1)
        with gate.turn(timeout_s=0.02), pytest.raises(BusyError), gate.turn(timeout_s=0.02):
            pass
