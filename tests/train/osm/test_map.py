"""An OpenStreetMap extract, in every form that it comes in, becomes the map of a campus."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs

import numpy as np
import pytest
from shapely.geometry import shape

from core.campus.bundle import Bundle
from core.cli.run import run_cli
from core.errors import MapError
from tests.train.osm.extracts import (
    FRAME,
    Field,
    small_campus,
    write_geojson,
    write_overpass,
    write_pbf,
    write_xml,
)
from train.__main__ import main
from train.osm.box import Box
from train.osm.command import make_map
from train.osm.features import MAX_BYTES
from train.osm.kinds import height_m, kind_of, names_of
from train.osm.overpass import command_elsewhere

BOX = Box.about([[-100, -100], [100, 100]], FRAME)
Writer = Callable[[Field, Path], Path]


def _geom(campus: Field, out: Path) -> Path:
    return write_overpass(campus, out, geometry=True)


FORMS: dict[str, Writer] = {
    "campus.osm": write_xml,
    "campus.osm.pbf": write_pbf,
    "no-ending": write_pbf,
    "body.json": write_overpass,
    "geom.json": _geom,
}


def by_name(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {f["properties"]["name"]: f for f in found["features"] if "name" in f["properties"]}


def kinds(found: dict[str, Any]) -> list[str]:
    return [feature["properties"]["kind"] for feature in found["features"]]


def metres(feature: dict[str, Any]) -> Any:
    """The feature's shape in local metres."""
    import shapely

    return shapely.transform(shape(feature["geometry"]), lambda at: FRAME.to_local(at[:, 1], at[:, 0]))


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_map(form: str, tmp_path: Path) -> None:
    found = make_map(FORMS[form](small_campus(), tmp_path / form), BOX, FRAME)
    named = by_name(found)
    library = named["ספרייה"]["properties"]
    assert library == {"kind": "building", "name": "ספרייה", "name:en": "Library", "height_m": 16.0}
    assert named["Building 32"]["properties"]["height_m"] == 14.5
    # The yard of the multipolygon is a hole in it.
    assert metres(named["הנדסה"]).area == pytest.approx(60 * 50 - 30 * 20, rel=0.02)
    assert {name: feature["properties"]["kind"] for name, feature in named.items()} == {
        "ספרייה": "building", "Building 32": "building", "הנדסה": "building", "Founders' Square": "plaza",
        "Pond": "water", "Old Tower": "tower", "תחנה": "place", "רחוב": "road", "Long House": "building",
    }  # fmt: skip
    for kind, count in {"lawn": 1, "sports": 1, "path": 2, "steps": 1, "tree": 11, "water": 2}.items():
        assert kinds(found).count(kind) == count, kind
    assert "OpenStreetMap" in found["attribution"]
    assert "ODbL" in found["attribution"]


@pytest.mark.parametrize("form", FORMS)
def test_the_map_ends_at_its_box_and_leaves_out_what_lies_elsewhere(form: str, tmp_path: Path) -> None:
    found = make_map(FORMS[form](small_campus(), tmp_path / form), BOX, FRAME)
    assert "Elsewhere" not in by_name(found)
    west, _, east, _ = metres(by_name(found)["Long House"]).bounds
    assert west == pytest.approx(150, abs=0.3)
    assert east == pytest.approx(BOX.high_m[0], abs=0.3)


def test_a_broken_outline_is_left_out_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        found = make_map(write_xml(small_campus(), tmp_path / "campus.osm"), BOX, FRAME)
    assert "Broken" not in by_name(found)
    assert "1 shapes of the extract are incomplete" in caplog.text


def test_geojson_of_overpass_turbo_gives_a_map_too(tmp_path: Path) -> None:
    found = make_map(write_geojson(small_campus(), tmp_path / "export.geojson"), BOX, FRAME)
    assert by_name(found)["ספרייה"]["properties"]["name:en"] == "Library"
    assert kinds(found).count("tree") == 11


def test_a_map_of_this_project_keeps_its_kinds_names_and_thanks(tmp_path: Path) -> None:
    first = make_map(write_xml(small_campus(), tmp_path / "campus.osm"), BOX, FRAME)
    (tmp_path / "map.geojson").write_text(json.dumps(first | {"attribution": "Drawn by the geography class"}))
    again = make_map(tmp_path / "map.geojson", BOX, FRAME)
    assert sorted(kinds(again)) == sorted(kinds(first))
    assert by_name(again).keys() == by_name(first).keys()
    assert by_name(again)["ספרייה"]["properties"]["height_m"] == 16.0
    assert again["attribution"] == "Drawn by the geography class"


def test_simplified_outlines_stay_within_centimetres_and_lose_their_needless_corners(tmp_path: Path) -> None:
    campus = Field()
    turn = np.linspace(0, 2 * np.pi, 720, endpoint=False)
    campus.ring(*[(30 * float(np.cos(t)), 30 * float(np.sin(t))) for t in turn], building="yes")
    found = make_map(write_xml(campus, tmp_path / "round.osm"), BOX, FRAME)
    rotunda = metres(found["features"][0])
    assert rotunda.area == pytest.approx(np.pi * 30**2, rel=0.01)
    assert len(rotunda.exterior.coords) < 60


def test_a_crowded_campus_is_simplified_until_the_app_can_draw_it(tmp_path: Path) -> None:
    campus = Field()
    rng = np.random.default_rng(0)
    for _ in range(500):
        east, north = rng.uniform(-90, 90, 2)
        turn = np.linspace(0, 2 * np.pi, 40, endpoint=False)
        wobble = 9 + rng.uniform(-1.2, 1.2, len(turn))
        ring = np.stack([east + wobble * np.cos(turn), north + wobble * np.sin(turn)], axis=1)
        campus.ring(*[(float(x), float(y)) for x, y in ring], landuse="grass")
    found = make_map(write_pbf(campus, tmp_path / "many.osm.pbf"), BOX, FRAME)
    assert len(json.dumps(found, ensure_ascii=False, separators=(",", ":"))) <= MAX_BYTES
    assert len(found["features"]) == 500


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("missing.osm", None, "no such map"),
        ("cut.osm", b"<?xml version='1.0'?><osm version='0.6'><node id='1' lat='47' lo", "damaged"),
        ("cut.json", b'{"elements": [{"type": "node", "id": 1', "damaged JSON"),
        ("odd.json", b'{"elements": [{"type": "node", "id": "one"}]}', "not Overpass JSON"),
        ("timeout.json", b'{"elements": [], "remark": "runtime error: Query timed out"}', "Query timed out"),
        ("other.json", b'{"roads": []}', "neither Overpass's"),
        ("photo.jpg", b"\xff\xd8\xff\xe0", "not an OpenStreetMap file"),
        ("empty.osm", b"<osm version='0.6'></osm>", "shows nothing within"),
    ],
)
def test_what_is_no_extract_of_here_is_refused_by_name(
    name: str, content: bytes | None, told: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(MapError, match=told) as caught:
        make_map(path, BOX, FRAME)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_pbf_cut_in_the_middle_is_refused(tmp_path: Path) -> None:
    path = write_pbf(small_campus(), tmp_path / "campus.osm.pbf")
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(MapError, match="damaged"):
        make_map(path, BOX, FRAME)


@pytest.mark.parametrize(
    ("tags", "shape_", "kind"),
    [
        ({"highway": "footway"}, "area", None),  # a way round a square is not a square
        ({"highway": "footway", "area": "yes"}, "area", "plaza"),
        ({"highway": "footway", "area": "yes"}, "line", None),
        ({"building": "no", "landuse": "grass"}, "area", "lawn"),
        ({"building": "construction"}, "area", None),
        ({"building": "yes", "amenity": "fountain"}, "area", "building"),
        ({"highway": "primary_link"}, "line", "road"),
        ({"highway": "proposed"}, "line", None),
        ({"amenity": "cafe"}, "point", None),  # without a name it is no landmark
        ({"amenity": "cafe", "name:en": "Aroma"}, "point", "place"),
        ({"building": "yes", "location": "underground"}, "area", None),
    ],
)
def test_kinds(tags: dict[str, str], shape_: Any, kind: str | None) -> None:
    assert kind_of(tags, shape_) == kind


def test_names_and_heights() -> None:
    assert names_of({"name:en": "Aroma"}) == {"name": "Aroma", "name:en": "Aroma"}
    assert names_of({"ref": "7"}) == {}
    assert height_m({"height": "40 ft"}) == pytest.approx(12.2)
    assert height_m({"height": "tall", "building:levels": "2"}) == pytest.approx(6.4)
    assert height_m({}) is None


# The command.


def run(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["train", *map(str, words)])
    return run_cli(main)


def test_a_bundle_takes_the_map_and_its_zones_the_names(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    osm = write_xml(small_campus(), tmp_path / "campus.osm")
    assert run(monkeypatch, "zones", bundle, "--name", "2=Bus stop") == 0
    assert run(monkeypatch, "map", bundle, "--osm", osm) == 0
    changed = Bundle.load(bundle)
    assert "OpenStreetMap" in changed.campus_map["attribution"]
    names = [zone.name for zone in changed.manifest.zones]
    assert names[1] == "Bus stop"  # typed by hand, so it stays
    assert any(name.startswith("Library") for name in names)
    assert "ODbL" in capsys.readouterr().out


def test_a_map_with_a_name_as_long_as_a_page_leaves_a_bundle_that_opens(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    osm = write_xml(small_campus(), tmp_path / "campus.osm")
    osm.write_text(osm.read_text(encoding="utf-8").replace("Engineering", "Engineering " * 40), encoding="utf-8")
    assert run(monkeypatch, "map", bundle, "--osm", osm) == 0
    names = [zone.name for zone in Bundle.load(bundle).manifest.zones]
    assert max(map(len, names)) == 200
    assert any(name.startswith("Engineering Engineering") and name.endswith(" side") for name in names)


def test_a_campus_archive_goes_to_another_file_and_the_old_one_stays(
    pristine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    osm = write_xml(small_campus(), tmp_path / "campus.osm")
    before = (pristine / "campus.json").read_bytes()
    assert run(monkeypatch, "map", pristine, "--osm", osm, "--out", tmp_path / "new.campus") == 0
    assert (pristine / "campus.json").read_bytes() == before
    assert "הנדסה" in by_name(Bundle.load(tmp_path / "new.campus").campus_map)
    assert run(monkeypatch, "map", pristine, "--osm", osm, "--out", tmp_path / "new.campus") == 2  # without --force


def test_a_dataset_s_map_is_replaced_only_by_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    osm = write_xml(small_campus(), tmp_path / "campus.osm")
    dataset = tmp_path / "dataset"
    (dataset / "images").mkdir(parents=True)
    (dataset / "images/1.jpg").touch()
    (lat_deg, lon_deg), *_ = FRAME.to_latlon(np.zeros((1, 2)))
    (dataset / "gt.csv").write_text(f"image_name,lat,lon\n1.jpg,{lat_deg},{lon_deg}\n", encoding="utf-8")
    assert run(monkeypatch, "map", dataset, "--osm", osm) == 0
    (dataset / "map.geojson").write_text("edited by hand")
    capsys.readouterr()
    assert run(monkeypatch, "map", dataset, "--osm", osm) == 2
    assert (dataset / "map.geojson").read_text() == "edited by hand"
    (told,) = capsys.readouterr().err.splitlines()
    assert "--force" in told
    assert run(monkeypatch, "map", dataset, "--osm", osm, "--force") == 0
    assert json.loads((dataset / "map.geojson").read_text())["features"]


class _Overpass(BaseHTTPRequestHandler):
    asked: ClassVar[list[str]] = []
    status = 200

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.asked.append(parse_qs(body)["data"][0])
        self.send_response(self.status)
        self.end_headers()
        from tests.train.osm.extracts import overpass

        self.wfile.write(json.dumps(overpass(small_campus(), geometry=False)).encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    _Overpass.asked, _Overpass.status = [], 200
    with HTTPServer(("127.0.0.1", 0), _Overpass) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}/api/interpreter"
        listening.shutdown()
        thread.join()


def test_fetch_asks_for_the_campus_s_own_box(bundle: Path, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, "map", bundle, "--fetch", "--server", server) == 0
    (asked,) = _Overpass.asked
    assert asked.startswith("[out:json]")
    south, west, north, east = (float(part) for part in asked.split('"building"](')[1].split(")")[0].split(","))
    low, high = FRAME.to_local([south, north], [west, east])
    assert low.max() < -100
    assert high.min() > 100
    assert "הנדסה" in by_name(Bundle.load(bundle).campus_map)


def test_without_internet_it_says_the_one_command_to_run_elsewhere(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (bundle / "campus.json").read_bytes()
    assert run(monkeypatch, "map", bundle, "--fetch", "--server", "http://127.0.0.1:9/") == 2
    told = capsys.readouterr()
    assert told.out.startswith("curl ")
    assert len(told.err.splitlines()) == 1
    assert "--osm" in told.err
    assert (bundle / "campus.json").read_bytes() == before


def test_a_busy_server_is_named_with_its_status(
    bundle: Path, server: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _Overpass.status = 429
    assert run(monkeypatch, "map", bundle, "--fetch", "--server", server) == 2
    assert "HTTP 429" in capsys.readouterr().err


def test_the_command_elsewhere_is_one_a_shell_understands(server: str, tmp_path: Path) -> None:
    import shutil
    import subprocess

    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    subprocess.run(command_elsewhere(BOX, server, str(tmp_path / "x.json")), shell=True, check=True)
    assert "הנדסה" in by_name(make_map(tmp_path / "x.json", BOX, FRAME))
