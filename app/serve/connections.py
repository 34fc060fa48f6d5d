"""Who may hold a connection, and for how long: bounds and deadlines below the process's limit of handles.

A connection belongs to a stranger until a request on it has shown the key. Strangers' connections live for STRANGER_S
whatever they do, and where there are too many the oldest of them goes: a newcomer with the key always finds room.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
import time
from collections.abc import Callable, Coroutine, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from app.serve.addresses import counted_as
from app.serve.api.problems import problem_response

log = logging.getLogger(__name__)

HANDSHAKE_S, GOODBYE_S = 10.0, 5.0
GONE_S, SWEEP_S = 30.0, 1.0  # what is overdue is gone within GONE_S; the server looks for it every SWEEP_S
# One SWEEP_S until the next look, and another where the event loop is busy.
STRANGER_S = GONE_S - 2 * SWEEP_S  # from the first packet, for whoever has not shown the key
SILENT_S = GONE_S - 2 * SWEEP_S  # in the middle of a request, for whoever has
KEEP_ALIVE_S = 5  # between two requests
MOST = 2048  # connections at once
RESERVED_HANDLES = 96  # of the process: files, Streamlit, libraries
STRANGERS_OF_AN_ADDRESS = 256
SHED_AT_ONCE = 16  # where handles are short
_STATE_KEY = "campus_gps_connection"
_NO_HANDLES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_LOG_EVERY_S = 60.0


@dataclass(eq=False)
class Connection:
    """One accepted socket. `since_s` on the clock of `Connections`; `protocol` None while the handshake lasts."""

    socket: socket.socket
    address: str
    since_s: float
    known: bool = False
    protocol: TimedProtocol | None = None

    def drop(self) -> None:
        """End it, in whatever state it is; its own protocol then cleans up."""
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)

    def overdue(self, now_s: float) -> bool:
        """Whether its time is up."""
        if not self.known:
            return now_s - self.since_s > STRANGER_S
        return self.protocol is not None and self.protocol.stuck(now_s, SILENT_S)


class TimedProtocol(H11Protocol):
    """HTTP/1.1 that remembers when it last heard of its client, and when the headers began that are not yet whole."""

    clock: Callable[[], float] = time.monotonic
    heard_s = 0.0
    headers_since_s: float | None = 0.0
    passed_on = False  # to a websocket's protocol, or to nobody

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.heard_s = self.headers_since_s = self.clock()
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        self.heard_s = self.clock()
        if self.headers_since_s is None and self.conn.their_state is h11.IDLE:
            self.headers_since_s = self.heard_s
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self.headers_since_s = None

    def send_400_response(self, msg: str) -> None:
        """To what is no HTTP: a problem document, as all refusals are. It ends the connection."""
        answer = problem_response(400, msg, {"Connection": "close"})
        head = h11.Response(status_code=400, headers=answer.raw_headers, reason=b"Bad Request")
        for event in (head, h11.Data(data=bytes(answer.body)), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        self.passed_on = True
        super().handle_websocket_upgrade(event)

    def connection_lost(self, exc: Exception | None) -> None:
        self.passed_on = True
        super().connection_lost(exc)

    @property
    def idle(self) -> bool:
        """Whether it waits between two requests."""
        return not self.passed_on and (self.cycle is None or bool(self.cycle.response_complete))

    def stuck(self, now_s: float, silent_s: float) -> bool:
        """Whether headers are not whole, or a body stands still, after so long. A websocket has its own pings."""
        if self.passed_on or self.flow.read_paused:
            return False
        since_s = self.headers_since_s
        if since_s is None and self.conn.their_state is h11.SEND_BODY:
            since_s = self.heard_s
        return since_s is not None and now_s - since_s > silent_s


def show_key(scope: MutableMapping[str, Any]) -> None:
    """Note that a request has shown the key, so that its connection is no stranger's."""
    connection = scope.get("state", {}).get(_STATE_KEY)
    if isinstance(connection, Connection):
        connection.known = True


@dataclass(eq=False)
class Connections:
    """All connections of one port, `most` of them at once. `lock`: whether there is a key to be shown at all."""

    most: int
    lock: bool = True
    clock: Callable[[], float] = time.monotonic
    _held: dict[Connection, None] = field(default_factory=dict)  # in the order of their coming

    def __len__(self) -> int:
        return len(self._held)

    def admit(self, client: socket.socket, host: str) -> Connection | None:
        """Take a connection in, at an older one's cost where there is no room; None where nobody may be sent away."""
        connection = Connection(client, counted_as(host), self.clock(), known=not self.lock)
        same = [held for held in self._held if not held.known and held.address == connection.address]
        if self.lock and len(same) >= min(STRANGERS_OF_AN_ADDRESS, max(1, self.most // 2)):
            self._send_away(same[0])
        if len(self._held) >= self.most and not self.shed():
            return None
        self._held[connection] = None
        return connection

    def shed(self) -> bool:
        """End the oldest stranger's connection, else one that waits between two requests; whether there was one."""
        strangers = (held for held in self._held if not held.known)
        idle = (held for held in self._held if held.protocol is not None and held.protocol.idle)
        victim = next(strangers, None) or next(idle, None)
        if victim is None:
            return False
        self._send_away(victim)
        return True

    def sweep(self) -> None:
        """End what is overdue."""
        now_s = self.clock()
        for connection in [held for held in self._held if held.overdue(now_s)]:
            self._send_away(connection)

    def forget(self, connection: Connection) -> None:
        """It has ended."""
        self._held.pop(connection, None)

    def _send_away(self, connection: Connection) -> None:
        connection.drop()
        self.forget(connection)


class GuardedServer(uvicorn.Server):
    """uvicorn with `Connections` in the place of asyncio's own accepting, which has no bound and no deadline."""

    def __init__(
        self, config: uvicorn.Config, connections: Connections, opened: Callable[[], None] = lambda: None
    ) -> None:
        """`opened` is called once connections are taken."""
        super().__init__(config)
        self._connections, self._opened = connections, opened
        self._work: set[asyncio.Task[None]] = set()
        self._said_s = -_LOG_EVERY_S

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=[])
        for listener in sockets or []:
            listener.setblocking(False)
            self._run(self._accept(listener))
        self._run(self._sweep())
        self._opened()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for task in self._work:
            task.cancel()
        await super().shutdown(sockets)

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            self._connections.sweep()

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                client, address = await loop.sock_accept(listener)
            except OSError as error:  # a client that left at once, or no handle for it
                if error.errno in _NO_HANDLES:
                    self._say("out of handles: connections without the key are closed")
                    for _ in range(SHED_AT_ONCE):
                        self._connections.shed()
                await asyncio.sleep(0.05)
                continue
            with suppress(OSError):  # it left already
                # asyncio does so for sockets that it accepts itself; without it an answer's end waits 40 ms for an ACK.
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = self._connections.admit(client, address[0])
            if connection is None:
                client.close()
                self._say(f"{len(self._connections)} connections, all in use: no room for another")
                continue
            self._run(self._serve_client(connection))

    async def _serve_client(self, connection: Connection) -> None:
        config, loop = self.config, asyncio.get_running_loop()

        def protocol() -> asyncio.Protocol:
            state = {**self.lifespan.state, _STATE_KEY: connection}
            connection.protocol = TimedProtocol(config, self.server_state, state, loop)
            connection.protocol.clock = self._connections.clock
            return connection.protocol

        deadlines = {"ssl_handshake_timeout": HANDSHAKE_S, "ssl_shutdown_timeout": GOODBYE_S} if config.ssl else {}
        try:
            await loop.connect_accepted_socket(protocol, connection.socket, ssl=config.ssl, **deadlines)
            while connection.socket.fileno() >= 0:  # asyncio closes it when all is said and done
                await asyncio.sleep(0.5)
        except (OSError, ssl.SSLError):  # it left, was sent away, or spoke no TLS
            connection.drop()
        finally:
            self._connections.forget(connection)

    def _say(self, text: str) -> None:
        """One line a minute, whatever happens."""
        if time.monotonic() - self._said_s >= _LOG_EVERY_S:
            self._said_s = time.monotonic()
            log.warning("%s", text)


class LineAMinute(logging.Filter):
    """Lets each message of a logger through once a minute: strangers decide how often it has one."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if time.monotonic() - self._said.get(record.msg, -_LOG_EVERY_S) < _LOG_EVERY_S:
            return False
        self._said[record.msg] = time.monotonic()
        return True


def room_for_connections() -> int:
    """Raise this process's limit of handles as far as it may be, and tell how many connections fit below it."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return MOST
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST * 2 if hard == resource.RLIM_INFINITY else min(hard, MOST * 2)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    return MOST if soft == resource.RLIM_INFINITY else max(8, min(MOST, soft - RESERVED_HANDLES))
