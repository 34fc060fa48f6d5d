"""Connections that say nothing, say it slowly, or are too many: they end, and whoever has the key goes on."""

from __future__ import annotations

import asyncio
import logging
import math
import resource
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Literal

import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from app.serve import connections
from app.serve.connections import Connection, Connections, GuardedServer, LineAMinute, room_for_connections, show_key
from app.serve.serve import CIPHERS, listen
from benchmarks.serving import Served, start
from tests.bundles import make_bundle


class Clock:
    """Stands still until a test sets it, and counts who looks at it, as each sweep does."""

    now_s, looks = 0.0, 0

    def __call__(self) -> float:
        self.looks += 1
        return self.now_s


Take = Callable[[Connections, str], tuple[Connection | None, socket.socket]]


@pytest.fixture
def take() -> Iterator[Take]:
    """Offers a connection from an address; gives it, or None where it is not taken in, and the client's end of it."""
    with ExitStack() as stack:

        def offered(held: Connections, host: str) -> tuple[Connection | None, socket.socket]:
            ours, theirs = (stack.enter_context(end) for end in socket.socketpair())
            return held.admit(ours, host), theirs

        yield offered


def answer(client: socket.socket) -> bytes:
    """All of the small server's answer."""
    data = b""
    while not data.endswith(b"hello"):
        more = client.recv(300)
        assert more, data
        data += more
    return data


def ended(client: socket.socket) -> bool:
    client.setblocking(False)
    try:
        return client.recv(1) == b""
    except BlockingIOError:
        return False


def test_a_stranger_s_time_ends_and_a_known_one_s_does_not(take: Take) -> None:
    clock = Clock()
    held = Connections(100, clock=clock)
    (stranger, silent), (known, phone) = take(held, "10.0.0.1"), take(held, "10.0.0.2")
    assert stranger is not None
    assert known is not None
    show_key({"state": {connections._STATE_KEY: known}})
    clock.now_s = connections.STRANGER_S - 0.1
    held.sweep()
    assert len(held) == 2
    clock.now_s = connections.STRANGER_S + 0.1
    held.sweep()
    assert ended(silent)
    assert not ended(phone)
    assert len(held) == 1


def test_a_stranger_is_gone_in_30_s_who_came_just_after_a_sweep(take: Take, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    held = Connections(100, clock=clock)
    clock.now_s = came_s = 0.01
    silent = take(held, "10.0.0.1")[1]
    clock.now_s = 0.0

    async def passes(seconds: float) -> None:
        if ended(silent):
            raise asyncio.CancelledError
        clock.now_s += seconds

    monkeypatch.setattr(asyncio, "sleep", passes)
    with pytest.raises(asyncio.CancelledError):
        GuardedServer(uvicorn.Config(greeting), held)._sweep().send(None)  # no loop: a browser's may run in this thread
    assert 20.0 < clock.now_s - came_s <= 29.0  # a busy event loop may take another second


@pytest.mark.parametrize("host", ["10.0.0.1", "2001:db8::{}"])
def test_the_oldest_stranger_of_an_address_makes_room(take: Take, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "STRANGERS_OF_AN_ADDRESS", 3)
    held = Connections(100)
    known, phone = take(held, host.format(1))
    assert known is not None
    known.known = True
    other = take(held, "10.9.9.9")[1]
    clients = [take(held, host.format(number))[1] for number in range(2, 7)]
    assert [ended(client) for client in clients] == [True, True, False, False, False]
    assert not ended(phone)
    assert not ended(other)


def test_a_full_house_has_room_as_long_as_a_stranger_is_in_it(take: Take) -> None:
    held = Connections(3)
    first = take(held, "10.0.0.1")
    guests = [take(held, f"10.0.1.{number}") for number in range(2)]
    for connection, _ in guests:
        assert connection is not None
        connection.known = True
    newcomer = take(held, "10.0.2.1")
    assert newcomer[0] is not None
    assert ended(first[1])
    newcomer[0].known = True
    assert take(held, "10.0.3.1")[0] is None  # all have the key and are busy
    assert len(held) == 3


def test_a_message_is_logged_once_a_minute() -> None:
    seldom = LineAMinute()
    record = logging.LogRecord("uvicorn.error", 30, "", 0, "Invalid HTTP request received.", None, None)
    other = logging.LogRecord("uvicorn.error", 30, "", 0, "something else", None, None)
    assert [seldom.filter(record), seldom.filter(record), seldom.filter(other)] == [True, False, True]


def test_the_limit_of_handles_is_raised_as_far_as_it_may_be() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (300, hard))
        room = room_for_connections()
        raised = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        assert raised > 300 or hard <= 300
        assert 0 < room <= raised - connections.RESERVED_HANDLES
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def greeting(scope: Scope, receive: Receive, send: Send) -> None:
    """Says hello; `/key` shows the key; reads a body to its end first."""
    if "key" in scope["path"]:
        show_key(scope)
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})


@contextmanager
def running(
    held: Connections | None = None, app: ASGIApp = greeting, ws: Literal["none", "websockets-sansio"] = "none"
) -> Iterator[int]:
    """A small server with the bounds of the real one, on a thread; its port."""
    opened = threading.Event()
    with listen("127.0.0.1", 0, "--port") as listener:
        config = uvicorn.Config(app, lifespan="off", log_level="warning", ws=ws, timeout_keep_alive=600)
        server = GuardedServer(config, Connections(100) if held is None else held, opened.set)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            assert opened.wait(20)
            yield int(listener.getsockname()[1])
        finally:
            server.should_exit = server.force_exit = True
            thread.join(20)


def wait_until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.01)


def peer_of(ours: socket.socket) -> object:
    with suppress(OSError):  # it is just being ended
        return ours.getpeername()
    return None


class Watched:
    """The connections of a server that looks for overdue ones all the time, by a clock that a test sets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, lock: bool = True, most: int = 100) -> None:
        monkeypatch.setattr(connections, "SWEEP_S", 0.01)
        self.clock = Clock()
        self.held = Connections(most, lock=lock, clock=self.clock)

    def of(self, client: socket.socket) -> Connection:
        """The server's end of a client's connection, once it is read from."""
        found: list[Connection] = []

        def read_from() -> bool:
            found[:] = [one for one in list(self.held._held) if peer_of(one.socket) == client.getsockname()]
            return bool(found) and found[0].protocol is not None and found[0].protocol.transport is not None

        wait_until(read_from)
        return found[0]

    def says(self, client: socket.socket, data: bytes) -> None:
        """Send something, and wait until the server has heard it."""
        protocol = self.of(client).protocol
        assert protocol is not None
        protocol.heard_s = math.inf  # not in the past, or the server might end it for its silence before it hears
        client.sendall(data)
        wait_until(lambda: protocol.heard_s == self.clock.now_s)

    def passes(self, seconds: float) -> None:
        """Let time pass, and the server look for what is overdue by now."""
        self.clock.now_s += seconds
        before = self.clock.looks
        wait_until(lambda: self.clock.looks >= before + 3)  # one may have begun before


def is_closed(client: socket.socket) -> bool:
    """Whether the server ends a connection, on which it says nothing more."""
    client.settimeout(60)
    try:
        return client.recv(100) == b""
    except ConnectionError:
        return True


@pytest.mark.parametrize("lock", [True, False], ids=["with a key", "open"])
def test_headers_that_never_end_are_ended(lock: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch, lock)
    with running(watched.held) as port, ExitStack() as stack:
        silent, dripping = (stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(2))
        assert watched.of(silent)
        watched.says(dripping, b"GET / HTTP/1.1\r\nHost: x\r\n")
        for _ in range(3):
            watched.passes(connections.STRANGER_S / 3)
            watched.says(dripping, b"x: y\r\n")
        assert len(watched.held) == 2
        watched.passes(1.0)
        assert is_closed(dripping)
        assert is_closed(silent)


def test_a_body_that_stands_still_is_ended_and_one_that_goes_on_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch)
    request = b"POST /key HTTP/1.1\r\nHost: x\r\nContent-Length: 12\r\n\r\n"
    with running(watched.held) as port, ExitStack() as stack:
        still, slow = (stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(2))
        ends = [watched.of(client) for client in (still, slow)]
        for client in (still, slow):
            client.sendall(request)
        wait_until(lambda: all(end.known for end in ends))
        for byte in b"slow and sure"[:12]:
            watched.passes(0.3 * connections.SILENT_S)
            watched.says(slow, bytes([byte]))
        slow.settimeout(60)
        assert answer(slow)
        assert is_closed(still)


def test_whoever_has_shown_the_key_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch, most=4)
    with running(watched.held) as port, ExitStack() as stack:
        phone = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
        phone.settimeout(60)
        for pause_s in (0.0, 5 * connections.STRANGER_S):
            watched.passes(pause_s)
            phone.sendall(b"GET /key HTTP/1.1\r\nHost: x\r\n\r\n")
            assert answer(phone)
        for _ in range(50):  # more than there is room for, and each is taken in
            stack.enter_context(socket.create_connection(("127.0.0.1", port)))
        phone.sendall(b"GET /key HTTP/1.1\r\nHost: x\r\n\r\n")
        assert answer(phone)


def test_an_answer_s_end_does_not_wait_for_the_acknowledgement_of_its_beginning() -> None:
    """Nagle's algorithm is off: with it every answer took 40 ms more, since clients acknowledge that late."""
    off: list[int] = []

    async def noted(scope: Scope, receive: Receive, send: Send) -> None:
        ours = scope["state"][connections._STATE_KEY].socket
        off.append(ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        await greeting(scope, receive, send)

    with running(app=noted) as port, socket.create_connection(("127.0.0.1", port)) as phone:
        phone.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert answer(phone)
    assert off == [1]


# --- the server itself -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    campus = make_bundle(tmp_path_factory.mktemp("campuses") / "testfield")
    server = start(tmp_path_factory.mktemp("served") / "keys", campus)
    yield server
    server.stop()


def said(served: Served) -> str:
    return served.folder.with_suffix(".said").read_text("utf-8")


@pytest.mark.skipif(sys.platform != "linux", reason="the limit of another process is Linux's")
def test_out_of_handles_the_key_still_opens_and_one_line_is_logged(served: Served) -> None:
    handles = len(list(Path(f"/proc/{served.process.pid}/fd").iterdir())) + 30
    limit = resource.prlimit(served.process.pid, resource.RLIMIT_NOFILE)
    with ExitStack() as stack:
        resource.prlimit(served.process.pid, resource.RLIMIT_NOFILE, (handles, limit[1]))
        try:
            for _ in range(200):
                stack.enter_context(socket.create_connection(("127.0.0.1", served.port)))
            cookie = served.cookie()
            assert served.ask("/", Cookie=cookie).status == 200
        finally:
            resource.prlimit(served.process.pid, resource.RLIMIT_NOFILE, limit)
    text = said(served)
    assert text.count("out of handles") == 1
    assert "Traceback" not in text
    assert len(text) < 20_000


def test_old_ciphers_are_refused(served: Served) -> None:
    with served.trusting.wrap_socket(
        socket.create_connection(("127.0.0.1", served.port)), server_hostname="localhost"
    ) as wire:
        assert wire.version() == "TLSv1.3"
    old = ssl.create_default_context(cadata=None)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    for ciphers, taken_up in (("ECDHE+AES:!AESGCM:!AESCCM", False), (CIPHERS, True)):
        old.set_ciphers(ciphers)
        with socket.create_connection(("127.0.0.1", served.port)) as plain:
            if taken_up:
                old.wrap_socket(plain).close()
            else:
                with pytest.raises(ssl.SSLError):
                    old.wrap_socket(plain)


@pytest.mark.parametrize(
    ("request_", "answered"),
    [
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"application/problem+json"),
        (b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", b"text/html"),
        (b"\0\1\r\n\r\n", b"application/problem+json"),
    ],
)
def test_odd_requests_leave_no_traceback(served: Served, request_: bytes, answered: bytes) -> None:
    with served.trusting.wrap_socket(
        socket.create_connection(("127.0.0.1", served.port)), server_hostname="localhost"
    ) as wire:
        wire.settimeout(20)
        wire.sendall(request_)
        answer = wire.recv(1000)
    assert answer.startswith(b"HTTP/1.1 4")
    assert b"content-type: " + answered in answer.lower()
    assert "Traceback" not in said(served)
