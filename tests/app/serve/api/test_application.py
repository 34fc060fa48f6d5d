"""The HTTP interface: what it answers, in which form it refuses, and that no request makes it fall."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from prometheus_client.parser import text_string_to_metric_families

from app.gate import Gate
from app.serve.api import bodies
from app.serve.api.application import Service, api_app
from app.serve.api.workers import LocateWorkers
from core.campus.bundle import Bundle
from core.locate.fix import Fix
from core.locate.localizer import Localizer
from tests.bundles import make_bundle, photo

HERE = photo(east_m=20.0)


class InThisProcess:
    """The real Localizer, without processes around it."""

    def __init__(self, path: Path) -> None:
        self.localizer = Localizer.load(path)

    def locate(self, photos: Sequence[bytes]) -> Fix:
        return self.localizer.locate(photos[0])


@pytest.fixture(scope="module")
def campus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("campuses") / "testfield")


@pytest.fixture(scope="module")
def service(campus: Path) -> Service:
    return Service(InThisProcess(campus), Gate())


@pytest.fixture(scope="module")
def client(campus: Path, service: Service) -> Iterator[TestClient]:
    with TestClient(api_app(Bundle.load(campus), service), raise_server_exceptions=False) as asking:
        yield asking


def send(client: TestClient, path: str = "/v1/locate", body: bytes = HERE, kind: str = "image/jpeg") -> Any:
    return client.post(path, content=body, headers={"Content-Type": kind})


def test_a_photo_becomes_the_fix_that_the_localizer_gives(client: TestClient, campus: Path) -> None:
    answer = send(client)
    fix = Localizer.load(campus).locate(HERE)
    assert answer.status_code == 200
    said = answer.json()
    assert (said["lat"], said["lon"], said["radius68_m"]) == (fix.lat, fix.lon, fix.radius68_m)
    assert said["zone"]["name"] == fix.zone.name
    assert said["photos"] == 1


def test_a_photo_of_elsewhere_has_no_radius(client: TestClient) -> None:
    said = send(client, body=photo("elsewhere")).json()
    assert said["on_campus"] is False
    assert said["radius68_m"] is None
    assert said["radius95_m"] is None


@pytest.mark.parametrize(
    ("body", "kind", "status", "said"),
    [
        (b"no photo", "image/jpeg", 422, "not"),
        (b"", "image/jpeg", 422, "no photo"),
        (b"{}", "application/json", 415, "image/jpeg"),
        (b"x", "", 415, "(none)"),
        (b"x", "multipart/form-data; boundary=b", 400, "photo"),
        (b"--b\r\n", "multipart/form-data", 400, "photo"),
        (
            b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n1\r\n--b--\r\n',
            "multipart/form-data; boundary=b",
            422,
            "",
        ),
    ],
)
def test_a_refusal_is_a_problem_document(client: TestClient, body: bytes, kind: str, status: int, said: str) -> None:
    answer = send(client, body=body, kind=kind)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert problem["type"] == "about:blank"
    assert problem["title"]
    assert said in problem["detail"]


def test_too_much_is_refused_with_and_without_a_declared_length(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "MAX_BODY_BYTES", 1000)

    def dripping() -> Iterator[bytes]:
        yield from [b"x" * 600] * 3

    for content in (b"x" * 1001, dripping()):
        answer = client.post("/v1/locate", content=content, headers={"Content-Type": "image/jpeg"})
        assert answer.status_code == 413
        assert "fewer or smaller" in answer.json()["detail"]


def test_a_full_queue_says_when_to_ask_again(campus: Path) -> None:
    gate = Gate(at_once=1, waiting=0)
    with TestClient(api_app(Bundle.load(campus), Service(InThisProcess(campus), gate))) as asking, gate.turn():
        answer = send(asking)
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) >= 1


def test_a_lost_process_is_said_and_not_hidden(campus: Path) -> None:
    class Dying:
        def locate(self, photos: Sequence[bytes]) -> Fix:
            raise BrokenProcessPool(str(len(photos)))

    with TestClient(api_app(Bundle.load(campus), Service(Dying(), Gate()))) as asking:
        assert send(asking).status_code == 503


def test_geopose_has_position_height_and_a_unit_quaternion(client: TestClient) -> None:
    answer = send(client, "/v1/geopose?h=12.5")
    assert answer.headers["content-type"] == "application/geopose+json"
    pose = answer.json()
    assert pose.keys() == {"position", "quaternion"}
    assert pose["position"].keys() == {"lat", "lon", "h"}
    assert pose["position"]["h"] == 12.5
    assert math.hypot(*(pose["quaternion"][axis] for axis in "xyzw")) == pytest.approx(1)


def test_the_geopose_protocol_is_answered_with_accuracy(client: TestClient) -> None:
    reading = {"imageBytes": base64.b64encode(HERE).decode(), "imageFormat": "JPG", "size": [1, 1]}
    asked = {"id": "q1", "timestamp": 1, "type": "geopose", "sensorReadings": {"cameraReadings": [reading]}}
    said = client.post("/v1/geopose", json=asked).json()
    assert said["id"] == "q1"
    assert said["accuracy"]["position"] == send(client).json()["radius68_m"]
    assert said["geopose"]["position"]["lat"] == send(client).json()["lat"]


@pytest.mark.parametrize("asked", [{}, {"id": "a", "sensorReadings": {"cameraReadings": []}}, [], 7])
def test_a_protocol_request_without_photos_is_refused(client: TestClient, asked: Any) -> None:
    assert client.post("/v1/geopose", json=asked).status_code == 422


def test_there_is_no_pose_of_elsewhere(client: TestClient) -> None:
    answer = send(client, "/v1/geopose", photo("elsewhere"))
    assert answer.status_code == 422
    assert "no pose" in answer.json()["detail"]


def test_campus_and_health(client: TestClient) -> None:
    campus = client.get("/v1/campus").json()
    assert campus["south"] < campus["north"]
    assert campus["zones"]
    assert client.get("/healthz").json() == {"status": "ok"}


def test_prometheus_own_parser_reads_the_metrics(client: TestClient) -> None:
    send(client)
    text = client.get("/metrics").text
    found = {
        (sample.name, sample.labels.get("route"), sample.labels.get("status")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert found["campus_gps_requests_total", "/v1/locate", "200"] >= 1
    assert found["campus_gps_photos_total", None, None] >= 1
    assert not [route for _, route, _ in found if route == "/v1/elsewhere"]


def test_the_page_of_the_description_asks_nothing_of_the_internet(client: TestClient) -> None:
    page = client.get("/docs").text
    assert "swagger-ui" in page
    assert "https://" not in page
    for path in ("swagger-ui.css", "swagger-ui-bundle.js"):
        assert client.get(f"/static-offline-docs/{path}").status_code == 200


def test_the_framework_s_own_errors_are_problems_too(client: TestClient) -> None:
    for answer in (client.get("/v1/none"), client.get("/v1/locate"), send(client, "/v1/geopose?h=high")):
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == answer.status_code


def test_no_request_that_the_description_allows_or_forbids_makes_it_fall(campus: Path, service: Service) -> None:
    schema = schemathesis.openapi.from_asgi("/openapi.json", api_app(Bundle.load(campus), service))
    for result in schema.get_all_operations():
        operation = result.ok()

        @settings(max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def ask(case: Any) -> None:
            assert case.call().status_code < 500

        ask()


def test_processes_locate_photos_and_are_made_anew_when_one_dies(campus: Path) -> None:
    workers = LocateWorkers(campus, 2)
    try:
        fix = workers.locate([HERE])
        assert fix.lat == Localizer.load(campus).locate(HERE).lat
        pool = workers._running()
        for process in list(pool._processes.values()):
            process.kill()
        with pytest.raises(BrokenProcessPool):
            workers.locate([HERE])
        assert workers.locate([HERE]).lat == fix.lat
    finally:
        workers.close()
