"""The HTTP interface: what it answers, in which form it refuses, and that no request makes it fall."""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path
from threading import Event
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from app.collect.inbox import Inbox
from app.gate import Gate
from app.serve.api import bodies
from app.serve.api.application import RETRY_AFTER_S, Service, api_app
from app.serve.api.documents import GeoPoseAnswer, GeoPoseDocument
from app.serve.api.walks import LEFT_ALONE_S, MOST_WALKS, TooManyWalks, Walks
from campus_gps_client import Campus, Refused
from core.campus.bundle import Bundle
from core.locate.fix import Fix
from core.locate.localizer import DEMO_BUNDLE, Localizer
from tests.bundles import make_bundle, photo
from tests.hostile.fuzz_http import InThisProcess, ask_everything

HERE = photo(east_m=20.0)


@pytest.fixture(scope="module")
def campus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("campuses") / "testfield")


@pytest.fixture(scope="module")
def service(campus: Path) -> Service:
    return Service(InThisProcess(campus), Walks(campus), Gate())


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
    with (
        TestClient(api_app(Bundle.load(campus), Service(InThisProcess(campus), Walks(campus), gate))) as asking,
        gate.turn(),
    ):
        answer = send(asking)
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) >= 1


def test_the_client_waits_as_long_as_a_busy_server_says(campus: Path) -> None:
    gate = Gate(at_once=1, waiting=0)
    with TestClient(api_app(Bundle.load(campus), Service(InThisProcess(campus), Walks(campus), gate))) as asking:
        turn = gate.turn()
        turn.__enter__()
        waits: list[float] = []

        def wait(seconds: float) -> None:
            waits.append(seconds)
            if len(waits) == 2:
                turn.__exit__(None, None, None)

        assert Campus("", http=asking, sleep=wait).locate(HERE)["on_campus"]
        assert waits == [RETRY_AFTER_S] * 2
        with gate.turn(), pytest.raises(Refused) as refusal:
            Campus("", http=asking, patience_s=1.0).locate(HERE)
        assert refusal.value.status == 429


def answers(*given: httpx2.Response) -> httpx2.Client:
    """A client whose server gives these answers, one after the other."""
    left = iter(given)
    return httpx2.Client(base_url="http://campus", transport=httpx2.MockTransport(lambda _: next(left)))


def test_the_client_waits_until_a_date_too() -> None:
    now = datetime.now(timezone.utc)
    date = format_datetime(now + timedelta(seconds=20), usegmt=True)
    waits: list[float] = []
    http = answers(httpx2.Response(503, headers={"Retry-After": date}), httpx2.Response(200, json={"name": "x"}))
    assert Campus("", http=http, sleep=waits.append).campus() == {"name": "x"}
    passed_s = (datetime.now(timezone.utc) - now).total_seconds()
    (waited_s,) = waits
    assert 19 - passed_s <= waited_s <= 20
    with pytest.raises(Refused, match=r"^503: "):
        Campus("", http=answers(httpx2.Response(503, headers={"Retry-After": "soon"}))).campus()


@pytest.mark.parametrize("document", [b"[]", b'{"error": "x"}', b"{", b'"x"'])
def test_the_client_is_told_of_a_proxy_s_own_refusal(document: bytes) -> None:
    answer = httpx2.Response(502, content=document, headers={"Content-Type": "application/json"})
    with pytest.raises(Refused, match=r"^502: Bad Gateway"):
        Campus("", http=answers(answer)).campus()


def test_a_lost_process_is_said_and_not_hidden(campus: Path) -> None:
    class Dying:
        def locate(self, photos: Sequence[bytes]) -> Fix:
            raise BrokenProcessPool(str(len(photos)))

    with TestClient(api_app(Bundle.load(campus), Service(Dying(), Walks(campus), Gate()))) as asking:
        answer = send(asking)
    assert (answer.status_code, int(answer.headers["Retry-After"])) == (503, RETRY_AFTER_S)


def test_a_fault_of_our_own_is_a_problem_too(campus: Path) -> None:
    class Faulty:
        def locate(self, photos: Sequence[bytes]) -> Fix:
            raise KeyError(len(photos))

    api = api_app(Bundle.load(campus), Service(Faulty(), Walks(campus), Gate()))
    with TestClient(api, raise_server_exceptions=False) as asking:
        answer = send(asking)
    assert (answer.status_code, answer.json()["status"]) == (500, 500)
    assert answer.headers["content-type"] == "application/problem+json"


def test_geopose_has_position_height_and_a_unit_quaternion(client: TestClient) -> None:
    """These are the keys of the OGC's strict schema, which no package brings: docs/decisions.md."""
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


def test_the_description_says_what_geopose_takes_and_gives(client: TestClient) -> None:
    described = client.get("/openapi.json").json()
    operation, schemas = described["paths"]["/v1/geopose"]["post"], described["components"]["schemas"]
    taken = operation["requestBody"]["content"]
    assert taken["application/json"]["schema"] == {"$ref": "#/components/schemas/GeoPoseRequest"}
    assert "image/jpeg" in taken
    assert "application/json" not in described["paths"]["/v1/locate"]["post"]["requestBody"]["content"]
    given = {kind: one["schema"]["$ref"] for kind, one in operation["responses"]["200"]["content"].items()}
    assert given == {
        "application/geopose+json": "#/components/schemas/GeoPoseDocument",
        "application/json": "#/components/schemas/GeoPoseAnswer",
    }
    named = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(described)))
    assert {"SensorReadings", "CameraReading", "QuaternionDocument"} <= named <= set(schemas)
    assert "$defs" not in json.dumps(described)
    pose = send(client, "/v1/geopose?h=12.5").json()
    assert GeoPoseDocument.model_validate(pose).model_dump() == pose
    asked = {"id": "7", "sensorReadings": {"cameraReadings": [{"imageBytes": base64.b64encode(HERE).decode()}]}}
    answer = client.post("/v1/geopose", json=asked).json()
    assert GeoPoseAnswer.model_validate(answer).model_dump() == answer


def test_the_description_says_where_the_key_goes(campus: Path, tmp_path: Path) -> None:
    api = api_app(Bundle.load(campus), Service(InThisProcess(campus), Walks(campus), Gate()), Inbox(tmp_path / "inbox"))
    with TestClient(api) as asking:
        described = asking.get("/openapi.json").json()
        assert asking.get("/v1/campus").status_code == 200  # the description's alone: a guard before it asks
    assert described["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"
    for path, operations in described["paths"].items():
        for operation in operations.values():
            if path == "/healthz":
                assert operation["security"] == []
                continue
            assert operation["security"] == [{"HTTPBearer": []}]
            for status in ("401", "403"):
                assert "application/problem+json" in operation["responses"][status]["content"]


def test_there_is_no_pose_of_elsewhere(client: TestClient) -> None:
    answer = send(client, "/v1/geopose", photo("elsewhere"))
    assert answer.status_code == 422
    assert "no pose" in answer.json()["detail"]


@pytest.fixture(scope="module")
def demo() -> Iterator[tuple[TestClient, Bundle]]:
    """The demo campus, whose samples differ as photos do; the test campus's are near copies of one another."""
    bundle = Bundle.load(DEMO_BUNDLE)
    with TestClient(api_app(bundle, Service(InThisProcess(DEMO_BUNDLE), Walks(DEMO_BUNDLE), Gate()))) as asking:
        yield asking, bundle


def burst(bundle: Bundle) -> list[str]:
    """Samples of one standpoint."""
    return [name for name in bundle.samples if "test-walk" in name][:3]


def test_several_photos_of_one_standpoint_are_located_together(demo: tuple[TestClient, Bundle]) -> None:
    client, bundle = demo
    taken = [bundle.read(name) for name in burst(bundle)]
    said = client.post("/v1/locate", files=[("photo", ("p.jpg", data, "image/jpeg")) for data in taken]).json()
    fix = Localizer.load(DEMO_BUNDLE).locate_together(taken)
    assert said["photos"] == fix.photos == 3
    assert (said["lat"], said["outliers"]) == (fix.lat, list(fix.outliers))


def test_a_walk_goes_on_under_its_name_until_it_ends(demo: tuple[TestClient, Bundle]) -> None:
    client, bundle = demo

    def step(number: int, session: str = "walker-one") -> Any:
        path = f"/v1/walk?session={session}&time=2026-05-01T10:00:{10 * number:02d}Z"
        return send(client, path, bundle.read([bundle.samples[0], *burst(bundle), bundle.samples[0]][number]))

    assert [step(number).json()["photos"] for number in (1, 2, 3)] == [1, 2, 3]
    assert step(4, "walker-two").json()["photos"] == 1
    late = step(0)
    assert late.status_code == 409
    assert late.headers["content-type"] == "application/problem+json"
    assert client.delete("/v1/walk?session=walker-one").status_code == 200
    assert client.delete("/v1/walk?session=walker-one").status_code == 404
    assert step(0).json()["photos"] == 1
    assert step(0, "short").status_code == 422


def test_walks_left_alone_make_room(campus: Path) -> None:
    now = [0.0]
    walks = Walks(campus, clock=lambda: now[0])
    for index in range(MOST_WALKS):
        walks.add(f"walker-{index}", HERE, 0.0)
    with pytest.raises(TooManyWalks):
        walks.add("walker-more", HERE, 0.0)
    now[0] = LEFT_ALONE_S + 1
    assert walks.add("walker-more", HERE, 0.0).photos == 1
    assert not walks.end("walker-0")


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


@pytest.mark.slow
def test_no_request_that_the_description_allows_or_forbids_makes_it_fall(
    campus: Path, service: Service, tmp_path: Path
) -> None:
    assert ask_everything(api_app(Bundle.load(campus), service, Inbox(tmp_path)), 400).total() >= 400


def test_photos_of_one_walk_in_line_leave_turns_to_others(campus: Path) -> None:
    gate, walks = Gate(at_once=1, waiting=0), Walks(campus)
    api = api_app(Bundle.load(campus), Service(InThisProcess(campus), walks, gate))
    reached, go_on = Event(), Event()

    @contextmanager
    def slowly() -> Iterator[None]:
        reached.set()
        go_on.wait(60)
        yield

    walk = "/v1/walk?session=walker-one"
    with TestClient(api) as client, ThreadPoolExecutor(6) as phones:
        first = phones.submit(walks.add, "walker-one", HERE, None, slowly)
        assert reached.wait(60)
        # Three wait for the one before them, and the fourth is told to come again.
        answers = [phones.submit(send, client, walk) for _ in range(4)]
        (late,) = next(iter(wait(answers, 60, FIRST_COMPLETED)))
        assert (late.result().status_code, int(late.result().headers["Retry-After"])) == (429, RETRY_AFTER_S)
        assert send(client).status_code == 200
        go_on.set()
        assert first.result().photos == 1
        assert sorted(one.result().status_code for one in answers) == [200, 200, 200, 429]


def test_the_client_sends_one_photo_as_it_is_and_several_as_parts() -> None:
    kinds: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        kinds.append(request.headers["Content-Type"].partition(";")[0])
        return httpx2.Response(200, json={})

    with Campus(
        "https://here", http=httpx2.Client(base_url="https://here", transport=httpx2.MockTransport(answer))
    ) as to:
        to.locate(HERE)
        to.locate(HERE, HERE)
    assert kinds == ["application/octet-stream", "multipart/form-data"]
