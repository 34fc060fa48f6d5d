"""What the HTTP interface counts."""

from __future__ import annotations

from pathlib import Path

from fastapi.testclient import TestClient

from app.gate import Gate
from app.serve.api.application import Service, api_app
from app.serve.api.walks import Walks
from core.campus.bundle import Bundle
from tests.bundles import photo
from tests.hostile.fuzz_http import InThisProcess


def test_photos_of_elsewhere_and_requests_are_counted_each_by_itself(pristine: Path) -> None:
    api = api_app(Bundle.load(pristine), Service(InThisProcess(pristine), Walks(pristine), Gate()))
    several = [("photo", ("p.jpg", photo(east_m=20.0, view=view), "image/jpeg")) for view in (1, 2, 3)]
    with TestClient(api) as client:
        assert client.post("/v1/locate", files=several).status_code == 200
        for body in (photo("elsewhere"), b"no photo"):
            client.post("/v1/locate", content=body, headers={"Content-Type": "image/jpeg"})
        said = client.get("/metrics").text.splitlines()
    for line in (
        "campus_gps_photos_total 4.0",
        "campus_gps_off_campus_total 1.0",
        'campus_gps_requests_total{route="/v1/locate",status="200"} 2.0',
        'campus_gps_requests_total{route="/v1/locate",status="422"} 1.0',
        "campus_gps_in_progress 0.0",
        "campus_gps_locate_seconds_count 2.0",
    ):
        assert line in said
