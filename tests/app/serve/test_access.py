"""The lock over a tiny app: who comes in, who does not, and how often a key may be tried."""

from __future__ import annotations

import json
import stat
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, Response
from starlette.types import Message, Receive, Scope, Send

from app.serve import web
from app.serve.access import COOKIE, KEY_FILE, Attempts, Lock, Reason, SameOrigin, access_key, client_of, cookie_value
from core.errors import CampusError

KEY = "k3y-" + "x" * 20
GOOD = f"{COOKIE}={cookie_value(KEY)}"


async def tiny_app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
    else:
        await PlainTextResponse("the app")(scope, receive, send)


def lock_page(_: HTTPConnection, reason: Reason) -> Response:
    return PlainTextResponse(f"locked: {reason}")


def locked(attempts: Attempts | None = None) -> Lock:
    return Lock(
        tiny_app,
        key=KEY,
        page=lock_page,
        open_paths=frozenset({"/install"}),
        attempts=Attempts() if attempts is None else attempts,
    )


class Answer:
    """What an ASGI app sent."""

    def __init__(self, sent: list[Message]) -> None:
        self.kinds = [message["type"] for message in sent]
        self.status: int = sent[0].get("status", 0)
        self.headers = {key.decode(): value.decode() for key, value in sent[0].get("headers", [])}
        self.text = b"".join(message.get("body", b"") for message in sent).decode()


def ask(
    app: Any, path: str = "/", query: str = "", *, kind: str = "http", client: str = "10.0.0.5", **headers: str
) -> Answer:
    scope = {
        "type": kind,
        "method": "GET",
        "path": path,
        "query_string": query.encode(),
        "client": (client, 5000),
        "server": ("10.0.0.1", 8443),
        "scheme": "wss" if kind == "websocket" else "https",
        "headers": [(k.encode(), v.encode()) for k, v in {"host": "10.0.0.1:8443", **headers}.items()],
    }
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": f"{kind}.connect" if kind == "websocket" else "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    # Nothing here waits for anything, so no event loop is needed; another test's browser may hold the thread's own.
    with pytest.raises(StopIteration):
        app(scope, receive, send).send(None)
    return Answer(sent)


PATHS = ["/", "/_stcore/health", "/_stcore/upload_file/s/f", "/media/a.jpg", "/app/static/icon-192.png",
         "/static/js/index.js", "/install/", "/install/x", "//install", "/INSTALL", "/any"]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_without_the_cookie_every_path_is_the_lock(path: str) -> None:
    answer = ask(locked(), path)
    assert (answer.status, answer.text) == (403, "locked: no key")


@pytest.mark.parametrize("path", PATHS)
def test_with_the_cookie_every_path_is_the_app(path: str) -> None:
    assert ask(locked(), path, cookie=f"a=b; {GOOD}").text == "the app"


def test_the_install_page_needs_no_key() -> None:
    assert ask(locked(), "/install").text == "the app"


def test_a_websocket_needs_the_cookie() -> None:
    assert ask(locked(), "/_stcore/stream", kind="websocket").kinds == ["websocket.close"]
    assert ask(locked(), "/install", kind="websocket").kinds == ["websocket.close"]
    assert ask(locked(), "/", f"key={KEY}", kind="websocket").kinds == ["websocket.close"]
    assert ask(locked(), "/_stcore/stream", kind="websocket", cookie=f"{COOKIE}=0").kinds == ["websocket.close"]
    assert ask(locked(), "/_stcore/stream", kind="websocket", cookie=GOOD).kinds == ["websocket.accept"]


def test_the_key_becomes_a_cookie_and_leaves_the_address() -> None:
    answer = ask(locked(), "/", f"lang=he&key={KEY}&x=%D7%90")
    assert answer.status == 303
    assert answer.headers["location"] == "/?lang=he&x=%D7%90"
    cookie = SimpleCookie(answer.headers["set-cookie"])[COOKIE]
    assert cookie.value == cookie_value(KEY)
    assert KEY not in answer.headers["set-cookie"]
    assert cookie["secure"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "lax"
    assert cookie["path"] == "/"
    assert not cookie["domain"]
    assert ask(locked(), cookie=f"{COOKIE}={cookie.value}").text == "the app"


@pytest.mark.parametrize(
    ("path", "location"), [("//evil.example/", "/evil.example/"), ("/\\evil.example/", "/%5Cevil.example/")]
)
def test_the_redirect_leads_nowhere_else(path: str, location: str) -> None:
    assert ask(locked(), path, f"key={KEY}").headers["location"] == location


@pytest.mark.parametrize("wrong", ["x", KEY[:-1], KEY + "x", KEY.upper(), "%C3%A9", "%00"])
def test_a_wrong_key_stays_outside(wrong: str) -> None:
    answer = ask(locked(), "/", f"key={wrong}")
    assert (answer.status, answer.text) == (403, "locked: wrong key")
    assert "set-cookie" not in answer.headers


def test_a_former_key_in_a_bookmark_does_no_harm_where_the_cookie_is_good() -> None:
    answer = ask(locked(), "/", "key=former", cookie=GOOD)
    assert (answer.status, answer.headers["location"]) == (303, "/")


def test_a_wrong_cookie_is_taken_away() -> None:
    answer = ask(locked(), cookie=f"{COOKIE}=former")
    assert (answer.status, answer.text) == (403, "locked: wrong key")
    assert "Max-Age=0" in answer.headers["set-cookie"]


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_too_many_wrong_keys_wait_and_the_right_one_never_does() -> None:
    clock = Clock()
    app = locked(Attempts(allowed=3, window_s=60, clock=clock))
    for guess in ("a", "b", "c"):
        answer = ask(app, "/", f"key={guess}")
    assert (answer.status, answer.text) == (429, "locked: too many")
    assert answer.headers["retry-after"] == "61"
    # Whoever has the key gets in, from the same address too: a neighbour's guesses must not lock its owner out.
    assert ask(app, "/", f"key={KEY}").status == 303
    assert ask(app, "/", f"key={KEY}", client="10.0.0.6").status == 303
    assert ask(app, cookie=GOOD).text == "the app"
    clock.now_s = 59.9
    assert ask(app, "/", "key=d").status == 429
    clock.now_s = 60.1
    assert ask(app, "/", "key=e").status == 403


def test_a_program_is_told_in_a_problem_document_that_it_has_to_wait() -> None:
    app = Lock(tiny_app, key=KEY, page=web.lock_page, open_paths=frozenset(), attempts=Attempts(2, clock=Clock()))
    answers = [ask(app, "/v1/campus", authorization=f"Bearer {guess}") for guess in ("a", "b")]
    assert [(answer.status, json.loads(answer.text)["status"]) for answer in answers] == [(401, 401), (429, 429)]
    assert answers[1].headers["content-type"] == "application/problem+json"
    assert answers[1].headers["retry-after"] == "61"


def test_cookies_and_websockets_are_guesses_too() -> None:
    app = locked(Attempts(allowed=3, clock=Clock()))
    ask(app, cookie=f"{COOKIE}=a")
    ask(app, kind="websocket", cookie=f"{COOKIE}=b")
    ask(app, "/", "key=c")
    assert ask(app).status == 429


def test_a_page_that_keeps_asking_with_a_former_cookie_counts_once() -> None:
    app = locked(Attempts(allowed=3, clock=Clock()))
    for _ in range(20):
        ask(app, "/_stcore/health", cookie=f"{COOKIE}=former")
    assert ask(app, "/", f"key={KEY}").status == 303


def test_the_table_of_clients_is_bounded() -> None:
    attempts = Attempts(allowed=1, clients=50, clock=Clock())
    for number in range(500):
        attempts.failed(f"10.0.{number // 250}.{number % 250}", "guess")
    assert len(attempts) == 50
    assert attempts.wait_s("10.0.1.249") > 0
    assert attempts.wait_s("10.0.0.0") == 0


@pytest.mark.parametrize(
    ("host", "client"),
    [
        ("10.0.0.5", "10.0.0.5"),
        ("::ffff:10.0.0.5", "10.0.0.5"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("a name", "a name"),
    ],
)
def test_whom_to_count(host: str, client: str) -> None:
    assert client_of({"client": (host, 1)}) == client
    assert client_of({"client": None}) == ""


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://10.0.0.1:8443", "https://10.0.0.1"])
def test_pages_of_other_sites_may_ask_nothing(origin: str) -> None:
    app = SameOrigin(tiny_app, names=["localhost", "jetson.local"])
    answer = ask(app, origin=origin)
    assert (answer.status, json.loads(answer.text)["status"]) == (403, 403)
    assert answer.headers["content-type"] == "application/problem+json"
    assert ask(app, kind="websocket", origin=origin).kinds == ["websocket.close"]


def test_our_own_page_may_ask() -> None:
    app = SameOrigin(tiny_app, names=["localhost", "jetson.local"])
    answer = ask(app, origin="https://10.0.0.1:8443")
    assert answer.text == "the app"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert answer.headers["x-content-type-options"] == "nosniff"
    policy = answer.headers["content-security-policy"]
    assert "connect-src 'self' data: blob: wss://10.0.0.1:8443;" in policy
    assert "frame-ancestors 'none'" in policy
    assert "http:" not in policy
    assert "https:" not in policy
    assert "*" not in policy
    assert ask(app, kind="websocket", origin="https://10.0.0.1:8443").kinds == ["websocket.accept"]
    assert ask(app).text == "the app", "an address typed by hand carries no origin"


@pytest.mark.parametrize("host", ["10.0.0.9", "10.0.0.9:8443", "[fe80::1]:8443", "localhost:8443", "JETSON.local"])
def test_it_answers_to_its_addresses_and_names(host: str) -> None:
    assert ask(SameOrigin(tiny_app, names=["localhost", "jetson.local"]), host=host).text == "the app"


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8443", "10.0.0.9.evil.example", "jetson", "", "a b", "a;b"]
)
def test_a_name_of_someone_elses_that_leads_here_is_refused(host: str) -> None:
    app = SameOrigin(tiny_app, names=["localhost", "jetson.local"])
    answer = ask(app, host=host, origin=f"https://{host}")
    assert (answer.status, json.loads(answer.text)["status"]) == (421, 421)
    assert ask(app, kind="websocket", host=host).kinds == ["websocket.close"]


def test_the_key_is_long_private_and_kept(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    key = access_key(folder)
    assert len(key) >= 22
    assert stat.S_IMODE((folder / KEY_FILE).stat().st_mode) == 0o600
    assert access_key(folder) == key
    other = access_key(folder, new=True)
    assert other != key
    assert access_key(folder) == other


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"short", b"with a space in its middle", b"\xff" * 30, "ä".encode() * 30]
)
def test_a_file_without_a_key_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / KEY_FILE).write_bytes(content)
    with pytest.raises(CampusError, match=r"access-key: not an access key: --new-key"):
        access_key(tmp_path)
    assert access_key(tmp_path, new=True)
