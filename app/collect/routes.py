"""The inbox over HTTP: send a photo, list them, look at one, place it, accept or reject it."""

from __future__ import annotations

import io
import json
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from app.collect.inbox import Entry, Inbox, InboxFull
from app.collect.plan import plan
from app.serve.api.bodies import photo_and_field
from app.serve.api.problems import Problem
from core.campus.bundle import Bundle
from core.campus.inbox import Answered, Review, Sidecar, Source
from core.errors import PhotoError, in_a_line
from core.photo.load import load_photo

_THUMBNAIL_PX = 480
_SENT = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["photo", "about"],
                "properties": {
                    "photo": {"type": "string", "format": "binary"},
                    "about": {"type": "string", "description": "the sidecar as JSON; all of it may be left out: {}"},
                },
            }
        }
    },
}


class EntryDocument(BaseModel):
    """A photo in the inbox and what is known of it."""

    id: str
    lat: float | None
    lon: float | None
    error_m: float | None
    source: Source
    time_utc: datetime | None
    heading_deg: float | None
    who: str
    fix: Answered | None
    review: Review

    @classmethod
    def of(cls, entry: Entry) -> EntryDocument:
        return cls(id=entry.id, **entry.sidecar.model_dump(exclude={"campus"}))


class InboxDocument(BaseModel):
    """What the inbox holds of this campus, the newest photo first."""

    photos: list[EntryDocument]
    held_bytes: int
    most_bytes: int


class ChangeDocument(BaseModel):
    """What a reviewer says of a photo: where it was taken, or whether it is taken, or both."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    lat: Annotated[float, Field(ge=-84, le=84)] | None = None
    lon: Annotated[float, Field(ge=-180, le=180)] | None = None
    review: Review | None = None


def inbox_routes(inbox: Inbox, bundle: Bundle) -> APIRouter:
    """The routes of a campus's inbox; whoever mounts them guards them."""
    routes = APIRouter()
    campus = bundle.manifest.name

    @routes.post("/v1/inbox", openapi_extra={"requestBody": _SENT}, status_code=201)
    async def send(request: Request, response: Response) -> EntryDocument:
        """Store a photo and its sidecar for review. The same file again is answered with 200 and stays as it stands."""
        photo, about = await photo_and_field(request, "about")
        sidecar = _sidecar(about, campus)
        try:
            entry, new = await run_in_threadpool(inbox.add, photo, sidecar)
        except PhotoError as error:
            raise Problem(422, str(error)) from error
        except InboxFull as error:
            raise Problem(507, error.reason) from error
        response.status_code = 201 if new else 200
        return EntryDocument.of(entry)

    @routes.get("/v1/inbox")
    async def listed() -> InboxDocument:
        """All photos of this campus that were sent."""
        entries = await run_in_threadpool(inbox.entries)
        held = await run_in_threadpool(inbox.held_bytes)
        photos = [EntryDocument.of(entry) for entry in entries if entry.sidecar.campus in (campus, "")]
        return InboxDocument(photos=photos, held_bytes=held, most_bytes=inbox.most_bytes)

    @routes.post("/v1/inbox/{id}")
    async def change(id: str, asked: ChangeDocument) -> EntryDocument:
        """Place a photo, accept or reject it. One without a place cannot be accepted."""
        changes: dict[str, Any] = {} if asked.review is None else {"review": asked.review}
        if asked.lat is not None or asked.lon is not None:
            changes |= {"lat": asked.lat, "lon": asked.lon, "error_m": None, "source": "tap"}
        try:
            entry = await run_in_threadpool(lambda: inbox.change(id, **changes))
        except ValidationError as error:
            raise Problem(422, in_a_line(error.errors()[0]["msg"])) from error
        return EntryDocument.of(_found(entry))

    @routes.get("/v1/inbox/{id}/thumbnail", response_class=Response)
    async def thumbnail(id: str) -> Response:
        """The photo as a small JPEG."""
        entry = _found(await run_in_threadpool(inbox.find, id))
        headers = {"Cache-Control": "private, max-age=86400"}
        return Response(await run_in_threadpool(_small, entry), media_type="image/jpeg", headers=headers)

    @routes.get("/v1/inbox-plan", response_class=JSONResponse)
    async def the_plan() -> JSONResponse:
        """The campus's map in metres for the pages that collect and review, and where photos are wanted next."""
        entries = await run_in_threadpool(inbox.entries)
        return JSONResponse(await run_in_threadpool(plan, bundle, [entry.sidecar for entry in entries]))

    return routes


def _sidecar(about: str, campus: str) -> Sidecar:
    """What a phone says of its photo; the review is not its to say."""
    try:
        told = json.loads(about)
        if not isinstance(told, dict):
            raise ValueError
    except (ValueError, RecursionError) as error:
        raise Problem(400, "`about` is no JSON object") from error
    try:
        return Sidecar.model_validate(told | {"campus": campus, "review": ""})
    except ValidationError as error:
        first = error.errors()[0]
        raise Problem(422, f"about.{'.'.join(map(str, first['loc']))[:100]}: {in_a_line(first['msg'])}") from error


def _found(entry: Entry | None) -> Entry:
    if entry is None:
        raise Problem(404, "the inbox holds no such photo")
    return entry


def _small(entry: Entry) -> bytes:
    from PIL import Image

    image = Image.fromarray(load_photo(entry.path, min_side=_THUMBNAIL_PX).rgb)
    image.thumbnail((_THUMBNAIL_PX, _THUMBNAIL_PX), reducing_gap=2.0)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=80)
    return out.getvalue()
