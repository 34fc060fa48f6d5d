"""systemd's side is a real datagram socket, by a path and by an abstract name."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.cli.service_manager import LEAST_APART_S, ServiceManager


@pytest.fixture(params=["path", "abstract"])
def listening(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    if request.param == "abstract" and sys.platform != "linux":
        pytest.skip("abstract sockets are Linux's")
    address = str(tmp_path / "notify") if request.param == "path" else f"@campus-gps-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as wire:
        wire.bind(address.replace("@", "\0") if address.startswith("@") else address)
        wire.setblocking(False)
        yield wire, address


def test_it_says_ready_alive_and_stopping(
    listening: tuple[socket.socket, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    wire, address = listening
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    manager = ServiceManager.from_environment()
    manager.ready()
    manager.alive()
    manager.stopping()
    assert [wire.recv(100) for _ in range(3)] == [b"READY=1", b"WATCHDOG=1", b"STOPPING=1"]


def test_a_quick_loop_gives_few_signs_of_life(listening: tuple[socket.socket, str]) -> None:
    wire, address = listening
    now_s = 0.0
    manager = ServiceManager(address, clock=lambda: now_s)
    for _ in range(40):
        manager.alive()
        now_s += LEAST_APART_S / 16
    assert [wire.recv(100) for _ in range(3)] == [b"WATCHDOG=1"] * 3
    with pytest.raises(BlockingIOError):
        wire.recv(100)


def test_a_manager_that_does_not_read_neither_blocks_nor_fails(listening: tuple[socket.socket, str]) -> None:
    wire, address = listening
    manager = ServiceManager(address)
    for _ in range(5000):  # more than the socket's queue holds
        manager.ready()
    assert wire.recv(100) == b"READY=1"


def test_without_a_manager_nothing_happens(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    ServiceManager.from_environment().ready()
    ServiceManager(str(tmp_path / "absent")).ready()
    assert list(tmp_path.iterdir()) == []
