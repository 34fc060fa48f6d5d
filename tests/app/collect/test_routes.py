"""The inbox over HTTP: idempotent, bounded, and no request makes it fall."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import schemathesis
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from PIL import Image

from app.collect.inbox import Inbox
from app.gate import Gate
from app.serve.api.application import Service, api_app
from app.serve.api.walks import Walks
from app.serve.api.workers import LocateWorkers
from core.campus.bundle import Bundle
from tests.bundles import photo

HERE = photo(east_m=20.0)
ABOUT = {"lat": 47.0001, "lon": 8.4002, "error_m": 6.0, "source": "gps", "time_utc": "2026-11-02T09:00:00Z"}


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    return Inbox(tmp_path / "inbox")


@pytest.fixture
def api(bundle: Path, inbox: Inbox) -> FastAPI:
    return api_app(Bundle.load(bundle), Service(LocateWorkers(bundle, 1), Walks(bundle), Gate()), inbox)


@pytest.fixture
def client(api: FastAPI) -> Iterator[TestClient]:
    with TestClient(api, raise_server_exceptions=False) as asking:
        yield asking


def send(client: TestClient, data: bytes = HERE, about: object = ABOUT) -> Any:
    text = about if isinstance(about, str) else json.dumps(about)
    return client.post("/v1/inbox", files={"photo": ("photo.jpg", data, "image/jpeg")}, data={"about": text})


def test_the_same_photo_sent_again_is_one_photo(client: TestClient) -> None:
    first, again = send(client), send(client)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    held = client.get("/v1/inbox").json()
    assert [one["id"] for one in held["photos"]] == [first.json()["id"]]
    assert held["held_bytes"] > len(HERE)


def test_a_photo_is_seen_placed_and_accepted(client: TestClient, inbox: Inbox) -> None:
    name = send(client, about={"who": "Ada"}).json()["id"]
    small = client.get(f"/v1/inbox/{name}/thumbnail")
    assert Image.open(io.BytesIO(small.content)).size == (400, 300)
    early = client.post(f"/v1/inbox/{name}", json={"review": "accepted"})
    assert (early.status_code, early.headers["content-type"]) == (422, "application/problem+json")
    assert "without a place" in early.json()["detail"]
    placed = client.post(f"/v1/inbox/{name}", json={"lat": 47.0, "lon": 8.4, "review": "accepted"}).json()
    assert (placed["source"], placed["review"], placed["lat"]) == ("tap", "accepted", 47.0)
    (entry,) = inbox.entries()
    assert (entry.sidecar.review, entry.sidecar.campus) == ("accepted", "Testfield")


def test_a_phone_cannot_accept_its_own_photo_nor_speak_for_another_campus(client: TestClient, inbox: Inbox) -> None:
    assert send(client, about={**ABOUT, "review": "accepted", "campus": "Elsewhere"}).json()["review"] == ""
    assert inbox.entries()[0].sidecar.campus == "Testfield"


@pytest.mark.parametrize(
    ("data", "about", "status"),
    [
        (b"no photo", ABOUT, 422),
        (HERE, "{", 400),
        (HERE, "[" * 100_000, 400),
        (HERE, "[]", 400),
        (HERE, {"lat": 1000, "lon": 0}, 422),
        (HERE, {"lat": 47.0}, 422),
    ],
)
def test_what_cannot_be_stored_is_refused_and_leaves_nothing(
    client: TestClient, inbox: Inbox, data: bytes, about: object, status: int
) -> None:
    answer = send(client, data, about)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert inbox.entries() == []


def test_a_full_inbox_says_so(client: TestClient, inbox: Inbox) -> None:
    inbox.most_bytes = 100
    answer = send(client)
    assert answer.status_code == 507
    assert "holds its" in answer.json()["detail"]
    assert str(inbox.folder) not in answer.text


def test_without_an_inbox_there_are_no_such_paths(bundle: Path) -> None:
    bare = api_app(Bundle.load(bundle), Service(LocateWorkers(bundle, 1), Walks(bundle), Gate()))
    assert TestClient(bare).get("/v1/inbox").status_code == 404


def test_the_plan_holds_the_map_and_what_is_wanted(client: TestClient, bundle: Path) -> None:
    before = client.get("/v1/inbox-plan").json()
    frame = Bundle.load(bundle).manifest.frame
    for place in ([0.0, 0.0], [80.0, -60.0]):
        told = np.array(before["to_latlon"]) @ [1.0, *place]
        assert np.abs(told - frame.to_latlon(np.array(place))).max() < 1e-7
    assert {"building"} <= {shape[0] for shape in before["shapes"]}
    assert before["targets"]
    at = before["targets"][0]["at"]
    lat, lon = frame.to_latlon(np.array(at)).tolist()
    for index in range(8):
        send(client, photo(east_m=at[0], north_m=at[1], size=(64 + index, 64)), {**ABOUT, "lat": lat, "lon": lon})
    after = client.get("/v1/inbox-plan").json()["targets"]
    assert at not in [target["at"] for target in after]


def test_no_request_that_the_description_allows_or_forbids_makes_it_fall(api: FastAPI) -> None:
    schema = schemathesis.openapi.from_asgi("/openapi.json", api)
    for result in schema.get_all_operations():
        operation: Any = result.ok()  # type: ignore[union-attr]  # an Err here is a fault of the description
        if not operation.path.startswith("/v1/inbox"):
            continue

        @settings(max_examples=40, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def ask(case: Any) -> None:
            assert case.call().status_code in {*range(200, 500), 507}

        ask()
