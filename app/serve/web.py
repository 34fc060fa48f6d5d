"""What `app.serve` puts around the field app: first page, lock and install pages, manifest, redirect to https."""

from __future__ import annotations

import base64
import html
import json
import re
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from app.compression import compressed
from app.front_page import front_page
from app.language import Lang, language_of
from app.serve.access import KEY_PARAMETER, Attempts, Lock, Reason, SameOrigin, host_of, is_address
from app.serve.addresses import host_names
from app.serve.api.application import PATHS as API_PATHS
from app.serve.api.problems import problem_response
from app.serve.web_texts import TEXTS
from app.uploads import keep_uploads_in_memory

if TYPE_CHECKING:
    from streamlit.starlette import App

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = Path(__file__).resolve().parent / "pages"
INSTALL_PATH, CERTIFICATE_PATH = "/install", "/campus-gps-ca.crt"
PEM_PATH = "/campus-gps-ca.pem"  # for programs; phones take the other form
_MESSAGES: dict[Reason, str] = {"no key": "no_key", "wrong key": "wrong_key", "too many": "too_many"}
# Our own pages run no script and load nothing; only their form may be sent, and only here.
_STRICT = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True)
class Site:
    """What the pages tell: the address to fall back to, the https port, the certificate to install, the key or None."""

    host: str
    port: int
    certificate: bytes  # DER
    fingerprint: str
    key: str | None


def field_app(site: Site, api: ASGIApp, pages: Sequence[BaseRoute] = ()) -> App:
    """The field app, the HTTP interface and other `pages` behind the lock (unless the site has no key), compressed,
    with the pages around them.
    """
    from streamlit.starlette import App

    keep_uploads_in_memory()
    middleware = [Middleware(SameOrigin, names=host_names())]
    if site.key is not None:
        open_paths = frozenset({INSTALL_PATH, CERTIFICATE_PATH, PEM_PATH, "/healthz"})
        middleware.append(Middleware(Lock, key=site.key, page=lock_page, open_paths=open_paths, attempts=Attempts()))
    middleware.append(compressed())
    return App(
        REPOSITORY / "streamlit_app.py",
        routes=[*(Route(path, api) for path in API_PATHS), *pages, *app_routes(site), *install_routes(site)],
        middleware=middleware,
    )


def app_routes(site: Site) -> list[BaseRoute]:
    """The app's first page with what makes it installable, and the files that this names."""
    worker = service_worker()
    always_ask = {"Cache-Control": "no-cache"}

    # A response is made for each request: compression rewrites the headers of the one that it is given.
    async def serve_worker(_: Request) -> Response:
        return Response(worker, media_type="text/javascript", headers=always_ask)

    async def serve_manifest(request: Request) -> Response:
        # A page on an iPhone's home screen has cookies of its own and would start at the lock, so there the key comes
        # with it. Elsewhere the key stays out: Chrome shows the manifest to the service that packs its apps.
        apple = re.search(r"iPhone|iPad|iPod", request.headers.get("user-agent", ""))
        content = manifest(site.key if apple else None)
        return JSONResponse(content, media_type="application/manifest+json", headers={"Cache-Control": "no-store"})

    return [
        front_page(with_head),
        Route("/service-worker.js", serve_worker),
        Route("/campus.webmanifest", serve_manifest),
    ]


def install_routes(site: Site) -> list[BaseRoute]:
    """The certificate and the page that tells how to install it; the same over http and https."""

    async def page(request: Request) -> Response:
        address = f"https://{host_of(request) or site.host}:{site.port}/"
        values = {"certificate": CERTIFICATE_PATH, "fingerprint": site.fingerprint, "home_address": address}
        return HTMLResponse(own_page("install", _language(request), values), headers=_STRICT)

    async def certificate(_: Request) -> Response:
        return Response(
            site.certificate, media_type="application/x-x509-ca-cert", headers={"Cache-Control": "no-store"}
        )

    async def pem(_: Request) -> Response:
        return Response(ssl.DER_cert_to_PEM_cert(site.certificate), media_type="application/x-pem-file")

    return [Route(INSTALL_PATH, page), Route(CERTIFICATE_PATH, certificate), Route(PEM_PATH, pem)]


def redirect_app(site: Site) -> Starlette:
    """Everything asked over http goes to https, except the certificate and its page: they must come before trust.

    It goes to an address or one of this machine's names; whoever asks for another name is led to the address.
    """
    names = host_names()

    async def to_https(request: Request) -> Response:
        path = "/" + request.url.path.lstrip("/")
        query = f"?{request.url.query}" if request.url.query else ""
        # Not a permanent redirect: the port may serve something else another day.
        asked = host_of(request)
        host = asked if asked and (is_address(asked) or asked in names) else site.host
        return RedirectResponse(f"https://{host}:{site.port}{path}{query}", 307)

    methods = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]
    return Starlette(routes=[*install_routes(site), Route("/{path:path}", to_https, methods=methods)])


def lock_page(request: HTTPConnection, reason: Reason) -> Response:
    """The page instead of the app; for programs a problem document."""
    if request.url.path.startswith(("/v1/", "/metrics", "/openapi.json")):
        if reason == "too many":
            return problem_response(429, "too many wrong keys came from here: ask again after Retry-After's seconds")
        wanted = {"WWW-Authenticate": "Bearer"}
        return problem_response(401, "send the access key as `Authorization: Bearer KEY`", wanted)
    lang = _language(request)
    return HTMLResponse(own_page("lock", lang, {"message": TEXTS[lang][_MESSAGES[reason]]}), headers=_STRICT)


def own_page(name: str, lang: Lang, values: dict[str, str]) -> str:
    """A whole page of ours: `pages/NAME.html` filled with the texts and `values`, all escaped."""
    texts = TEXTS[lang] | values | {"icon": _icon("icon-64.png")}
    body = Template(_file(f"{name}.html")).substitute({key: html.escape(text) for key, text in texts.items()})
    return (
        f'<!DOCTYPE html><html lang="{lang}" dir="{"rtl" if lang == "he" else "ltr"}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1, viewport-fit=cover">'
        '<meta name="color-scheme" content="light dark">'
        f'<title>{texts["app"]}</title><link rel="icon" href="{texts["icon"]}">'
        f"<style>{_file('page.css')}</style></head><body>{body}</body></html>"
    )


def with_head(page: str) -> str:
    """Our first page with manifest, icon and service worker in its head, before any script has run."""
    # The icon lies in the page: iOS fetches icons without the cookie that opens the lock.
    values = {"app": TEXTS["en"]["app"], "apple_icon": _icon("icon-180.png")}
    head = Template(_file("head.html")).substitute(values)
    before, end, after = page.partition("</head>")
    if not end:
        raise RuntimeError("Streamlit's index.html has no </head>; this version of it is not supported")
    return before + head + end + after


def service_worker() -> str:
    """The service worker, with the page that it shows while the server cannot be reached."""
    pages = {lang: own_page("offline", lang, {}) for lang in TEXTS}
    return _file("service_worker.js").replace("$offline_pages", json.dumps(pages))


def manifest(key: str | None) -> dict[str, Any]:
    """The app's web manifest, in paths of this server, starting with the key where one is given."""
    content: dict[str, Any] = json.loads((REPOSITORY / "static" / "manifest.webmanifest").read_text("utf-8"))
    icons = [icon | {"src": f"/app/static/{icon['src']}"} for icon in content["icons"]]
    start = f"/?{KEY_PARAMETER}={key}" if key else "/"
    return content | {"id": "/", "scope": "/", "start_url": start, "icons": icons}


def _language(request: HTTPConnection) -> Lang:
    return language_of(request.query_params.get("lang"), request.headers.get("accept-language"))


@lru_cache
def _file(name: str) -> str:
    return (PAGES / name).read_text("utf-8")


@lru_cache
def _icon(name: str) -> str:
    """An icon as a data URL."""
    return "data:image/png;base64," + base64.b64encode((REPOSITORY / "static" / name).read_bytes()).decode()
