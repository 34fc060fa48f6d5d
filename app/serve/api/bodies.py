"""Photos out of a request's body: held in memory within bounds, never written to a disk."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from pydantic import ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from app.serve.api.documents import GeoPoseRequest
from app.serve.api.problems import Problem

MAX_BODY_BYTES = 64 << 20  # sixteen photos of a phone
MAX_PHOTOS = 16
_RAW = ("image/", "application/octet-stream")
_TAKEN = (
    "send a photo as image/jpeg, image/heic, image/png or image/webp, or several as `photo` parts of "
    "multipart/form-data"
)


@dataclass(frozen=True)
class Asked:
    """What a request brought: the files of its photos, and the id that GeoPoseProtocol gives it."""

    photos: tuple[bytes, ...]
    protocol_id: str | None = None


async def photos_of(request: Request, *, protocol: bool = False) -> Asked:
    """Read the photos of a request; with `protocol`, a GeoPoseProtocol request in JSON is taken too.

    Raises Problem: 400 for a damaged body, 413 for one that is too large, 415 for a type that is not taken, 422 for a
    body without a photo.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    _check_length(request)
    try:
        if kind == "multipart/form-data":
            return Asked(await _parts(request))
        if kind.startswith(_RAW):
            return Asked(_some((b"".join([chunk async for chunk in _bounded(request)]),)))
        if protocol and (kind == "application/json" or kind.endswith("+json")):
            return _protocol_request(b"".join([chunk async for chunk in _bounded(request)]))
    except ClientDisconnect as error:
        raise Problem(400, "the body ended early: send it again") from error
    raise Problem(415, f"content type {kind[:80] or '(none)'} is not taken: {_TAKEN}")


def _check_length(request: Request) -> None:
    """Refuse by the declared length before a byte of the body is read."""
    declared = request.headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > MAX_BODY_BYTES:
        raise _too_large()


def _too_large() -> Problem:
    return Problem(413, f"more than {MAX_BODY_BYTES >> 20} MB: send fewer or smaller photos", kind="too large")


async def _bounded(request: Request) -> AsyncGenerator[bytes, None]:
    left = MAX_BODY_BYTES
    async for chunk in request.stream():
        left -= len(chunk)
        if left < 0:
            raise _too_large()
        yield chunk


class _InMemory(MultiPartParser):
    spool_max_size = MAX_BODY_BYTES + 1  # a part larger than that would be spooled to a file


async def photo_and_field(request: Request, name: str) -> tuple[bytes, str]:
    """The part `photo` and the text field `name` of a multipart body. Raises Problem as `photos_of` does."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        raise Problem(415, f"send multipart/form-data with a part `photo` and a field `{name}`")
    _check_length(request)
    try:
        form = await _form(request)
    except ClientDisconnect as error:
        raise Problem(400, "the body ended early: send it again") from error
    try:
        photo, field = form.get("photo"), form.get(name)
        if not isinstance(photo, UploadFile) or not isinstance(field, str):
            raise Problem(422, f"the request lacks a part `photo` with a file name, or the field `{name}`")
        return _some((await photo.read(),))[0], field
    finally:
        await form.close()


async def _form(request: Request) -> FormData:
    parser = _InMemory(request.headers, _bounded(request), max_files=MAX_PHOTOS, max_fields=8)
    try:
        return await parser.parse()
    except (MultiPartException, KeyError, UnicodeDecodeError) as error:
        reason = getattr(error, "message", "the multipart body is damaged")
        raise Problem(400, f"{reason}: send at most {MAX_PHOTOS} parts called `photo`") from error


async def _parts(request: Request) -> tuple[bytes, ...]:
    form = await _form(request)
    try:
        return _some(tuple([await part.read() for part in form.getlist("photo") if isinstance(part, UploadFile)]))
    finally:
        await form.close()


def _protocol_request(body: bytes) -> Asked:
    try:
        asked = GeoPoseRequest.model_validate(json.loads(body))
        readings = asked.sensorReadings.cameraReadings
        photos = tuple(base64.b64decode(reading.imageBytes, validate=True) for reading in readings)
    except ValidationError as error:
        first = error.errors()[0]
        raise Problem(422, f"{'.'.join(map(str, first['loc']))[:100] or 'body'}: {first['msg'][:200]}") from error
    except (ValueError, RecursionError, binascii.Error) as error:
        raise Problem(400, "the body is not a GeoPoseProtocol request in JSON with photos in base64") from error
    return Asked(_some(photos), asked.id)


def _some(photos: tuple[bytes, ...]) -> tuple[bytes, ...]:
    if not photos or not all(photos):
        raise Problem(422, f"the request holds no photo, or an empty one: {_TAKEN}")
    return photos
