"""Answers compressed on the way to the browser, and Streamlit's own scripts compressed once for all visitors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_IMMUTABLE = "/static/"  # Streamlit's scripts and styles, each named after its content
_FROM_BYTES = 1000


def compressed() -> Middleware:
    """The middleware: Streamlit leaves its scripts, the most of a first load, as they are; it expects a proxy."""
    return Middleware(Compression)


class Compression:
    """gzip for whoever takes it; what never changes is kept compressed, 2 MB for a visit and 7 MB for all there is."""

    def __init__(self, app: ASGIApp) -> None:
        # Level 6 is within 1 % of level 9 in size on the scripts.
        self._packing = GZipMiddleware(app, minimum_size=_FROM_BYTES, compresslevel=6)
        self._kept: dict[str, list[Message]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope) if scope["type"] == "http" else Headers()
        whole = scope["type"] == "http" and scope["method"] == "GET" and scope["path"].startswith(_IMMUTABLE)
        if not whole or "gzip" not in headers.get("accept-encoding", "") or {"range", "if-none-match"} & {*headers}:
            return await self._packing(scope, receive, send)
        path = str(scope["path"])
        if path in self._kept:
            for message in self._kept[path]:
                await send({**message})
            return None
        sent: list[Message] = []

        async def noting(message: Message) -> None:
            sent.append({**message})
            await send(message)

        await self._packing(scope, receive, noting)
        # A visitor who leaves in the middle ends the answer there, and nobody else may be given that.
        ended = bool(sent) and sent[-1]["type"] == "http.response.body" and not sent[-1].get("more_body")
        if ended and sent[0].get("status") == 200:
            told = Headers(raw=sent[0]["headers"])
            # Any other path below is answered with the front page, which changes.
            if told.get("content-encoding") == "gzip" and "immutable" in told.get("cache-control", ""):
                self._kept[path] = sent
        return None
