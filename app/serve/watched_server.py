"""The guarded server, which tells the service manager that its event loop still turns."""

from __future__ import annotations

import socket
from collections.abc import Callable

import uvicorn

from app.serve.connections import Connections, GuardedServer
from core.cli.service_manager import ServiceManager


class WatchedServer(GuardedServer):
    """`opened` is called once connections are taken; `manager` hears of that, of each turn and of the end."""

    def __init__(
        self, config: uvicorn.Config, connections: Connections, opened: Callable[[], None], manager: ServiceManager
    ) -> None:
        super().__init__(config, connections, opened)
        self._manager = manager

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._manager.ready()

    async def on_tick(self, counter: int) -> bool:
        # Called every 0.1 s by the event loop itself, so that one that hangs falls silent.
        self._manager.alive()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._manager.stopping()
        await super().shutdown(sockets)
