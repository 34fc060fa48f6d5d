"""From a folder of photos to a dataset: what comes in, and what is left out."""

from __future__ import annotations

import argparse
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from core.cli.run import run_cli
from core.errors import DatasetError
from core.photo.capture import capture_from_tags, tags_of
from tests.train.dataset.walks import LAT, LON, METRE, photo, reasons, walk
from train.dataset.dataset import BASE_COLUMNS, Dataset
from train.dataset.ingest import add_arguments, ingest, main
from train.dataset.ingest_report import IngestReport
from train.dataset.split import SPLITS, SplitConfig, split_dataset


def test_a_photo_called_like_a_formula_is_none_in_the_table_and_is_found_again(tmp_path: Path) -> None:
    photo(tmp_path / "photos" / "=1+1" / "@sum.jpg", 1, model="=cmd")
    ingest(tmp_path / "photos", tmp_path / "ds")
    cells = [cell for line in (tmp_path / "ds" / "gt.csv").read_text("utf-8").splitlines() for cell in line.split(",")]
    assert [cell for cell in cells if cell.startswith(("=", "+", "@"))] == []
    loaded = Dataset.load(tmp_path / "ds")
    assert loaded.column("source") == ["=1+1/@sum.jpg"]
    assert loaded.image_paths[0].is_file()


def test_a_walk_becomes_a_dataset(tmp_path: Path) -> None:
    report = ingest(walk(tmp_path / "photos"), tmp_path / "ds")
    assert (report.found, report.taken_in, report.night, report.sessions) == (12, 12, 0, 1)
    assert report.left_out == report.wrong == report.doubtful == ()
    loaded = Dataset.load(tmp_path / "ds")
    assert tuple(loaded.table.columns[:7]) == BASE_COLUMNS
    assert loaded.names == [f"IMG_{number:04}.jpg" for number in range(12)]
    np.testing.assert_allclose(loaded.latlon[:, 0], LAT + 10 * METRE * np.arange(12), atol=1e-7)
    assert np.ptp(loaded.table["utm_y"]) == pytest.approx(110, abs=1)
    assert set(loaded.column("device")) == {"Acme Cam"}
    assert set(loaded.column("session")) == {"Acme Cam 2024-06-01 09:00"}
    assert loaded.column("time_utc")[1] == "2024-06-01T09:01:00+00:00"
    assert len(set(loaded.column("label"))) == report.zones == 3
    assert set(os.listdir(tmp_path)) == {"photos", "ds"}
    assert set(os.listdir(tmp_path / "ds")) == {"gt.csv", "images", "report.json"}
    assert IngestReport.load(tmp_path / "ds" / "report.json") == report
    assert "12 of 12" in report.summary()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_are_upright_and_keep_their_aspect(tmp_path: Path, orientation: int) -> None:
    path = photo(tmp_path / "photos" / "a.jpg", 1, size=(300, 100), orientation=orientation)
    ingest(tmp_path / "photos", tmp_path / "ds", size=150)
    with Image.open(path) as original, Image.open(tmp_path / "ds" / "images" / "a.jpg") as made:
        upright = ImageOps.exif_transpose(original)
        assert made.size == ((150, 50) if upright.width > upright.height else (50, 150))
        assert made.getexif().get(274) is None
        difference = np.asarray(upright.resize(made.size), int) - np.asarray(made)
    assert np.abs(difference).mean() < 12


def test_small_photos_are_not_enlarged(tmp_path: Path) -> None:
    photo(tmp_path / "photos" / "a.jpg", 1, size=(30, 20))
    ingest(tmp_path / "photos", tmp_path / "ds")
    with Image.open(tmp_path / "ds" / "images" / "a.jpg") as made:
        assert made.size == (30, 20)


@pytest.mark.parametrize(("size", "made"), [(130, (125, 94)), (200, (200, 150))])
def test_a_scale_that_the_decoder_has_is_taken_where_it_is_near_enough(
    tmp_path: Path, size: int, made: tuple[int, int]
) -> None:
    photo(tmp_path / "photos" / "a.jpg", 1, size=(1000, 750))
    ingest(tmp_path / "photos", tmp_path / "ds", size=size)
    with Image.open(tmp_path / "ds" / "images" / "a.jpg") as image:
        assert image.size == made


def test_what_is_left_out_and_why(tmp_path: Path) -> None:
    photos = walk(tmp_path / "photos")
    photo(photos / "nogps.jpg", 50, lat=None)
    photo(photos / "pole.jpg", 51, lat=89.0)
    (photos / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 nothing")
    (photos / "empty.jpg").touch()
    (photos / "page.jpg").write_text("<html>404</html>")
    os.mkfifo(photos / "pipe.jpg")
    (photos / "zcopy.jpg").write_bytes((photos / "IMG_0003.jpg").read_bytes())
    (photos / "notes.txt").write_text("hello")
    (photos / "clip.mov").write_bytes(b"x")
    (photos / ".hidden.jpg").write_bytes(b"x")
    photo(photos / "astray.jpg", 52, lat=LAT + 0.2)
    report = ingest(photos, tmp_path / "ds")
    assert (report.found, report.taken_in, report.other_files) == (20, 12, 2)
    assert reasons(report) == {
        "nogps.jpg": "no GPS position in the photo",
        "pole.jpg": "nearer to a pole than UTM reaches",
        "broken.jpg": "unreadable",
        "empty.jpg": "unreadable",
        "page.jpg": "unreadable",
        "pipe.jpg": "unreadable",
        "zcopy.jpg": "the same photo once more",
    }
    assert [note.file for note in report.wrong] == ["astray.jpg"]
    assert "astray.jpg" not in Dataset.load(tmp_path / "ds").names
    text = report.summary()
    for word in (
        "12 of 20",
        "broken.jpg",
        "empty",
        "web page",
        "IMG_0003.jpg",
        "astray.jpg",
        "left out of gt.csv",
    ):
        assert word in text
    held = json.loads((tmp_path / "ds" / "report.json").read_text())
    assert held["wrong"][0]["file"] == "astray.jpg"


def test_wrong_positions_are_kept_where_asked_and_doubtful_ones_marked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = walk(tmp_path / "photos", 20)
    photo(photos / "astray.jpg", 52, lat=LAT + 0.2, time_local=None)
    photo(photos / "near.jpg", 53, lat=LAT - 240 * METRE, time_local=None)
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    assert main(parser.parse_args([str(photos), "--out", str(tmp_path / "ds"), "--keep-wrong"])) == 0
    loaded = Dataset.load(tmp_path / "ds")
    marked = {name: why for name, why in zip(loaded.names, loaded.column("outlier"), strict=True) if why}
    assert set(marked) == {"astray.jpg", "near.jpg"}
    report = json.loads((tmp_path / "ds" / "report.json").read_text())
    assert [note["file"] for note in report["doubtful"]] == ["near.jpg"]
    assert "kept as asked" in capsys.readouterr().out


def test_subfolders_are_sessions_and_names_stay_unique(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    for number, name in enumerate(["a.jpg", "day1/a.jpg", "day1/a.jpeg", "day2/x/A.JPG", "day2/=b.jpg"]):
        photo(photos / name, number)
    report = ingest(photos, tmp_path / "ds")
    loaded = Dataset.load(tmp_path / "ds")
    found = dict(zip(loaded.column("source"), zip(loaded.names, loaded.column("session"), strict=True), strict=True))
    assert found == {
        "a.jpg": ("a.jpg", "photos"),
        "day1/a.jpg": ("day1__a_jpg.jpg", "day1"),
        "day1/a.jpeg": ("day1__a_jpeg.jpg", "day1"),
        "day2/x/A.JPG": ("day2__x__A.jpg", "day2/x"),
        "day2/=b.jpg": ("day2___b.jpg", "day2"),
    }
    assert report.sessions == 4


def test_a_phone_s_one_folder_of_three_days_is_three_walks_that_can_be_split(
    tmp_path: Path,
) -> None:
    for number in range(12):
        time = f"2024:06:{1 + number // 4:02} 12:{number % 4:02}:00"
        photo(
            tmp_path / "photos" / "DCIM" / "Camera" / f"{number}.jpg", number, lon=LON + number / 1e4, time_local=time
        )
    assert ingest(tmp_path / "photos", tmp_path / "ds").sessions == 3
    splits = split_dataset(Dataset.load(tmp_path / "ds"), SplitConfig("session"))
    assert [len(splits.of(split)) for split in SPLITS] == [4, 4, 4]


def test_a_long_name_in_hebrew_is_no_longer_than_file_systems_take(tmp_path: Path) -> None:
    names = [f"{'סיור' * 10}/{'שער' * 38}{end}.jpg" for end in "אב"]
    for number, name in enumerate(names):
        photo(tmp_path / "photos" / name, number)
    ingest(tmp_path / "photos", tmp_path / "ds")
    loaded = Dataset.load(tmp_path / "ds")
    assert sorted(loaded.column("source")) == sorted(names)
    assert all(path.is_file() for path in loaded.image_paths)


def test_a_strangers_device_name_is_no_spreadsheet_formula(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[272] = "=HYPERLINK(1)"
    exif.get_ifd(0x8825).update({1: "N", 2: (31.0, 0.0, 0.0), 3: "E", 4: (34.0, 0.0, 0.0)})
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "photos" / "a.jpg", exif=exif)
    ingest(tmp_path / "photos", tmp_path / "ds")
    assert Dataset.load(tmp_path / "ds").column("device") == ["=HYPERLINK(1)"]
    assert ",'=HYPERLINK(1)," in (tmp_path / "ds" / "gt.csv").read_text("utf-8")


def test_night_by_the_sun(tmp_path: Path) -> None:
    for number, clock in enumerate(("12:00:00", "19:30:00", "20:30:00", "02:00:00", "05:45:00")):
        photo(tmp_path / "photos" / f"{number}.jpg", number, time_local=f"2024:06:01 {clock}")
    report = ingest(tmp_path / "photos", tmp_path / "ds")
    # Sunset at Beersheba on 1 June 2024: 19:42 summer time; sunrise 05:36.
    np.testing.assert_array_equal(Dataset.load(tmp_path / "ds").is_night, [False, False, True, True, False])
    assert report.night == 2


@pytest.mark.parametrize(
    "case", ["missing", "file", "empty", "others", "unusable", "no gps", "csv", "csv gone", "size"]
)
def test_what_cannot_be_imported_leaves_nothing_behind(tmp_path: Path, case: str) -> None:
    photos, labels, size = tmp_path / "photos", None, 512
    if case == "file":
        photos.touch()
    elif case != "missing":
        photos.mkdir()
    if case == "others":
        (photos / "notes.txt").touch()
    if case == "unusable":
        (photos / "a.jpg").write_bytes(b"junk")
    if case in ("no gps", "csv", "csv gone", "size"):
        photo(photos / "a.jpg", 1, lat=None)
    if case.startswith("csv"):
        labels = tmp_path / "labels.csv"
    if case == "csv":
        (tmp_path / "labels.csv").write_text("image_name,contributor\na.jpg,3\n")
    if case == "size":
        size = 0
    before = set(os.listdir(tmp_path))
    with pytest.raises(DatasetError) as caught:
        ingest(photos, tmp_path / "ds", labels, size=size)
    message = str(caught.value)
    assert "\n" not in message
    assert caught.value.remedy
    assert set(os.listdir(tmp_path)) == before


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photos = walk(tmp_path / "photos", 3)
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    arguments = parser.parse_args([str(photos), "--out", str(tmp_path / "ds")])
    assert run_cli(lambda: main(arguments)) == 0
    printed = capsys.readouterr()
    assert "3 of 3 photos taken in" in printed.out
    assert "photo" in printed.err  # the progress bar
    assert run_cli(lambda: main(arguments)) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ")
    assert printed.err.count("\n") == 1


def test_penn_comes_in_whole(campus_data: Path, tmp_path: Path) -> None:
    folder = campus_data / "penn" / "photos"
    report = ingest(folder, tmp_path / "ds")
    assert (report.found, report.taken_in) == (34, 34)
    loaded = Dataset.load(tmp_path / "ds")
    sources = loaded.column("source")
    for source, path, (lat, lon) in zip(sources, loaded.image_paths, loaded.latlon, strict=True):
        with Image.open(folder / source) as original, Image.open(path) as made:
            capture = capture_from_tags(tags_of(original))
            assert capture.lat_deg is not None
            assert capture.lon_deg is not None
            assert abs(lat - capture.lat_deg) * 111_000 < 0.1
            assert abs(lon - capture.lon_deg) * 111_000 < 0.1
            original.draft("RGB", (256, 256))
            upright = ImageOps.exif_transpose(original)
            across = made.size if upright.width > upright.height else made.size[::-1]
            assert across in ((504, 378), (500, 375))  # an eighth of 4032 x 3024 and of 4000 x 3000
            assert np.abs(np.asarray(upright.resize(made.size), int) - np.asarray(made)).mean() < 12


def test_iiith_names_the_wrong_labels(campus_data: Path, tmp_path: Path) -> None:
    source = campus_data / "iiith"
    text = (source / "gt.csv").read_text().splitlines()
    blind = tmp_path / "labels.csv"
    blind.write_text("\n".join(line.rsplit(",", 1)[0] for line in text))
    report = ingest(source / "images", tmp_path / "ds", blind)
    wrong = {line.split(",")[0] for line in text[1:] if line.endswith(",1")}
    assert {note.file for note in report.wrong} == wrong
    assert report.taken_in == 240
    assert len(report.doubtful) <= 2
    loaded = Dataset.load(tmp_path / "ds")
    assert loaded.has("contributor")
    assert loaded.has("heading_deg")
    assert io.StringIO(report.summary()).readline().startswith("240 of 246")
