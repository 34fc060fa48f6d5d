"""The inbox over HTTP: send a photo, list them, look at one, place it, accept or reject it."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from app.collect.inbox import Entry, Inbox, InboxFull
from app.collect.plan import plan
from app.language import Lang
from app.serve.api.bodies import photo_and_field
from app.serve.api.problems import Problem
from app.sighting import small_jpeg
from core.campus.bundle import Bundle
from core.campus.inbox import Answered, Review, Sidecar, Source
from core.errors import PhotoError, in_a_line
from core.photo.capture import Capture, capture_from_tags
from core.photo.exif import read_tags
from core.photo.load import load_photo

_THUMBNAIL_PX = 480
_MOST_OFFSET_MIN = 14 * 60  # the zones of the Earth end there
_SENSED = {"heading_deg", "error_m"}  # a phone's sensor at fault is no reason to lose its photo
_DECODED_AT_ONCE = 2  # a large HEIC takes 400 MB meanwhile
_Answer = TypeVar("_Answer")
_SENT = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["photo", "about"],
                "properties": {
                    "photo": {"type": "string", "format": "binary"},
                    "about": {
                        "type": "string",
                        "description": "the sidecar as JSON, `exif` (base64), `utc_offset_min`; none is needed: {}",
                    },
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
    """What the inbox holds of this campus, the newest photo first; `damaged` more, of any campus, cannot be read."""

    photos: list[EntryDocument]
    damaged: int
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
    decoding = asyncio.Semaphore(_DECODED_AT_ONCE)

    @routes.post("/v1/inbox", openapi_extra={"requestBody": _SENT}, status_code=201)
    async def send(request: Request, response: Response) -> EntryDocument:
        """Store a photo and its sidecar for review. The same file again is answered with 200 and stays as it stands."""
        photo, about = await photo_and_field(request, "about")
        told = _told(about, campus)
        try:
            async with decoding:
                entry, new = await _done(lambda: inbox.add(photo, *told))
        except PhotoError as error:
            raise Problem(422, str(error), kind=error.kind) from error
        except InboxFull as error:
            raise Problem(507, error.reason, kind=error.kind) from error
        response.status_code = 201 if new else 200
        return EntryDocument.of(entry)

    @routes.get("/v1/inbox")
    async def listed() -> InboxDocument:
        """All photos of this campus that were sent."""
        held = await _done(inbox.held)
        return InboxDocument(
            photos=[EntryDocument.of(entry) for entry in _of(campus, held.entries)], damaged=held.damaged,
            held_bytes=await _done(inbox.held_bytes), most_bytes=inbox.most_bytes,
        )  # fmt: skip

    @routes.post("/v1/inbox/{id}")
    async def change(id: str, asked: ChangeDocument) -> EntryDocument:
        """Place a photo, accept or reject it. One without a place cannot be accepted."""
        changes: dict[str, Any] = {} if asked.review is None else {"review": asked.review}
        if asked.lat is not None or asked.lon is not None:
            changes |= {"lat": asked.lat, "lon": asked.lon, "error_m": None, "source": "tap"}
        try:
            entry = await _done(lambda: inbox.change(id, **changes))
        except ValidationError as error:
            raise Problem(422, in_a_line(error.errors()[0]["msg"]), kind="unplaced") from error
        return EntryDocument.of(_found(entry))

    @routes.get("/v1/inbox/{id}/thumbnail", response_class=Response)
    async def thumbnail(id: str) -> Response:
        """The photo as a small JPEG."""
        entry = _found(await _done(lambda: inbox.find(id)))
        async with decoding:
            small = await _done(
                lambda: small_jpeg(load_photo(entry.path, min_side=_THUMBNAIL_PX).rgb, _THUMBNAIL_PX, 80)
            )
        return Response(small, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=86400"})

    @routes.get("/v1/inbox-plan", response_class=JSONResponse)
    async def the_plan(lang: Lang = "en") -> JSONResponse:
        """The campus's map in metres for the pages that collect and review, and where photos are wanted next."""
        sent = [entry.sidecar for entry in _of(campus, await _done(inbox.entries))]
        return JSONResponse(await run_in_threadpool(plan, bundle, sent, lang))

    return routes


def _of(campus: str, entries: list[Entry]) -> list[Entry]:
    return [entry for entry in entries if entry.sidecar.is_of(campus)]


async def _done(work: Callable[[], _Answer]) -> _Answer:
    """What the inbox answers, from a thread. Raises Problem 507 where its disk refuses, and what `work` raises."""
    try:
        return await run_in_threadpool(work)
    except OSError as error:
        raise Problem(507, error.strerror or type(error).__name__, kind="disk") from error


def _told(about: str, campus: str) -> tuple[Sidecar, Capture | None, timedelta | None]:
    """What a phone says of its photo, what its camera wrote, and how far its clock is ahead of UTC."""
    try:
        told = json.loads(about)
        if not isinstance(told, dict):
            raise ValueError
    except (ValueError, RecursionError) as error:
        raise Problem(400, "`about` is no JSON object") from error
    return _sidecar(told, campus), _recorded(told), _clock_ahead(told)


def _recorded(told: Mapping[str, Any]) -> Capture | None:
    """What the camera wrote, in base64; None where there is none, or it cannot be read: the photo is one without it."""
    try:
        exif = base64.b64decode(told.get("exif") or "", validate=True)
    except (TypeError, ValueError):
        return None
    return capture_from_tags(read_tags(exif)) if exif else None


def _clock_ahead(told: Mapping[str, Any]) -> timedelta | None:
    """How far the phone's clock is ahead of UTC; None where it does not tell, or no zone is so far."""
    minutes = told.get("utc_offset_min")
    if not isinstance(minutes, int) or abs(minutes) > _MOST_OFFSET_MIN:
        return None
    return timedelta(minutes=minutes)


def _sidecar(told: Mapping[str, Any], campus: str) -> Sidecar:
    """What a phone says of its photo; the review is not its to say. What no sensor can have measured is left out."""
    told = {**told, "campus": campus, "review": ""}
    try:
        return Sidecar.model_validate(told)
    except ValidationError as error:
        wrong = {str(one["loc"][0]) if one["loc"] else "" for one in error.errors()}
        if wrong <= _SENSED:
            return Sidecar.model_validate({key: value for key, value in told.items() if key not in wrong})
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))[:100]
        raise Problem(422, f"about.{where}: {in_a_line(first['msg'])}", kind="unusable") from error


def _found(entry: Entry | None) -> Entry:
    if entry is None:
        raise Problem(404, "the inbox holds no such photo", kind="absent")
    return entry
