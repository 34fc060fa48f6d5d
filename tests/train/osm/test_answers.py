"""What Overpass answers by halves, and whom a GeoJSON thanks."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from core.errors import MapError
from tests.train.osm.extracts import FRAME, overpass, small_campus
from train.osm.box import Box
from train.osm.overpass import fetch
from train.osm.read import OSM_ATTRIBUTION, read_extract

BOX = Box.about([[-100, -100], [100, 100]], FRAME)


@pytest.mark.parametrize("trouble", ["Query timed out", "Query ran out of memory"])
def test_an_answer_that_broke_off_after_some_shapes_is_refused(tmp_path: Path, trouble: str) -> None:
    whole = overpass(small_campus(), geometry=False)
    path = tmp_path / "half.json"
    path.write_text(json.dumps(whole | {"remark": f'runtime error: {trouble} in "query" at line 1'}))
    with pytest.raises(MapError, match=trouble):
        read_extract(path, BOX)
    path.write_text(json.dumps(whole | {"remark": "a word to the reader"}))
    assert read_extract(path, BOX).elements


class _Halting(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        if self.path == "/chunked":
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", "1000")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write((b"64\r\n" if self.path == "/chunked" else b"") + b'{"elements": [')

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def halting() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _Halting) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()
        thread.join()


@pytest.mark.parametrize("way", ["/chunked", "/counted"])
def test_a_connection_that_breaks_off_is_one_line_and_leaves_no_file(halting: str, tmp_path: Path, way: str) -> None:
    with pytest.raises(MapError, match="no answer") as caught:
        fetch(BOX, tmp_path / "out.json", halting + way)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("properties", "given", "thanks"),
    [
        ({"kind": "building", "name": "Library"}, None, ""),
        ({"kind": "building", "name": "Library"}, "The geography class", "The geography class"),
        ({"building": "yes"}, None, OSM_ATTRIBUTION),
        ({"@id": "way/5", "barrier": "wall"}, None, OSM_ATTRIBUTION),
        ({"tags": {"leisure": "park"}}, None, OSM_ATTRIBUTION),
    ],
)
def test_openstreetmap_is_thanked_for_its_own(
    tmp_path: Path, properties: dict[str, Any], given: str | None, thanks: str
) -> None:
    at = [(BOX.west + BOX.east) / 2, (BOX.south + BOX.north) / 2]
    feature = {"type": "Feature", "properties": properties, "geometry": {"type": "Point", "coordinates": at}}
    data: dict[str, Any] = {"type": "FeatureCollection", "features": [feature]}
    (tmp_path / "map.geojson").write_text(json.dumps(data | ({"attribution": given} if given else {})))
    assert read_extract(tmp_path / "map.geojson", BOX).attribution == thanks
