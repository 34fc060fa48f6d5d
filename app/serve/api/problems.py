"""Errors as RFC 9457 problem documents: one JSON object that names the trouble and the remedy."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from starlette.responses import JSONResponse

from core.errors import Kind

MEDIA_TYPE = "application/problem+json"


class Problem(Exception):
    """A request that gets no answer: an HTTP status, and a sentence for the person at the other end.

    `kind` is for pages that say it in words of their own, as a CampusError's is.
    """

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None, kind: Kind = "") -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers, self.kind = status, detail, dict(headers or {}), kind


def problem_response(
    status: int, detail: str, headers: Mapping[str, str] | None = None, kind: Kind = ""
) -> JSONResponse:
    """The document of RFC 9457, section 3; `type` is about:blank, so `title` is the status's own phrase."""
    content = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    content |= {"kind": kind} if kind else {}
    return JSONResponse(
        content, status, headers={**(headers or {}), "Cache-Control": "no-store"}, media_type=MEDIA_TYPE
    )
