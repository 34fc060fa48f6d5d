"""What a request's body brings: every photo of it, in memory alone, and no more than is allowed."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from starlette.requests import Request
from starlette.types import Message

from app.gate import Gate
from app.serve.api import bodies
from app.serve.api.application import Service, api_app
from app.serve.api.problems import Problem
from app.serve.api.walks import Walks
from core.campus.bundle import Bundle
from core.locate.fix import Fix
from core.locate.localizer import Localizer
from tests.bundles import photo
from tests.event_loop import run_apart

HERE, THERE = photo(east_m=20.0, view=1), photo(east_m=22.0, view=2)


class Noting:
    """Notes the photos that it is asked for, and gives one fix for all."""

    def __init__(self, fix: Fix) -> None:
        self.fix, self.asked = fix, list[Sequence[bytes]]()

    def locate(self, photos: Sequence[bytes]) -> Fix:
        self.asked.append(photos)
        return self.fix


@pytest.fixture(scope="module")
def fix(pristine: Path) -> Fix:
    return Localizer.load(pristine).locate(HERE)


@pytest.fixture
def noting(fix: Fix) -> Noting:
    return Noting(fix)


@pytest.fixture
def client(pristine: Path, noting: Noting) -> Iterator[TestClient]:
    with TestClient(api_app(Bundle.load(pristine), Service(noting, Walks(pristine), Gate()))) as asking:
        yield asking


def parts(*photos: bytes) -> list[tuple[str, tuple[str, bytes, str]]]:
    return [("photo", ("p.jpg", data, "image/jpeg")) for data in photos]


def test_every_photo_of_a_request_is_located_as_it_was_sent(client: TestClient, noting: Noting) -> None:
    readings = [{"imageBytes": base64.b64encode(data).decode()} for data in (HERE, THERE)]
    assert client.post("/v1/locate", content=HERE, headers={"Content-Type": "image/jpeg"}).status_code == 200
    assert client.post("/v1/locate", files=parts(HERE, THERE)).status_code == 200
    asked = {"id": "q", "sensorReadings": {"cameraReadings": readings}}
    assert client.post("/v1/geopose", json=asked).status_code == 200
    assert [tuple(photos) for photos in noting.asked] == [(HERE,), (HERE, THERE), (HERE, THERE)]


def test_no_part_of_a_body_is_written_to_a_disk(
    client: TestClient, noting: Noting, monkeypatch: pytest.MonkeyPatch
) -> None:
    def written(*_: Any, **__: Any) -> None:
        raise AssertionError("a photo was put into a file")

    large = HERE + bytes(3 << 20)  # Starlette's own bound is 1 MB, beyond which it makes a file
    monkeypatch.setattr(tempfile, "TemporaryFile", written)
    assert client.post("/v1/locate", files=parts(large, THERE)).status_code == 200
    assert noting.asked == [(large, THERE)]


def test_no_more_photos_are_taken_at_once_than_is_said(client: TestClient, noting: Noting) -> None:
    assert client.post("/v1/locate", files=parts(*[HERE] * 16)).status_code == 200
    answer = client.post("/v1/locate", files=parts(*[HERE] * 17))
    assert answer.status_code == 400
    assert "at most 16" in answer.json()["detail"]
    assert len(noting.asked) == 1


def test_an_empty_photo_among_others_is_refused(client: TestClient, noting: Noting) -> None:
    assert client.post("/v1/locate", files=parts(HERE, b"")).status_code == 422
    assert noting.asked == []


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "video/mp4"])
def test_a_type_that_is_no_photo_s_is_not_taken(client: TestClient, noting: Noting, kind: str) -> None:
    assert client.post("/v1/locate", content=HERE, headers={"Content-Type": kind}).status_code == 415
    assert noting.asked == []


@pytest.mark.parametrize("kind", ["image/jpeg", "multipart/form-data; boundary=b", "application/json"])
def test_a_body_that_says_it_is_too_large_is_refused_before_it_is_read(kind: str) -> None:
    async def receive() -> Message:
        raise AssertionError("the body was read")

    said = [(b"content-type", kind.encode()), (b"content-length", str(bodies.MAX_BODY_BYTES + 1).encode())]
    with pytest.raises(Problem) as refusal:
        run_apart(bodies.photos_of(Request({"type": "http", "headers": said}, receive), protocol=True))
    assert refusal.value.status == 413


@pytest.mark.parametrize("kind", ["image/jpeg", "multipart/form-data; boundary=b", "application/json"])
def test_a_body_that_does_not_say_its_length_is_read_no_further_than_it_may_go(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "MAX_BODY_BYTES", 1000)
    begun = b'--b\r\nContent-Disposition: form-data; name="photo"; filename="p"\r\n\r\n'
    pieces = iter([begun, *[b"x" * 300] * 4])  # too much with the last

    async def receive() -> Message:
        return {"type": "http.request", "body": next(pieces), "more_body": True}

    said = [(b"content-type", kind.encode())]
    with pytest.raises(Problem) as refusal:
        run_apart(bodies.photos_of(Request({"type": "http", "headers": said}, receive), protocol=True))
    assert refusal.value.status == 413
