"""The guarded server, which tells the service manager that its event loop still turns, and keeps its certificate."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import logging
import socket
from collections.abc import Callable
from contextlib import suppress

import uvicorn

from app.serve.connections import Connections, GuardedServer
from core.cli.service_manager import ServiceManager
from core.errors import CampusError

log = logging.getLogger(__name__)

RENEW_EVERY_S = 60.0  # a look at two files; a clock may be set at any moment
TIDY_EVERY_S = 60.0  # takes about 0.1 s


class WatchedServer(GuardedServer):
    """`opened` is called once connections are taken; `manager` hears of that, of each turn and of the end.

    `renewed` makes the certificate anew where it is due and says whether it did: then the next connection gets it.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        connections: Connections,
        opened: Callable[[], None],
        manager: ServiceManager,
        renewed: Callable[[], bool],
    ) -> None:
        super().__init__(config, connections, opened)
        self._manager, self._renewed = manager, renewed

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._run(self._keep_certificate())
            self._run(self._keep_memory())
            self._manager.ready()

    async def _keep_certificate(self) -> None:
        while True:
            await asyncio.sleep(RENEW_EVERY_S)
            try:
                if await asyncio.to_thread(self._renewed) and self.config.ssl is not None:
                    self.config.ssl.load_cert_chain(str(self.config.ssl_certfile))
                    log.warning("the server's certificate was due, and is made anew")
            except (CampusError, OSError) as error:
                log.warning("the server's certificate cannot be made anew: %s", error)

    async def _keep_memory(self) -> None:
        while True:
            await asyncio.sleep(TIDY_EVERY_S)
            await asyncio.to_thread(give_back_memory)

    async def on_tick(self, counter: int) -> bool:
        # Called every 0.1 s by the event loop itself, so that one that hangs falls silent.
        self._manager.alive()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._manager.stopping()
        await super().shutdown(sockets)


def give_back_memory() -> None:
    """Hand to the system what nothing holds any more: pages that were left, and what glibc keeps of decoded photos."""
    gc.collect()
    with suppress(OSError, AttributeError, TypeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)
