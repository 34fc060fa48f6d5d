"""The lock before the app: an access key, the cookie it becomes, and a bound on how fast keys can be tried."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.serve.addresses import counted_as
from app.serve.api.problems import problem_response
from app.serve.connections import show_key
from core.errors import CampusError
from core.io.private_files import read_private, write_private

KEY_FILE = "access-key"
KEY_PARAMETER = "key"
# With this prefix browsers take the cookie only over https, from this very host, and for all of its paths.
COOKIE = "__Host-campus"
COOKIE_DAYS = 180
_KEY_BYTES = 16
_HOST = re.compile(r"([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?")
_REFUSED_WEBSOCKET = 4401

Reason = Literal["no key", "wrong key", "too many"]
LockPage = Callable[[HTTPConnection, Reason], Response]


def access_key(folder: Path, *, new: bool = False) -> str:
    """The kept key, made where there is none or with `new`. Raises CampusError where the file holds no key."""
    path = folder / KEY_FILE
    kept = None if new else read_private(path)
    if kept is None:
        key = secrets.token_urlsafe(_KEY_BYTES)
        write_private(path, key.encode() + b"\n")
        return key
    key = kept.decode("ascii", "replace").strip()
    # Shorter than what is made here: an emptied or hand-written file must not become an easy lock.
    if len(key) < 20 or not all(char.isalnum() or char in "-_" for char in key) or not key.isascii():
        raise CampusError("not an access key", path=path, remedy="--new-key makes another")
    return key


def cookie_value(key: str) -> str:
    """What the cookie holds: a code that proves the key without being it."""
    return hmac.new(key.encode(), b"campus-gps cookie", hashlib.sha256).hexdigest()


def same(given: str, right: str) -> bool:
    """Whether two texts are equal, in a time that does not tell how far."""
    return hmac.compare_digest(given.encode(), right.encode())


@dataclass
class _Failures:
    count: int
    since_s: float
    last_guess: bytes


class Attempts:
    """Counts wrong keys per client: at most `allowed` in `window_s`, of at most `clients` at a time.

    A repeated wrong value counts once: an open page with the cookie of a former key asks again and again, and that
    tries nothing new.
    """

    def __init__(
        self,
        allowed: int = 10,
        window_s: float = 60.0,
        clients: int = 1024,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._allowed, self._window_s, self._clients, self._clock = allowed, window_s, clients, clock
        self._failures: OrderedDict[str, _Failures] = OrderedDict()

    def __len__(self) -> int:
        return len(self._failures)

    def wait_s(self, client: str) -> float:
        """Seconds until this client may try a key again; 0 where it may now."""
        seen = self._failures.get(client)
        if seen is None or seen.count < self._allowed:
            return 0.0
        return max(0.0, seen.since_s + self._window_s - self._clock())

    def failed(self, client: str, guess: str) -> None:
        """Note a wrong key."""
        now, digest = self._clock(), hashlib.sha256(guess.encode()).digest()
        seen = self._failures.get(client)
        if seen is None or now - seen.since_s >= self._window_s:
            self._failures[client] = _Failures(1, now, digest)
        elif not hmac.compare_digest(seen.last_guess, digest):
            seen.count, seen.last_guess = seen.count + 1, digest
        self._failures.move_to_end(client)
        while len(self._failures) > self._clients:
            self._failures.popitem(last=False)


def client_of(scope: Scope) -> str:
    """Whom to count, by `counted_as`."""
    return counted_as(str((scope.get("client") or ("", 0))[0]))


class Lock:
    """ASGI middleware that lets requests and websockets with the key's cookie or bearer token through.

    All others get `page`, with status 403 where it has none of its own.

    A right key in the address becomes the cookie by a redirect that takes it out of the address; only `open_paths`
    need none.
    """

    def __init__(
        self, app: ASGIApp, *, key: str, page: LockPage, open_paths: frozenset[str], attempts: Attempts
    ) -> None:
        self._app, self._key, self._page, self._open_paths = app, key, page, open_paths
        self._cookie = cookie_value(key)
        self._attempts = attempts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        request = HTTPConnection(scope)
        websocket = scope["type"] == "websocket"
        given = request.query_params.get(KEY_PARAMETER)
        cookie = request.cookies.get(COOKIE, "")
        bearer = _bearer_token(request)
        known = same(cookie, self._cookie) or (bearer is not None and same(bearer, self._key))
        if known:
            show_key(scope)
        if given is not None and not websocket:
            await self._answer_to_key(request, given, known)(scope, receive, send)
        elif known or (not websocket and scope["path"] in self._open_paths):
            await self._app(scope, receive, send)
        elif websocket:
            self._note(scope, cookie)
            await _refuse(receive, send)
        else:
            self._note(scope, bearer or cookie)
            await self._locked(request, "wrong key" if bearer or cookie else "no key")(scope, receive, send)

    def _answer_to_key(self, request: HTTPConnection, given: str, known: bool) -> Response:
        """A key in the address: cookie and redirect where it is right, the lock page where it is not."""
        given = given.strip()
        if known:  # whatever the key is, an old one in a bookmark for example
            return _without_key(request)
        if not same(given, self._key):
            self._note(request.scope, given)
            return self._locked(request, "wrong key" if given else "no key")
        # The right key is never made to wait: a neighbour's wrong ones would lock its owner out.
        show_key(request.scope)
        response = _without_key(request)
        response.set_cookie(
            COOKIE, self._cookie, max_age=COOKIE_DAYS * 86400, path="/", secure=True, httponly=True, samesite="lax"
        )
        return response

    def _note(self, scope: Scope, guess: str) -> None:
        if guess:
            self._attempts.failed(client_of(scope), guess)

    def _locked(self, request: HTTPConnection, reason: Reason) -> Response:
        wait_s = self._attempts.wait_s(client_of(request.scope))
        response = self._page(request, "too many" if wait_s else reason)
        if response.status_code == 200:
            response.status_code = 403
        if wait_s:
            response.status_code = 429
            response.headers["Retry-After"] = str(int(wait_s) + 1)
        if COOKIE in request.cookies:
            response.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="lax")
        return response


def _bearer_token(request: HTTPConnection) -> str | None:
    """The token of `Authorization: Bearer TOKEN` (RFC 6750), by which programs bring the key; None without one."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def host_of(request: HTTPConnection) -> str | None:
    """The host that the browser asked for, without its port; None where that is no host."""
    asked = _HOST.fullmatch(request.headers.get("host", ""))
    return asked.group(1).lower() if asked else None


def is_address(host: str) -> bool:
    """Whether a host, as URLs have it, is an IP address and no name."""
    try:
        ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


def page_policy(host: str) -> dict[str, str]:
    """What browsers are told of every answer; `host` with its port.

    Streamlit needs scripts in the page, and its charts build some from text; but all of them come from here, and
    nothing is sent or fetched elsewhere. HSTS would remove the browser's "proceed anyway" button, which phones need
    until the certificate is installed. Browsers ignore it for addresses.
    """
    policy = (
        "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; font-src 'self' data:; media-src 'self' data: blob:; worker-src 'self' blob:; "
        f"connect-src 'self' data: blob: wss://{host}; object-src 'none'; base-uri 'self'; form-action 'self'; "
        "frame-ancestors 'none'"
    )
    return {
        "Content-Security-Policy": policy,
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "same-origin",
    }


class SameOrigin:
    """ASGI middleware that refuses what pages of other origins send, and keeps the address from other sites.

    It answers to addresses and to `names` alone: a name of someone else's that leads here would make a page of
    theirs one of ours. Streamlit would ask a server on the internet for its own address before it judges a foreign
    origin.
    """

    def __init__(self, app: ASGIApp, names: Collection[str]) -> None:
        self._app, self._names = app, frozenset(names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        request = HTTPConnection(scope)
        headers, host = request.headers, host_of(request)
        if host is None or not (is_address(host) or host in self._names):
            await self._refused("this machine is not called so: use its address", 421)(scope, receive, send)
            return
        origin = headers.get("origin")
        if origin is not None and origin.lower() != f"https://{headers.get('host', '')}".lower():
            await self._refused("another site's page may not ask this", 403)(scope, receive, send)
            return
        policy = page_policy(headers["host"])

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                for name, value in policy.items():
                    answer.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, with_headers)

    @staticmethod
    def _refused(reason: str, status: int) -> ASGIApp:
        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "websocket":
                await _refuse(receive, send)
            else:
                await problem_response(status, reason)(scope, receive, send)

        return answer


async def _refuse(receive: Receive, send: Send) -> None:
    """Close a websocket before it is accepted; the server answers 403."""
    await receive()
    await send({"type": "websocket.close", "code": _REFUSED_WEBSOCKET})


def _without_key(request: HTTPConnection) -> RedirectResponse:
    """To the same page without the key in its address."""
    # One leading slash: `//name` would be read as another host.
    path = "/" + request.url.path.lstrip("/")
    kept = [(name, value) for name, value in parse_qsl(request.url.query) if name != KEY_PARAMETER]
    target = f"{path}?{urlencode(kept)}" if kept else path
    return RedirectResponse(target, status_code=303, headers={"Cache-Control": "no-store"})
