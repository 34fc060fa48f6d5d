from __future__ import annotations

import os
import socket
import sys
import threading
from pathlib import Path

import pytest
import uvicorn

from app.serve import watched_server
from app.serve.connections import Connections
from app.serve.watched_server import WatchedServer, give_back_memory
from core.cli.service_manager import ServiceManager
from tests.app.serve.test_connections import greeting


def held_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


@pytest.mark.skipif(sys.platform != "linux", reason="a process tells what it holds on Linux alone")
def test_what_nothing_holds_goes_back_to_the_system() -> None:
    give_back_memory()
    before = held_mb()
    circle: list[object] = [bytes(1000) for _ in range(100_000)]
    circle.append(circle)
    held = circle[-2]  # the last piece keeps glibc from lowering its heap by itself
    assert held_mb() > before + 80
    del circle
    give_back_memory()
    assert held_mb() < before + 30
    assert held


def test_a_server_gives_memory_back_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    given = threading.Event()
    monkeypatch.setattr(watched_server, "TIDY_EVERY_S", 0.01)
    monkeypatch.setattr(watched_server, "give_back_memory", given.set)
    config = uvicorn.Config(greeting, lifespan="off", log_level="warning", ws="none")
    server = WatchedServer(config, Connections(10), lambda: None, ServiceManager(), lambda: False)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            assert given.wait(20)
        finally:
            server.should_exit = True
            thread.join(20)
