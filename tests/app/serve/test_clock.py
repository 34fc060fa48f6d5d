"""A clock that jumps under a running server and a running walk: a year ahead, and back again by an hour."""

from __future__ import annotations

import secrets
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import uvicorn
from cryptography import x509

from app.serve import watched_server
from app.serve.api.walks import Walks
from app.serve.certificates import Names, ensure, renewed
from app.serve.connections import Connections
from app.serve.serve import listen
from app.serve.watched_server import WatchedServer
from benchmarks.app_load import Phone
from benchmarks.serving import Served, start
from benchmarks.soak import edge_run
from campus_gps_client import Campus
from core.cli.service_manager import ServiceManager
from core.errors import TimeReversed
from core.io.files import write_atomically
from tests.app.serve.test_connections import greeting
from tests.bundles import photo
from tests.event_loop import run_apart

JUMPS_S = (365 * 86_400, -3600, 0)


@pytest.fixture
def jump(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Sets the time of day, by seconds from the right one, of each Python that is started from now on."""
    told = tmp_path / "clock"

    def by(seconds: int) -> None:
        write_atomically(told, str(seconds).encode())

    by(0)
    monkeypatch.setenv("JUMPING_CLOCK", str(told))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent / "clock"))
    return by


@pytest.fixture
def served(jump: Callable[[int], None], pristine: Path, tmp_path: Path) -> Iterator[Served]:
    del jump
    running = start(tmp_path / "keys", pristine, "--workers", "1", "--no-inbox")
    yield running
    running.stop()


def guess_until_told_to_wait(served: Served) -> int:
    """Try wrong keys; gives the seconds until the next one counts."""
    for _ in range(30):  # ten of them in the same minute
        refused = served.ask(f"/?key={secrets.token_hex(8)}")
        if refused.status == 429:
            return int(refused.headers["retry-after"])
    raise AssertionError("wrong keys may be tried without end")


@pytest.mark.slow
def test_phones_programs_and_locks_of_a_running_server_do_not_mind(
    served: Served, jump: Callable[[int], None], tmp_path: Path
) -> None:
    authority = tmp_path / "authority.pem"
    authority.write_bytes(served.ask("/campus-gps-ca.pem", secure=False).body)
    here, cookie = photo(east_m=20.0), served.cookie()

    async def a_phone_goes_on() -> None:
        async with Phone(served.home, cookie, served.trusting) as phone:
            for off_s in (0, *JUMPS_S):
                jump(off_s)
                answer = await phone.send(phone.message(here))
                assert answer.outcome == "place", answer

    run_apart(a_phone_goes_on())
    with Campus(served.home, served.key, authority) as program:
        for off_s in (0, *JUMPS_S):
            wait_s, since_s = guess_until_told_to_wait(served), time.monotonic()
            jump(off_s)
            refused = served.ask("/?key=wrong-again").status == 429
            assert refused or time.monotonic() - since_s > wait_s - 1, "a guesser's wait is not over by the clock"
            assert program.locate(here)["on_campus"]
            assert program.walk("walker-one", here)["on_campus"]
            assert served.ask("/", Cookie=cookie).status == 200, "a new handshake, and a cookie of before"
    assert "Traceback" not in served.folder.with_suffix(".said").read_text("utf-8")


@pytest.mark.slow
def test_a_walk_of_edge_run_goes_on(jump: Callable[[int], None], pristine: Path, tmp_path: Path) -> None:
    with edge_run(pristine, tmp_path) as walker:
        walker.wait_until_it_looks(photo(east_m=20.0))
        for number, off_s in enumerate((0, *JUMPS_S)):
            jump(off_s)
            for turn in range(2):
                name = f"{number}-{turn}.jpg"
                walker.put(name, photo(east_m=20.0 + turn, view=2 * number + turn + 1))
                assert walker.answer(name), off_s
        assert walker.process.poll() is None
    said = (tmp_path / "edge.said").read_text("utf-8")
    assert "Traceback" not in said
    assert "a new walk begins" in said


def test_a_walk_over_http_begins_anew_where_this_machine_s_clock_is_set_back(
    pristine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    walks, now = Walks(pristine), [1_800_000_000.0]
    monkeypatch.setattr("core.locate.walk.time.time", lambda: now[0])
    seen: list[int] = []
    for step_s in (0.0, 5.0, 365 * 86_400.0, 5.0, -3600.0, 5.0):
        now[0] += step_s
        seen.append(walks.add("walker-one", photo(east_m=20.0, view=len(seen) + 1), None).photos)
    assert seen == [1, 2, 3, 4, 1, 2]
    with pytest.raises(TimeReversed):  # a caller's own time is its own affair
        walks.add("walker-one", photo(), now[0] - 60)


def test_the_next_connection_gets_a_certificate_that_was_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watched_server, "RENEW_EVERY_S", 0.05)
    names, opened = Names(("localhost",), ("127.0.0.1",)), threading.Event()
    clock = [datetime.now(timezone.utc)]
    authority, server_file = ensure(tmp_path, names, clock[0])
    with listen("127.0.0.1", 0, "--port") as listener:
        config = uvicorn.Config(greeting, lifespan="off", log_level="warning", ws="none", ssl_certfile=server_file)
        server = WatchedServer(
            config, Connections(10), opened.set, ServiceManager(), lambda: renewed(tmp_path, names, clock[0])
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()

        def shown() -> x509.Certificate:
            trust = ssl.create_default_context(cadata=authority.der)
            plain = socket.create_connection(listener.getsockname()[:2])
            with plain, trust.wrap_socket(plain, server_hostname="localhost") as wire:
                return x509.load_der_x509_certificate(wire.getpeercert(binary_form=True) or b"")

        try:
            assert opened.wait(20)
            first = shown()
            clock[0] += timedelta(days=370)
            until = time.monotonic() + 60
            while x509.load_pem_x509_certificate(server_file.read_bytes()) == first and time.monotonic() < until:
                time.sleep(0.05)
            clock[0] -= timedelta(days=370)  # set right again: the one of the year ahead is not valid yet
            second = first
            while second == first and time.monotonic() < until:
                with suppress(ssl.SSLCertVerificationError):
                    second = shown()
                time.sleep(0.05)
            assert second != first
        finally:
            server.should_exit = server.force_exit = True
            thread.join(20)
