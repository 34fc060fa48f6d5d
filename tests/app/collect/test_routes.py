"""The inbox over HTTP: idempotent, bounded, and no request makes it fall."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from threading import Barrier, Lock
from typing import Any

import numpy as np
import pytest
import schemathesis
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from PIL import Image

from app.collect.inbox import Entry, Inbox
from app.gate import Gate
from app.serve.api.application import Service, api_app
from app.serve.api.walks import Walks
from app.serve.api.workers import LocateWorkers
from core.campus.bundle import Bundle, save_bundle
from core.campus.inbox import Sidecar
from core.photo.capture import Capture
from core.photo.geotag import exif_of
from tests.bundles import make_bundle, photo

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
    assert early.json()["kind"] == "unplaced"
    placed = client.post(f"/v1/inbox/{name}", json={"lat": 47.0, "lon": 8.4, "review": "accepted"}).json()
    assert (placed["source"], placed["review"], placed["lat"]) == ("tap", "accepted", 47.0)
    (entry,) = inbox.entries()
    assert (entry.sidecar.review, entry.sidecar.campus) == ("accepted", "Testfield")


def test_a_place_that_a_reviewer_taps_has_no_error_of_the_phone_s_gps(client: TestClient) -> None:
    told = send(client).json()
    assert (told["source"], told["error_m"]) == ("gps", 6.0)
    tapped = client.post(f"/v1/inbox/{told['id']}", json={"lat": 47.0, "lon": 8.4}).json()
    assert (tapped["source"], tapped["error_m"]) == ("tap", None)


def test_a_camera_without_a_zone_is_dated_by_the_phone_s(client: TestClient) -> None:
    exif = base64.b64encode(exif_of(Capture(local_time=datetime(2026, 5, 6, 12, 0))).tobytes()).decode()
    told = send(client, about={"exif": exif, "utc_offset_min": 180}).json()
    assert told["time_utc"] == "2026-05-06T09:00:00Z"


def test_a_photo_that_lost_its_exif_is_sent_with_it(client: TestClient) -> None:
    then = Capture(lat_deg=46.9, lon_deg=8.3, local_time=datetime(2026, 5, 6, 12, 0))
    exif = base64.b64encode(exif_of(then).tobytes()).decode()
    told = send(client, about={**ABOUT, "exif": exif, "utc_offset_min": 120}).json()
    assert (told["source"], told["lat"], told["lon"]) == ("photo", pytest.approx(46.9), pytest.approx(8.3))
    assert told["time_utc"] == "2026-05-06T11:00:00Z", "by its own place, whose zone counts before the phone's"
    wrongs: tuple[dict[str, object], ...] = (
        {"exif": "no base64"},
        {"exif": 7},
        {"exif": "AAAA", "utc_offset_min": 1e9},
    )
    for index, wrong in enumerate(wrongs):
        answer = send(client, photo(east_m=20.0, size=(64 + index, 64)), {**ABOUT, **wrong})
        assert (answer.status_code, answer.json()["source"]) == (201, "gps")


def test_what_a_sensor_cannot_have_measured_is_left_out_and_the_photo_kept(client: TestClient) -> None:
    told = send(client, about='{"heading_deg": -1, "error_m": 250000, "lat": 47.0, "lon": 8.4, "source": "gps"}').json()
    assert (told["heading_deg"], told["error_m"], told["lat"]) == (None, None, 47.0)
    other = photo(east_m=20.0, size=(64, 64))
    told = send(client, other, '{"heading_deg": NaN, "error_m": 6, "lat": 47.0, "lon": 8.4}').json()
    assert (told["heading_deg"], told["error_m"]) == (None, 6)
    assert send(client, photo(size=(65, 64)), {"heading_deg": -1, "lat": 1000, "lon": 8.4}).status_code == 422


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


def test_the_map_comes_in_the_language_that_is_asked_for(tmp_path: Path, inbox: Inbox) -> None:
    campus = make_bundle(tmp_path / "named", names_he={"Law": "משפטים"})
    with TestClient(
        api_app(Bundle.load(campus), Service(LocateWorkers(campus, 1), Walks(campus), Gate()), inbox)
    ) as client:
        english, hebrew = (client.get(f"/v1/inbox-plan?lang={lang}").json()["labels"] for lang in ("en", "he"))
        assert client.get("/v1/inbox-plan?lang=xx").status_code == 422
    assert "Law" in [lines[0] for _, _, lines in english]
    assert "Law" not in [lines[0] for _, _, lines in hebrew]


def test_one_damaged_sidecar_hides_no_other_photo(client: TestClient, inbox: Inbox) -> None:
    damaged, whole = (send(client, photo(east_m=20.0, size=(64 + index, 64))).json()["id"] for index in range(2))
    (inbox.folder / f"{damaged}.json").write_text("{")
    told = client.get("/v1/inbox").json()
    assert ([one["id"] for one in told["photos"]], told["damaged"]) == ([whole], 1)
    assert client.get("/v1/inbox-plan").status_code == 200


def test_a_full_inbox_says_so(client: TestClient, inbox: Inbox) -> None:
    inbox.most_bytes = 100
    answer = send(client)
    assert answer.status_code == 507
    assert "holds its" in answer.json()["detail"]
    assert answer.json()["kind"] == "full"
    assert str(inbox.folder) not in answer.text


def test_a_disk_that_takes_nothing_says_why(client: TestClient, inbox: Inbox) -> None:
    inbox.folder.write_bytes(b"")  # a file, where the folder should be
    answer = send(client)
    assert (answer.status_code, answer.json()["detail"]) == (507, "File exists")
    assert answer.json()["kind"] == "disk"
    inbox.folder.unlink()
    assert send(client).status_code == 201


def test_photos_are_those_of_this_campus_however_long_its_name(bundle: Path, inbox: Inbox, tmp_path: Path) -> None:
    old = Bundle.load(bundle)
    named = old.manifest.model_copy(update={"name": "University  of  " + "the North " * 8})
    campus = save_bundle(tmp_path / "long", named, {name: old.read(name) for name in old.manifest.files})
    with TestClient(api_app(campus, Service(LocateWorkers(bundle, 1), Walks(bundle), Gate()), inbox)) as client:
        before = client.get("/v1/inbox-plan").json()["targets"]
        east_m, north_m = before[0]["at"]
        lat, lon = old.manifest.frame.to_latlon([east_m, north_m]).tolist()
        elsewhere = Sidecar.model_validate({**ABOUT, "lat": lat, "lon": lon, "campus": "Elsewhere"})
        for index in range(8):
            inbox.add(photo(east_m=east_m, north_m=north_m, size=(64 + index, 64)), elsewhere)
        assert client.get("/v1/inbox-plan").json()["targets"] == before
        own = send(client).json()["id"]
        assert [one["id"] for one in client.get("/v1/inbox").json()["photos"]] == [own]


def test_photos_are_decoded_two_at_a_time(bundle: Path, tmp_path: Path) -> None:
    both, counting = Barrier(2), Lock()

    class Watched(Inbox):
        at_once, most = 0, 0

        def add(self, photo: bytes, sidecar: Sidecar, *recorded: Any) -> tuple[Entry, bool]:
            with counting:
                Watched.at_once += 1
                Watched.most = max(Watched.most, Watched.at_once)
            both.wait(60)
            try:
                return super().add(photo, sidecar, *recorded)
            finally:
                with counting:
                    Watched.at_once -= 1

    inbox = Watched(tmp_path / "inbox")
    api = api_app(Bundle.load(bundle), Service(LocateWorkers(bundle, 1), Walks(bundle), Gate()), inbox)
    with TestClient(api) as client, ThreadPoolExecutor(8) as phones:
        photos = [photo(east_m=20.0, size=(64 + index, 64)) for index in range(8)]
        assert [one.status_code for one in phones.map(lambda data: send(client, data), photos)] == [201] * 8
    assert Watched.most == 2


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
