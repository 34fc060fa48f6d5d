"""A client of the HTTP interface of `python -m app.serve`: one file, to be copied. It needs httpx2 alone.

    with Campus("https://192.168.1.20:8443", key, "campus-gps-ca.pem") as campus:
        fix = campus.locate("photo.jpg")
        print(fix["lat"], fix["lon"], fix["radius68_m"])

Answers are the JSON objects that the server's own /docs describes. Photos are paths or the bytes of photo files.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from datetime import datetime
from email.utils import parsedate_to_datetime
from math import inf
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx2

Photo = str | Path | bytes
BUSY = (429, 503)  # with a header Retry-After: the photo was not located, and may be sent again


class Refused(Exception):
    """The server answered with a problem document (RFC 9457)."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(f"{status}: {detail}")
        self.status, self.detail = status, detail


class Campus:
    """One server. Safe to share between threads.

    Each call raises Refused where the server answers with a problem, OSError for a photo that is not there, and
    httpx2's own errors for network trouble.
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        authority: str | Path | None = None,
        timeout_s: float = 60.0,
        patience_s: float = 30.0,
        http: httpx2.Client | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`authority`: the server's own certificate as a PEM file, from http://ADDRESS:8080/campus-gps-ca.pem.

        `timeout_s`: how long the network may be silent. `patience_s`: how long to wait in all for a busy server, which
        says itself when to ask again. `http`: a client of your own, in place of `url`, `authority` and `timeout_s`.
        """
        trust = ssl.create_default_context(cafile=None if authority is None else str(authority))
        self._http = http or httpx2.Client(base_url=url, verify=trust, timeout=timeout_s)
        self._headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        self._patience_s, self._sleep = patience_s, sleep

    def locate(self, *photos: Photo) -> dict[str, Any]:
        """The fix of a photo, or of several of one standpoint together."""
        if len(photos) == 1:
            return self._ask("POST", "/v1/locate", **_one(photos[0]))
        parts = [("photo", (f"{number}", _data(photo))) for number, photo in enumerate(photos)]
        return self._ask("POST", "/v1/locate", files=parts)

    def walk(self, session: str, photo: Photo, time: datetime | None = None) -> dict[str, Any]:
        """Where a walker is after the next photo of the walk called `session`; `time`: when it was taken.

        A time without a zone is of this machine's.
        """
        when = {} if time is None else {"time": time.astimezone().isoformat()}
        return self._ask("POST", "/v1/walk", params={"session": session, **when}, **_one(photo))

    def end_walk(self, session: str) -> None:
        """Forget a walk."""
        self._ask("DELETE", "/v1/walk", params={"session": session})

    def geopose(self, photo: Photo, height_m: float = 0.0) -> dict[str, Any]:
        """OGC GeoPose 1.0 Basic-Quaternion; `height_m` above the ellipsoid, which a photo cannot tell."""
        return self._ask("POST", "/v1/geopose", params={"h": height_m}, **_one(photo))

    def campus(self) -> dict[str, Any]:
        """Name, bounds, zones and held-out errors of the campus."""
        return self._ask("GET", "/v1/campus")

    def _ask(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        request["headers"] = {**self._headers, **request.get("headers", {})}
        left_s = self._patience_s
        while True:
            answer = self._http.request(method, path, **request)
            wait_s = _wait_s(answer.headers.get("Retry-After", ""))
            if answer.status_code not in BUSY or wait_s > left_s:
                break
            self._sleep(wait_s)
            left_s -= wait_s
        if answer.is_success:
            return dict(answer.json())
        try:
            detail = str(answer.json()["detail"])
        except (ValueError, LookupError, TypeError):  # a proxy's own page, or its own JSON
            detail = answer.reason_phrase
        raise Refused(answer.status_code, detail)

    def close(self) -> None:
        """End the connections."""
        self._http.close()

    def __enter__(self) -> Campus:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _wait_s(retry_after: str) -> float:
    """The seconds of a header Retry-After, which may be a date (RFC 9110, 10.2.3); endless where it is neither."""
    try:
        if retry_after.strip().isdigit():
            return float(retry_after)
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except (ValueError, TypeError, IndexError):
        return inf


def _data(photo: Photo) -> bytes:
    return photo if isinstance(photo, bytes) else Path(photo).read_bytes()


def _one(photo: Photo) -> dict[str, Any]:
    return {"content": _data(photo), "headers": {"Content-Type": "application/octet-stream"}}
