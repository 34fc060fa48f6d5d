"""The first page: Streamlit's own, which says what is being waited for until its scripts have come."""

from __future__ import annotations

import html
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse
from starlette.routing import Route

from app.language import Lang, language_of
from app.texts import Texts

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

_LOADING = """<style>
  .campus-loading {
    position: fixed; inset: 0; margin: auto; height: 2em; text-align: center; font: 600 1.1rem system-ui, sans-serif;
  }
  @media (prefers-color-scheme: dark) {
    .campus-loading { color: #eef1f5; }
    html:has(.campus-loading) { background: #0f1318; }
  }
</style>
<p class="campus-loading" role="status" dir="auto">%s</p>"""


def front_page(changed: Callable[[str], str] = lambda page: page) -> Route:
    """The route of the app's first page, in the language of who asks; `changed` adds what else belongs in it."""

    async def page(request: Request) -> HTMLResponse:
        lang = language_of(request.query_params.get("lang"), request.headers.get("accept-language"))
        return HTMLResponse(changed(_page(lang)), headers={"Cache-Control": "no-cache"})

    return Route("/", page)


def streamlit_page() -> str:
    """Streamlit's own first page, as installed."""
    from streamlit import file_util

    return (Path(file_util.get_static_dir()) / "index.html").read_text("utf-8")


@lru_cache
def _page(lang: Lang) -> str:
    texts = Texts(lang)
    named = streamlit_page().replace("<title>Streamlit</title>", f"<title>{texts['app']}</title>", 1)
    before, body, after = named.partition('<div id="root">')
    return before + _LOADING % html.escape(texts["loading"]) + body + after
