"""Who goes where there is no room for another connection, and who stays however long it says nothing."""

from __future__ import annotations

import socket
from contextlib import ExitStack

import pytest
from starlette.types import Receive, Scope, Send
from websockets.sync.client import connect

from app.serve import connections
from app.serve.connections import show_key
from tests.app.serve.test_connections import Watched, answer, ended, greeting, is_closed, running, wait_until

ASKING = b"GET /key HTTP/1.1\r\nHost: x\r\n\r\n"
BEGUN = b"POST /key HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n"


async def talking(scope: Scope, receive: Receive, send: Send) -> None:
    """Greets, and says hello to each message of a websocket; all have the key."""
    if scope["type"] != "websocket":
        await greeting(scope, receive, send)
        return
    show_key(scope)
    await receive()
    await send({"type": "websocket.accept"})
    while (await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": "hello"})


def opened(stack: ExitStack, port: int) -> socket.socket:
    client = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
    client.settimeout(60)
    return client


def test_the_oldest_stranger_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch, most=2)
    ours, theirs = zip(*(socket.socketpair() for _ in range(3)), strict=True)
    with ExitStack() as stack:
        for end in (*ours, *theirs):
            stack.enter_context(end)
        for number, end in enumerate(ours):
            assert watched.held.admit(end, f"10.0.{number}.1") is not None
        assert [ended(client) for client in theirs] == [True, False, False]


def test_strangers_of_one_address_take_half_of_the_room_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch, most=6)
    with ExitStack() as stack:
        pairs = [[stack.enter_context(end) for end in socket.socketpair()] for _ in range(5)]
        for ours, _ in pairs:
            assert watched.held.admit(ours, "10.0.0.1") is not None
        assert [ended(client) for _, client in pairs] == [True, True, False, False, False]


def test_among_those_with_the_key_one_that_waits_between_requests_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch, most=2)
    with running(watched.held) as port, ExitStack() as stack:
        busy = opened(stack, port)
        busy.sendall(BEGUN)
        wait_until(lambda: watched.of(busy).known)
        idle = opened(stack, port)
        idle.sendall(ASKING)
        assert answer(idle)
        newcomer = opened(stack, port)
        newcomer.sendall(ASKING)
        assert answer(newcomer)
        assert is_closed(idle)
        busy.sendall(b"ok")
        assert answer(busy)


def test_a_page_s_websocket_may_say_nothing_for_long_and_makes_room_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch, most=1)
    with (
        running(watched.held, talking, ws="websockets-sansio") as port,
        connect(f"ws://127.0.0.1:{port}/") as page,
        ExitStack() as stack,
    ):
        page.send("one")
        assert page.recv(60) == "hello"
        watched.passes(5 * connections.SILENT_S)
        assert is_closed(opened(stack, port))
        page.send("another")
        assert page.recv(60) == "hello"


def test_a_connection_that_ended_is_no_longer_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch)
    with running(watched.held) as port:
        with ExitStack() as stack:
            for _ in range(3):
                client = opened(stack, port)
                client.sendall(ASKING)
                assert answer(client)
            assert len(watched.held) == 3
        wait_until(lambda: len(watched.held) == 0)
