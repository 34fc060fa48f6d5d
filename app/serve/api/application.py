"""The HTTP interface's routes: locate, geopose, campus, metrics, health, and their OpenAPI description."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated, Any, Protocol

from fastapi import Depends, FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPBearer
from fastapi_offline import FastAPIOffline
from pydantic import AwareDatetime
from pydantic.json_schema import models_json_schema
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.collect.inbox import Inbox
from app.collect.routes import inbox_routes
from app.gate import BusyError, Gate
from app.serve.api import geopose, metrics, problems
from app.serve.api.bodies import Asked, photos_of
from app.serve.api.documents import (
    CampusDocument,
    FixDocument,
    GeoPoseAnswer,
    GeoPoseDocument,
    GeoPoseRequest,
    ProblemDocument,
)
from app.serve.api.problems import Problem, problem_response
from app.serve.api.walks import LEFT_ALONE_S, TooManyWalks, Walks
from core.campus.bundle import Bundle
from core.errors import CampusError, PhotoError, TimeReversed
from core.locate.fix import Fix

PATHS = ("/v1/{rest:path}", "/docs", "/openapi.json", "/static-offline-docs/{rest:path}", "/metrics", "/healthz")
RETRY_AFTER_S = 2
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_PARTS = {
    "schema": {
        "type": "object",
        "required": ["photo"],
        "properties": {"photo": {"type": "array", "items": {"type": "string", "format": "binary"}, "maxItems": 16}},
    }
}
_PHOTOS: dict[str, Any] = {
    "required": True,
    "content": {
        **dict.fromkeys(("image/jpeg", "image/heic", "image/png", "image/webp"), _BINARY),
        "multipart/form-data": _PARTS,
    },
}
_DESCRIBED = "#/components/schemas/{model}"


def _problems(meanings: dict[int, str]) -> dict[int | str, dict[str, Any]]:
    content = {problems.MEDIA_TYPE: {"schema": ProblemDocument.model_json_schema()}}
    return {status: {"description": meaning, "content": content} for status, meaning in meanings.items()}


_LOCKED = _problems({401: "The access key is missing or wrong.", 403: "A page of another site asked."})
_PROBLEMS = _LOCKED | _problems(
    {
        400: "The body is damaged.",
        409: "The photo is older than the walk's last.",
        413: "The body is too large.",
        415: "The content type is not taken.",
        422: "A photo cannot be read.",
        429: "All turns are taken; Retry-After says when to ask again.",
        503: "A process was lost: Retry-After says when to ask again. Without it: what must be mended first.",
    }
)
_GEOPOSE_REQUESTS = {
    "required": True,
    "content": _PHOTOS["content"]
    | {"application/json": {"schema": {"$ref": _DESCRIBED.format(model="GeoPoseRequest")}}},
}
_GEOPOSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The pose of a photo; the protocol's answer to its request.",
        "content": {
            geopose.MEDIA_TYPE: {"schema": {"$ref": _DESCRIBED.format(model="GeoPoseDocument")}},
            "application/json": {"schema": {"$ref": _DESCRIBED.format(model="GeoPoseAnswer")}},
        },
    }
}


class Locates(Protocol):
    """Something that turns photos into a fix; see `LocateWorkers`."""

    def locate(self, photos: Sequence[bytes]) -> Fix: ...


class Service:
    """Locates photos within the queue that the app shares, and counts what it did."""

    def __init__(self, workers: Locates, walks: Walks, gate: Gate) -> None:
        self.workers, self.walks, self.gate, self.metrics = workers, walks, gate, metrics.Metrics()

    async def locate(self, asked: Asked) -> Fix:
        """The fix of a request's photos. Raises Problem: 422, 429 or 503."""

        def work() -> Fix:
            with self.gate.turn():
                return self.workers.locate(asked.photos)

        return await self._answered(work, len(asked.photos))

    async def walk(self, name: str, photo: bytes, time_utc: datetime | None) -> Fix:
        """The fix of a walk after its next photo. Raises Problem: 409, 422 or 429."""
        time_s = None if time_utc is None else time_utc.timestamp()
        return await self._answered(lambda: self.walks.add(name, photo, time_s, self.gate.turn), 1)

    async def _answered(self, work: Callable[[], Fix], photos: int) -> Fix:
        started = time.perf_counter()
        try:
            with self.metrics.locating.track_inprogress():
                fix = await run_in_threadpool(work)
        except BusyError as error:
            headers = {"Retry-After": str(RETRY_AFTER_S)}
            raise Problem(429, f"{error.waiting} photos are waiting: ask again later", headers) from error
        except TooManyWalks as error:
            headers = {"Retry-After": str(int(LEFT_ALONE_S))}
            raise Problem(429, "too many walks are under way: end one, or ask again later", headers) from error
        except TimeReversed as error:
            raise Problem(409, str(error)) from error
        except PhotoError as error:
            raise Problem(422, str(error)) from error
        except BrokenProcessPool as error:
            headers = {"Retry-After": str(RETRY_AFTER_S)}
            raise Problem(503, "the process that located this photo was lost: ask again", headers) from error
        self.metrics.seconds.observe(time.perf_counter() - started)
        self.metrics.photos.inc(photos)
        self.metrics.refused.inc(fix.refused)
        return fix


class _Counting:
    """Counts answers by route and status; Starlette's own kind of middleware makes a task of each piece of a body."""

    def __init__(self, app: ASGIApp, counters: metrics.Metrics) -> None:
        self._app, self._requests = app, counters.requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                # The pattern, so that a stranger's paths make no metrics.
                self._requests.labels(getattr(scope.get("route"), "path", "none"), str(message["status"])).inc()
            await send(message)

        await self._app(scope, receive, counted)


def api_app(bundle: Bundle, service: Service, inbox: Inbox | None = None) -> FastAPI:
    """The ASGI application, with an inbox where photos are taken; whoever mounts it guards it."""
    api: FastAPI = FastAPIOffline(
        title="Campus GPS",
        version="1",
        description="A photo of a place on campus in; position, error radius and zone out.",
        redoc_url=None,
        # For the description alone: whoever mounts it looks at the key.
        dependencies=[Depends(HTTPBearer(auto_error=False, description="the access key, with which the address ends"))],
    )
    _add_routes(api, bundle, service)
    if inbox is not None:
        api.include_router(inbox_routes(inbox, bundle), responses=_LOCKED)
    _say_problems(api)
    _describe(api)
    api.add_middleware(_Counting, service.metrics)
    return api


def _add_routes(api: FastAPI, bundle: Bundle, service: Service) -> None:
    campus = CampusDocument.of(bundle.manifest)

    @api.post("/v1/locate", responses=_PROBLEMS, openapi_extra={"requestBody": _PHOTOS})
    async def locate(request: Request) -> FixDocument:
        """Where one photo was taken, or several of one standpoint together. Photos are never stored."""
        return FixDocument.of(await service.locate(await photos_of(request)))

    @api.post("/v1/walk", responses=_PROBLEMS, openapi_extra={"requestBody": _PHOTOS})
    async def walk(
        request: Request,
        session: Annotated[str, Query(pattern=r"^[A-Za-z0-9_-]{8,100}$", description="the walk, named by its caller")],
        time: Annotated[
            AwareDatetime | None,
            Query(description="when the photo was taken, with its offset from UTC; default: its EXIF, else now"),
        ] = None,
    ) -> FixDocument:
        """Where a walker is after the next photo of the walk; a walk left alone for ten minutes is forgotten."""
        asked = await photos_of(request)
        if len(asked.photos) > 1:
            raise Problem(422, "a walk takes one photo at a time")
        return FixDocument.of(await service.walk(session, asked.photos[0], time))

    @api.delete("/v1/walk", responses=_LOCKED | _problems({404: "There is no such walk."}))
    async def end_walk(session: Annotated[str, Query(max_length=100)]) -> dict[str, str]:
        """End a walk."""
        if not service.walks.end(session):
            raise Problem(404, "there is no such walk")
        return {"status": "ended"}

    @api.post("/v1/geopose", responses=_PROBLEMS | _GEOPOSES, openapi_extra={"requestBody": _GEOPOSE_REQUESTS})
    async def geo_pose(
        request: Request,
        h: Annotated[float, Query(ge=-1000, le=10000, description="metres above the ellipsoid")] = 0.0,
    ) -> Response:
        """OGC GeoPose Basic-Quaternion of a photo; of a GeoPoseProtocol request in JSON, its answer with accuracy."""
        asked = await photos_of(request, protocol=True)
        fix = await service.locate(asked)
        if fix.refused:
            raise Problem(422, f"nothing in the photo was recognised as {bundle.manifest.name}: there is no pose")
        if asked.protocol_id is not None:
            return JSONResponse(geopose.protocol_answer(fix, h, asked.protocol_id, datetime.now(timezone.utc)))
        return JSONResponse(geopose.basic_quaternion(fix, h), media_type=geopose.MEDIA_TYPE)

    @api.get("/v1/campus", responses=_LOCKED)
    async def the_campus() -> CampusDocument:
        """The public part of the campus's manifest."""
        return campus

    @api.get("/metrics", response_class=Response, responses=_LOCKED)
    async def the_metrics() -> Response:
        """Counters for Prometheus."""
        return Response(service.metrics.text(), media_type=metrics.MEDIA_TYPE)

    @api.get("/healthz")
    async def healthy() -> dict[str, str]:
        """Whether the server answers."""
        return {"status": "ok"}


def _describe(api: FastAPI) -> None:
    """Add to the description what the routes' own types do not tell: the GeoPose documents, and what needs no key."""
    models = (GeoPoseRequest, GeoPoseDocument, GeoPoseAnswer)
    _, found = models_json_schema([(model, "validation") for model in models], ref_template=_DESCRIBED)
    document = api.openapi()  # made once and kept
    document["components"].setdefault("schemas", {}).update(found["$defs"])
    document["paths"]["/healthz"]["get"]["security"] = []


def _say_problems(api: FastAPI) -> None:
    """Every error leaves as a problem document, the framework's own too."""

    @api.exception_handler(Problem)
    async def ours(_: Request, problem: Problem) -> Response:
        return problem_response(problem.status, problem.detail, problem.headers, problem.kind)

    @api.exception_handler(Exception)  # the server logs it as well
    async def a_fault(_: Request, __: Exception) -> Response:
        return problem_response(500, "a fault of the server's own: its log says which")

    @api.exception_handler(CampusError)
    async def campus(_: Request, error: CampusError) -> Response:
        # Asking again mends nothing, so there is no Retry-After; where the file lies is the server's own affair.
        return problem_response(503, str(error.replace(path=Path(error.path).name)))

    @api.exception_handler(HTTPException)
    async def framework(_: Request, error: HTTPException) -> Response:
        return problem_response(error.status_code, str(error.detail), error.headers)

    @api.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        return problem_response(422, f"{'.'.join(map(str, first['loc']))[:100]}: {str(first['msg'])[:200]}")
