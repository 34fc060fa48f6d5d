"""`predict.py --together` and `--walk`: photos that belong together, by EXIF or by a CSV of times."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Protocol
from xml.etree import ElementTree

import pytest
from PIL import Image

from core.archive.journal import Journal
from core.archive.walks import read_times
from tests import REPOSITORY
from tests.bundles import make_bundle, photo
from tests.train.harness import predict_cli

GPX = "{http://www.topografix.com/GPX/1/1}"


@pytest.fixture(scope="module")
def field(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("bundles") / "field")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A walk to the east whose names do not tell its order; times stand in EXIF and in times.csv."""
    folder = tmp_path / "photos"
    folder.mkdir()
    with (tmp_path / "times.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["image_name", "local_time"])
        for number, name in enumerate("dbacfe"):
            image, exif = Image.open(io.BytesIO(photo(east_m=-50 + 12 * number, view=number + 1))), Image.Exif()
            exif.get_ifd(0x8769).update({0x9003: f"2026:03:01 10:00:{10 * number:02d}", 0x9011: "+00:00"})
            image.save(folder / f"{name}.jpg", exif=exif)
            writer.writerow([f"{name}.jpg", f"2026-03-01T12:00:{50 - 10 * number:02d}"])  # the other way round
    return folder


class Predict(Protocol):
    def __call__(self, *words: object) -> subprocess.CompletedProcess[str]: ...


@pytest.fixture
def predict(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Predict:
    """`predict.py` within this process, which has loaded what each new one would load."""

    def ran(*words: object) -> subprocess.CompletedProcess[str]:
        capsys.readouterr()
        try:
            code: object = predict_cli(monkeypatch, *words)
        except SystemExit as stop:  # argparse's
            code = stop.code
        assert isinstance(code, int)
        return subprocess.CompletedProcess(["predict.py"], code, *capsys.readouterr())

    return ran


def predict_alone(*words: object) -> subprocess.CompletedProcess[str]:
    """`predict.py` as a process of its own."""
    line = [sys.executable, "predict.py", *map(str, words)]
    return subprocess.run(line, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=120)


def test_a_walk_is_in_the_order_of_its_exif_and_becomes_a_track(field: Path, photos: Path, tmp_path: Path) -> None:
    tracks = ("--track", tmp_path / "walk.geojson", "--track", tmp_path / "walk.gpx")
    done = predict_alone(photos, "--walk", "--bundle", field, "--json", *tracks)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert "".join(Path(line["photo"]).stem for line in lines) == "dbacfe"
    assert [line["lon"] for line in lines] == sorted(line["lon"] for line in lines)
    features = json.loads((tmp_path / "walk.geojson").read_text())["features"]
    assert [feature["geometry"]["type"] for feature in features] == ["Point"] * 6 + ["LineString"]
    places = [pytest.approx([line["lon"], line["lat"]], abs=1e-6) for line in lines]  # GeoJSON's order
    assert [feature["geometry"]["coordinates"] for feature in features] == [*places, places]
    assert features[0]["properties"]["time"] == "2026-03-01T10:00:00+00:00"
    points = ElementTree.parse(tmp_path / "walk.gpx").getroot().findall(f".//{GPX}trkpt")
    assert [point.findtext(f"{GPX}time") for point in points][-1] == "2026-03-01T10:00:50Z"
    assert [[float(point.attrib["lon"]), float(point.attrib["lat"])] for point in points] == places


def test_times_of_a_csv_go_before_exif(predict: Predict, field: Path, photos: Path, tmp_path: Path) -> None:
    done = predict(photos, "--walk", "--bundle", field, "--json", "--times", tmp_path / "times.csv")
    assert "".join(Path(json.loads(line)["photo"]).stem for line in done.stdout.splitlines()) == "efcabd"


def test_two_photos_of_one_name_are_not_given_one_row_s_time(
    predict: Predict, field: Path, photos: Path, tmp_path: Path
) -> None:
    (photos / "below").mkdir()
    (photos / "below" / "a.jpg").write_bytes((photos / "a.jpg").read_bytes())
    done = predict(photos, "--walk", "--times", tmp_path / "times.csv", "--bundle", field)
    assert done.returncode == 2
    said = f"{photos}/below/a.jpg: has the name of {photos}/a.jpg, and --times tells photos by it"
    assert done.stderr == f"error: {said}: rename one of them\n"


def zoned(folder: Path, tags: dict[str, dict[int, str]]) -> None:
    """Write other EXIF tags into photos: their clock stays, of which they may tell the offset from UTC."""
    for name, told in tags.items():
        with Image.open(folder / f"{name}.jpg") as image:
            exif = image.getexif()
            times = exif.get_ifd(0x8769)
            times.pop(0x9011, None)
            times.update(told)
            image.save(folder / f"{name}.jpg", exif=exif)


def test_photos_that_lost_utc_keep_their_place_among_those_that_have_it(
    predict: Predict, field: Path, photos: Path, tmp_path: Path
) -> None:
    zoned(photos, {name: {0x9011: "+03:00"} if name in "dc" else {} for name in "dbacfe"})
    done = predict(photos, "--walk", "--bundle", field, "--json", "--track", tmp_path / "walk.gpx")
    assert "".join(Path(json.loads(line)["photo"]).stem for line in done.stdout.splitlines()) == "dbacfe", done.stderr
    times = ElementTree.parse(tmp_path / "walk.gpx").getroot().iterfind(f".//{GPX}time")
    assert [time.text for time in times] == [f"2026-03-01T07:00:{10 * second:02d}Z" for second in range(6)]


def test_clocks_that_no_photo_compares_are_refused_by_name(
    predict: Predict, field: Path, photos: Path, tmp_path: Path
) -> None:
    (tmp_path / "some.csv").write_text("image_name,time_utc\na.jpg,2026-03-01T07:00:20\n")
    zoned(photos, {name: {} for name in "dbacfe"})
    done = predict(photos, "--walk", "--bundle", field, "--times", tmp_path / "some.csv")
    assert done.returncode == 2
    assert "b.jpg: has the time of a clock whose zone no photo tells" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_row_s_time_may_stand_in_either_column(tmp_path: Path) -> None:
    (tmp_path / "times.csv").write_text(
        "image_name,time_utc,local_time\na.jpg,,2026-03-01 12:00:05\nb.jpg,2026-03-01 09:00:06,\n"
    )
    utc = datetime(2026, 3, 1, 9, 0, 6, tzinfo=timezone.utc)
    assert read_times(tmp_path / "times.csv") == {"a.jpg": datetime(2026, 3, 1, 12, 0, 5), "b.jpg": utc}


def test_a_track_that_cannot_be_written_is_said_before_the_work(predict: Predict, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "folder.gpx").mkdir()
    done = predict(photos, "--walk", "--bundle", tmp_path / "absent", "--track", tmp_path / "folder.gpx")
    assert done.returncode == 2
    assert "folder.gpx: is a folder" in done.stderr  # and nothing yet of the bundle
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (b"image_name,local_time\nd.jpg,yesterday\n", "row 2 (d.jpg): 'yesterday' is no time"),
        (b"name,when\nd.jpg,2026\n", "needs the columns image_name and local_time"),
        (None, "no such file"),
    ],
)
def test_a_table_of_times_that_is_none_is_said_in_a_line(
    predict: Predict, field: Path, photos: Path, tmp_path: Path, table: bytes | None, said: str
) -> None:
    if table is not None:
        (tmp_path / "wrong.csv").write_bytes(table)
    done = predict(photos, "--walk", "--bundle", field, "--times", tmp_path / "wrong.csv")
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_times_are_read_as_a_spreadsheet_writes_them(tmp_path: Path) -> None:
    """In its own encoding, with semicolons and rows that end early; a photo without a time has that of its EXIF."""
    table = "local_time;image_name\n2026-03-01 12:00:05;caf\xe9.jpg\n;b.jpg\n\n2026-03-01 12:00:06\n"
    (tmp_path / "times.csv").write_bytes(table.encode("cp1252"))
    assert read_times(tmp_path / "times.csv") == {"caf\xe9.jpg": datetime(2026, 3, 1, 12, 0, 5)}


def test_a_name_that_is_no_text_is_a_photo_like_any_other(field: Path, tmp_path: Path) -> None:
    folder, name = tmp_path / "photos", "caf\udce9.jpg"
    folder.mkdir()
    (folder / name).write_bytes(photo())
    for words in (("--together",), ("--out", tmp_path / "a.jsonl"), ("--out", tmp_path / "a.parquet", "--shard", "1/1"),
                  ("--out", tmp_path / "a.csv")):  # fmt: skip
        done = predict_alone(folder, "--bundle", field, *words)
        assert done.returncode == 0, done.stderr
    done = predict_alone(folder / name, "--bundle", field)
    assert "caf\\udce9.jpg" in done.stdout, done.stderr
    assert json.loads((tmp_path / "a.jsonl").read_text())["photo"].endswith("caf\\xe9.jpg")
    with Journal(tmp_path / "a.jsonl", resume=True) as journal:
        assert journal.has(str(folder / name))


def test_photos_together_are_one_fix(predict: Predict, field: Path, tmp_path: Path) -> None:
    for view in (1, 2, 3):
        (tmp_path / f"{view}.jpg").write_bytes(photo(east_m=10 + view, view=view))
    done = predict(tmp_path, "--together", "--bundle", field, "--json")
    (line,) = done.stdout.splitlines()
    assert json.loads(line)["photos"] == 3
    table = predict(tmp_path, "--together", "--bundle", field).stdout.splitlines()
    assert table[0].startswith("photo ")
    assert table[1].startswith("3 photos ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--walk", "--together"), "one of"),
        (("--track", "a.gpx"), "need --walk"),
        (("--walk", "--track", "a.kml"), ".geojson or .gpx"),
        (("--walk",), "has no time: give --times"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(
    predict: Predict, field: Path, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    (tmp_path / "a.jpg").write_bytes(photo())
    done = predict(tmp_path / "a.jpg", "--bundle", field, *words)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
