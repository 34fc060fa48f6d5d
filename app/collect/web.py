"""The pages on which photos are collected and reviewed: plain HTML and scripts, as they lie in `pages/`."""

from __future__ import annotations

import html
import json
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from string import Template

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from app.collect.plan import NEAR_M, STOP_PHOTOS
from app.collect.words import WORDS, faces, reasons_of
from app.language import Lang, language_of
from app.settings import settings
from app.texts import Texts

_PAGES = Path(__file__).resolve().parent / "pages"
_SCRIPTS = ("page.js", "pictures.js", "labels.js", "map.js", "queue.js", "senses.js", "collect.js", "review.js")
_FILES = {"page.css": "text/css", **dict.fromkeys(_SCRIPTS, "text/javascript")}
_ALWAYS_ASK = {"Cache-Control": "no-cache"}  # a server of another version must not meet an old script


def collect_routes() -> list[BaseRoute]:
    """`/collect`, `/review` and the files that they name; whoever mounts them guards them."""

    def serve(name: str) -> Callable[[Request], Response]:
        def answer(request: Request) -> Response:
            lang = language_of(request.query_params.get("lang"), request.headers.get("accept-language"))
            return HTMLResponse(page(name, lang, blur=settings().blur), headers=_ALWAYS_ASK)

        return answer

    def file(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in _FILES:
            return Response("no such file", 404)
        return Response(_text(name), media_type=_FILES[name], headers=_ALWAYS_ASK)

    return [
        Route("/collect", serve("collect")),
        Route("/review", serve("review")),
        Route("/collect/{name}", file),
    ]


def page(name: str, lang: Lang, *, blur: bool) -> str:
    """A whole page: `pages/NAME.html` filled with the words, which its script gets as JSON too.

    `blur` says that faces and number plates are painted over in what is stored.
    """
    words, texts = WORDS[lang], Texts(lang)
    told = {
        **words,
        "lang": lang,
        "distance": texts["metres"],
        "two_fingers": texts["two_fingers"],
        "reasons": reasons_of(lang),
        "stop_photos": STOP_PHOTOS,
        "near_m": NEAR_M,
        "directions": [texts.direction(45.0 * index) for index in range(8)],
    }
    filled = words | {"faces": faces(lang, blur=blur)}
    blanks = {key: html.escape(text) for key, text in filled.items()} | {"lang": lang}
    body = Template(_text(f"{name}.html")).substitute(blanks)
    # Within a script element only "</" could end it.
    embedded = json.dumps(told, ensure_ascii=False).replace("</", "<\\/")
    return (
        f'<!DOCTYPE html><html lang="{lang}" dir="{"rtl" if texts.right_to_left else "ltr"}"><head>'
        '<meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1, viewport-fit=cover">'
        '<meta name="color-scheme" content="light dark">'
        f'<title>{html.escape(words[name])}</title><link rel="stylesheet" href="/collect/page.css">'
        '<link rel="icon" href="/app/static/icon-64.png"></head>'
        f'<body class="wide"><script type="application/json" id="words">{embedded}</script>{body}</body></html>'
    )


@lru_cache
def _text(name: str) -> str:
    return (_PAGES / name).read_text("utf-8")
