"""Compression: what never changes is packed once, and everybody gets what they asked for."""

from __future__ import annotations

import gzip

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send

from app.compression import Compression, compressed
from tests.event_loop import run_apart

TEXT = b"let campus = 1;\n" * 1000


@pytest.fixture
def asked() -> list[str]:
    """The paths that the app behind the compression was asked for."""
    return []


@pytest.fixture
def client(asked: list[str]) -> TestClient:
    async def page(request: Request) -> Response:
        asked.append(request.url.path)
        missing = request.url.path.endswith("absent.js")
        # As Streamlit has it: for a name that it does not know it gives the front page.
        lasts = "no-cache" if "invented" in request.url.path else "public, immutable, max-age=31536000"
        headers = {"Cache-Control": lasts}
        return Response(TEXT, 404 if missing else 200, headers, media_type="text/javascript")

    routes = [Route("/static/js/{name}", page), Route("/{name}", page)]
    return TestClient(Starlette(routes=routes, middleware=[compressed()]), headers={"Accept-Encoding": "identity"})


def packed(client: TestClient, path: str) -> tuple[int, bytes]:
    """What came over the wire for whoever takes gzip."""
    with client.stream("GET", path, headers={"Accept-Encoding": "gzip"}) as answer:
        assert answer.headers["content-encoding"] == "gzip"
        return answer.status_code, b"".join(answer.iter_raw())


def test_a_script_is_packed_once_for_all_who_take_it(client: TestClient, asked: list[str]) -> None:
    first, second = packed(client, "/static/js/a.js"), packed(client, "/static/js/a.js")
    assert asked == ["/static/js/a.js"]
    assert first == second
    assert gzip.decompress(first[1]) == TEXT
    assert len(first[1]) < 0.1 * len(TEXT)
    assert client.get("/static/js/a.js").content == TEXT, "plain for whoever takes no other"


def test_what_may_change_is_asked_for_each_time(client: TestClient, asked: list[str]) -> None:
    for path in ("/page", "/static/js/absent.js", "/static/js/invented.js"):
        asked.clear()
        for _ in range(2):
            status, body = packed(client, path)
            assert gzip.decompress(body) == TEXT
            assert status == (404 if "absent" in path else 200)
        assert asked == [path, path]


def test_an_answer_that_broke_off_is_not_kept(asked: list[str]) -> None:
    """As where the first visitor of all leaves while a script is on its way."""

    async def breaks_off_once(scope: Scope, _: Receive, send: Send) -> None:
        asked.append(scope["path"])
        headers = [(b"cache-control", b"public, immutable"), (b"content-type", b"text/javascript")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": TEXT, "more_body": True})
        if len(asked) > 1:
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def ask() -> list[Message]:
        got: list[Message] = []

        async def send(message: Message) -> None:
            got.append(message)

        async def receive() -> Message:
            return {"type": "http.disconnect"}

        await packing(dict(scope), receive, send)
        return got

    packing = Compression(breaks_off_once)
    scope = {"type": "http", "method": "GET", "path": "/static/js/a.js", "headers": [(b"accept-encoding", b"gzip")]}
    answers = [run_apart(ask()) for _ in range(3)]
    assert asked == ["/static/js/a.js"] * 2, "the second is whole, and kept"
    bodies = [b"".join(message.get("body", b"") for message in answer) for answer in answers]
    assert gzip.decompress(bodies[1]) == gzip.decompress(bodies[2]) == TEXT
