"""Walks over HTTP: which are forgotten, what one takes, and when a caller is told to come again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.gate import Gate
from app.serve.api import walks as module
from app.serve.api.application import RETRY_AFTER_S, Service, api_app
from app.serve.api.walks import LEFT_ALONE_S, Walks
from core.campus.bundle import Bundle
from tests.bundles import photo
from tests.hostile.fuzz_http import InThisProcess

FIRST, SECOND = photo(east_m=20.0, view=1), photo(east_m=25.0, view=2)  # no time stands in them
ONE, OTHER = "/v1/walk?session=walker-one", "/v1/walk?session=walker-two"


@pytest.fixture
def gate() -> Gate:
    return Gate(at_once=1, waiting=0)


@pytest.fixture
def client(pristine: Path, gate: Gate) -> Iterator[TestClient]:
    service = Service(InThisProcess(pristine), Walks(pristine), gate)
    with TestClient(api_app(Bundle.load(pristine), service)) as asking:
        yield asking


def send(client: TestClient, path: str, body: bytes = FIRST) -> Any:
    return client.post(path, content=body, headers={"Content-Type": "image/jpeg"})


def test_a_walk_that_goes_on_is_kept_and_one_left_alone_behind_it_is_not(pristine: Path) -> None:
    now = [0.0]
    walks = Walks(pristine, clock=lambda: now[0])
    walks.add("goes-on", FIRST, 0.0)
    walks.add("left-alone", FIRST, 0.0)
    now[0] = 0.6 * LEFT_ALONE_S
    assert walks.add("goes-on", SECOND, 10.0).photos == 2
    now[0] = 1.2 * LEFT_ALONE_S
    walks.add("newcomer", FIRST, 0.0)
    assert not walks.end("left-alone")
    assert walks.add("goes-on", photo(east_m=30.0, view=3), 20.0).photos == 3


def test_a_walk_keeps_none_of_its_photos(pristine: Path) -> None:
    walks = Walks(pristine)
    walks.add("walker-one", FIRST, 0.0)
    assert walks._walks["walker-one"].walk.smoothed() == []


def test_the_time_that_a_caller_gives_orders_photos_without_one(client: TestClient) -> None:
    at = [send(client, f"{ONE}&time=2026-05-01T{time}Z") for time in ("10:00:10", "10:00:00")]
    assert [answer.status_code for answer in at] == [200, 409]
    # Its offset counts: three hours later on a clock that is three hours ahead is no later.
    assert send(client, f"{ONE}&time=2026-05-01T13:00:00%2B03:00").status_code == 409
    assert send(client, f"{ONE}&time=2026-05-01T13:00:20%2B03:00", SECOND).json()["photos"] == 2


def test_a_walk_takes_one_photo_at_a_time(client: TestClient) -> None:
    both = [("photo", ("p.jpg", data, "image/jpeg")) for data in (FIRST, SECOND)]
    assert client.post(ONE, files=both).status_code == 422
    assert client.delete(ONE).status_code == 404
    assert client.post(ONE, files=both[:1]).json()["photos"] == 1


def test_where_too_many_walks_are_under_way_it_is_said_when_one_will_end(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_WALKS", 1)
    assert send(client, ONE).status_code == 200
    answer = send(client, OTHER)
    assert (answer.status_code, int(answer.headers["Retry-After"])) == (429, LEFT_ALONE_S)
    assert answer.headers["content-type"] == "application/problem+json"
    assert client.delete(ONE).status_code == 200
    assert send(client, OTHER).status_code == 200


def test_a_photo_of_a_walk_waits_for_its_turn_as_all_do(client: TestClient, gate: Gate) -> None:
    with gate.turn():
        answer = send(client, ONE)
    assert (answer.status_code, int(answer.headers["Retry-After"])) == (429, RETRY_AFTER_S)
    assert send(client, ONE).json()["photos"] == 1
