from __future__ import annotations

import socket
import subprocess
import sys
import threading

import pytest
import uvicorn

from app.serve import watched_server
from app.serve.connections import Connections
from app.serve.watched_server import WatchedServer
from core.cli.service_manager import ServiceManager
from tests import REPOSITORY
from tests.app.serve.test_connections import greeting

# In a process of its own: what other tests left in this one has holes, which hold much of it without a new page.
HOLDING = """if True:
    import os
    from pathlib import Path
    from app.serve.watched_server import give_back_memory

    def held_mb():
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

    give_back_memory()
    before = held_mb()
    circle = [bytes(1000) for _ in range(100_000)]
    circle.append(circle)
    held = circle[-2]  # the last piece keeps glibc from lowering its heap by itself
    full = held_mb()
    del circle
    give_back_memory()
    print(full - before, held_mb() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="a process tells what it holds on Linux alone")
def test_what_nothing_holds_goes_back_to_the_system() -> None:
    done = subprocess.run([sys.executable, "-c", HOLDING], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    more_mb, left_mb = map(float, done.stdout.split())
    assert more_mb > 80
    assert left_mb < 30


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
