"""From a folder of photos to a dataset: what comes in, what is left out, and what a killed run leaves."""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from core.archive.photos import Shard
from core.cli.run import run_cli
from core.errors import DatasetError, OccupiedError
from core.photo.capture import capture_from_tags, tags_of
from core.photo.load import load_photo
from tests import REPOSITORY
from train.dataset.columns import image_names, is_night, sessions
from train.dataset.dataset import BASE_COLUMNS, Dataset
from train.dataset.ingest import add_arguments, ingest, ingest_part, main
from train.dataset.ingest_report import MAX_SHOWN, IngestReport, Note
from train.dataset.zoning import original_labels

LAT, LON = 31.262, 34.803
METRE = 1 / 111_000  # of latitude, in degrees


def photo(
    path: Path,
    number: int,
    *,
    lat: float | None = LAT,
    lon: float = LON,
    size: tuple[int, int] = (64, 48),
    time_local: str | None = "2024:06:01 12:00:00",
    **tags: Any,
) -> Path:
    """A JPEG unlike every other number's, with GPS unless `lat` is None; Jerusalem summer time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[271], exif[272] = "Acme", tags.get("model", "Cam")
    exif[274] = tags.get("orientation", 1)
    if time_local:
        exif.get_ifd(0x8769).update({36867: time_local, 36881: "+03:00"})
    if lat is not None:
        gps = {1: "N" if lat >= 0 else "S", 2: (abs(lat), 0.0, 0.0), 3: "E", 4: (lon, 0.0, 0.0)}
        exif.get_ifd(0x8825).update(gps)
    pixels = np.random.default_rng(number).integers(0, 255, (4, 5, 3), np.uint8)
    Image.fromarray(pixels).resize(size).save(path, exif=exif)
    return path


def walk(folder: Path, count: int = 12) -> Path:
    """A walk of `count` photos, 10 m and a minute apart."""
    start = datetime(2024, 6, 1, 12)
    for number in range(count):
        moment = f"{start + timedelta(minutes=number):%Y:%m:%d %H:%M:%S}"
        photo(folder / f"IMG_{number:04}.jpg", number, lat=LAT + 10 * number * METRE, time_local=moment)
    return folder


def contents(dataset: Path) -> dict[str, bytes]:
    """Every file of a dataset and its bytes."""
    return {p.relative_to(dataset).as_posix(): p.read_bytes() for p in sorted(dataset.rglob("*")) if p.is_file()}


def reasons(report: IngestReport) -> dict[str, str]:
    return {note.file: note.reason for note in report.left_out}


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


def test_labels_from_a_csv(tmp_path: Path) -> None:
    photos = walk(tmp_path / "photos", 4)
    Image.new("RGB", (9, 9), "red").save(photos / "plain.PNG")
    Image.new("RGB", (9, 9), "blue").save(photos / "extra.png")
    Image.new("RGB", (9, 9), "lime").save(photos / "unsure.png")
    csv = tmp_path / "labels.csv"
    csv.write_text(
        "IMAGE_NAME, Latitude, Longitude, local_time, contributor, Mood, is_night\n"
        "img_0000.JPG, 31.5, 34.5, 6:30, 7, good, \n"
        "sub/IMG_0001.jpeg, 31.5001, 34.5, 18:30, 7, , 0\n"
        "plain.png, 31.5002, 34.5, 18:30, 8, ,\n"
        "IMG_0002.jpg, north, 34.5, , 8, ,\n"
        "unsure.png, 31.5, 34.5, , 8, ,\n"
        "unsure.png, 31.6, 34.5, , 8, ,\n"
        "gone.jpg, 31.5, 34.5, , 8, ,\n"
    )
    report = ingest(photos, tmp_path / "ds", csv)
    loaded = Dataset.load(tmp_path / "ds")
    assert loaded.names == ["IMG_0000.jpg", "IMG_0001.jpg", "plain.jpg"]
    np.testing.assert_allclose(loaded.latlon, [[31.5, 34.5], [31.5001, 34.5], [31.5002, 34.5]])
    assert loaded.column("Mood") == ["good", "", ""]
    assert loaded.column("contributor") == ["7", "7", "8"]
    # IMG_0000 has a date in its EXIF; is_night of the CSV wins; plain.png has only the clock of the CSV.
    np.testing.assert_array_equal(loaded.is_night, [False, False, True])
    assert loaded.column("session")[2] == "8"
    assert reasons(report) == {
        "IMG_0002.jpg": "no usable position in the CSV",
        "IMG_0003.jpg": "not in the CSV",
        "extra.png": "not in the CSV",
        "unsure.png": "the CSV has several different positions for it",
        "gone.jpg": "in the CSV, but there is no such photo",
    }


def test_a_name_that_fits_several_photos_is_not_guessed(tmp_path: Path) -> None:
    for number, folder in enumerate(("one", "two")):
        photo(tmp_path / "photos" / folder / "a.jpg", number)
    photo(tmp_path / "photos" / "one" / "b.jpg", 3)
    csv = tmp_path / "labels.csv"
    csv.write_text("image_name,lat,lon\na.jpg,1,2\ntwo/b.jpg,1,2\none\\a.jpg,1,3\n")
    report = ingest(tmp_path / "photos", tmp_path / "ds", csv)
    assert Dataset.load(tmp_path / "ds").names == ["one__a.jpg", "one__b.jpg"]
    assert reasons(report) == {"a.jpg": "the name in the CSV fits several photos"}


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
    ("clock", "night"),
    [("", False), ("noon", False), ("16:59", False), ("17:00", True), ("6:37", False), (" 17:51", True),
     ("04:59", True), ("00:00", True), ("99:00", False)],
)  # fmt: skip
def test_night_by_the_clock(clock: str, night: bool) -> None:
    assert is_night(LAT, LON, None, clock) is night


def test_night_at_the_poles_of_the_year() -> None:
    midsummer, midwinter = (datetime(2024, month, 21, 12, tzinfo=timezone.utc) for month in (6, 12))
    assert not is_night(78.2, 15.6, midsummer - timedelta(hours=12))
    assert is_night(78.2, 15.6, midwinter)


def test_sessions_end_with_a_pause() -> None:
    assert sessions([], [], [], "root") == []
    times = [datetime(2024, 6, 1, 9, minute, tzinfo=timezone.utc) for minute in (0, 25, 50)]
    times.append(times[-1] + timedelta(minutes=31))
    found = sessions(list("abcd"), ["X", "X", "X", "X"], times, "root")
    assert found == ["X 2024-06-01 09:00"] * 3 + ["X 2024-06-01 10:21"]
    two = sessions(list("ab"), ["X", "Y"], times[:2], "root")
    assert two == ["X 2024-06-01 09:00", "Y 2024-06-01 09:25"]
    assert sessions(["a", "b"], ["X", ""], [None, None], "root") == ["X", ""]


@pytest.mark.parametrize(
    ("sources", "names"),
    [
        ([], []),
        (["a.HEIC"], ["a.jpg"]),
        (["a.jpg", "A.png"], ["a_jpg.jpg", "A_png.jpg"]),
        (["a.jpg", "a.png", "a_png.webp"], ["a_jpg.jpg", "a_png.jpg", "a_png_2.jpg"]),
        (["..x.jpg", "a b,c.jpg", "תמונה.jpg"], ["x.jpg", "a_b_c.jpg", "תמונה.jpg"]),
        (["bad\udcff.jpg"], ["bad_.jpg"]),
    ],
)
def test_image_names(sources: list[str], names: list[str]) -> None:
    assert image_names(sources) == names


@pytest.mark.parametrize(("count", "zones"), [(1, 1), (3, 1), (8, 2), (40, 10)])
def test_original_labels_are_few_and_the_same_each_time(count: int, zones: int) -> None:
    local_m = np.random.default_rng(0).uniform(0, 100, (count, 2))
    found = original_labels(local_m)
    assert len(set(found.tolist())) == zones
    np.testing.assert_array_equal(found, original_labels(local_m))
    assert set(original_labels(np.zeros((count, 2))).tolist()) == {0}


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


def test_nothing_is_overwritten_without_force(tmp_path: Path) -> None:
    photos = walk(tmp_path / "photos", 3)
    ingest(photos, tmp_path / "ds")
    before = contents(tmp_path / "ds")
    photo(photos / "new.jpg", 99)
    with pytest.raises(OccupiedError, match="exists already"):
        ingest(photos, tmp_path / "ds")
    assert contents(tmp_path / "ds") == before
    (photos / "bad").mkdir()
    report = ingest(photos, tmp_path / "ds", force=True)
    assert report.taken_in == len(Dataset.load(tmp_path / "ds")) == 4
    assert set(os.listdir(tmp_path)) == {"photos", "ds"}


def test_force_that_fails_keeps_the_old_dataset(tmp_path: Path) -> None:
    ingest(walk(tmp_path / "photos", 3), tmp_path / "ds")
    before = contents(tmp_path / "ds")
    photo(tmp_path / "other" / "a.jpg", 1, lat=None)
    with pytest.raises(DatasetError, match="no photo can be used"):
        ingest(tmp_path / "other", tmp_path / "ds", force=True)
    assert contents(tmp_path / "ds") == before


def test_force_replaces_datasets_only(tmp_path: Path) -> None:
    photos = walk(tmp_path / "photos", 3)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.txt").write_text("years of work")
    with pytest.raises(OccupiedError, match="no dataset"):
        ingest(photos, tmp_path / "home", force=True)
    with pytest.raises(DatasetError, match="lost"):
        ingest(photos, tmp_path, force=True)
    (tmp_path / "file").touch()
    with pytest.raises(OccupiedError, match="no dataset"):
        ingest(photos, tmp_path / "file", force=True)
    assert (tmp_path / "home" / "thesis.txt").read_text() == "years of work"
    assert len(list(photos.iterdir())) == 3
    (tmp_path / "empty").mkdir()
    assert ingest(photos, tmp_path / "empty").taken_in == 3


def test_the_dataset_may_lie_among_the_photos(tmp_path: Path) -> None:
    photos = walk(tmp_path / "photos", 3)
    ingest(photos, photos / "ds")
    report = ingest(photos, photos / "ds", force=True)
    assert report.found == 3


def test_changed_photos_are_made_anew_after_an_interruption(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = walk(tmp_path / "photos", 3)
    with monkeypatch.context() as patch:
        patch.setattr("train.dataset.ingest.select", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            ingest(photos, tmp_path / "ds")
    assert len(list((tmp_path / "ds.partial" / "records").iterdir())) == 3
    photo(photos / "IMG_0001.jpg", 77, size=(70, 50), lat=LAT + 25 * METRE)
    (tmp_path / "ds.partial" / "photos" / "stray.jpg.1.tmp").write_bytes(b"half")
    half = next((tmp_path / "ds.partial" / "photos").glob("*.jpg"))
    half.write_bytes(half.read_bytes()[:100])
    ingest(photos, tmp_path / "ds")
    ingest(photos, tmp_path / "straight")
    assert contents(tmp_path / "ds") == contents(tmp_path / "straight")
    assert set(os.listdir(tmp_path)) == {"photos", "ds", "straight"}


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_finished_photos_are_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = walk(tmp_path / "photos", 3)
    with monkeypatch.context() as patch:
        patch.setattr("train.dataset.ingest.select", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            ingest(photos, tmp_path / "ds")
    monkeypatch.setattr("train.dataset.intake.load_photo", _interrupt)
    assert ingest(photos, tmp_path / "ds").taken_in == 3


@pytest.mark.parametrize("step", ["finished", "swap", "tidy"])
@pytest.mark.parametrize("force", [False, True])
def test_killed_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, force: bool) -> None:
    """The moments about the swap, each stopped once: nobody ever sees half a dataset, or none where one was."""
    photos = walk(tmp_path / "photos", 4)
    out = tmp_path / "ds"
    ingest(photos, tmp_path / "straight")
    if force:
        ingest(walk(tmp_path / "before", 2), out)
    replace = Path.replace

    def stop(self: Path, target: Path) -> Path:
        moved = replace(self, target)
        if Path(target).name == "finished.json":
            raise KeyboardInterrupt
        return moved

    with monkeypatch.context() as patch:
        if step == "finished":
            patch.setattr(Path, "replace", stop)
        elif step == "swap":
            patch.setattr("core.io.files._settle", _interrupt)
        else:
            patch.setattr("train.dataset.ingest.shutil.rmtree", _interrupt_after_dataset)
        with pytest.raises(KeyboardInterrupt):
            ingest(photos, out, force=force)
    assert out.exists() == (force or step == "tidy")
    if out.exists():
        assert len(Dataset.load(out)) == (4 if step == "tidy" else 2)
    report = ingest(photos, out, force=force)
    assert report.taken_in == 4
    assert contents(out) == contents(tmp_path / "straight")
    assert not (tmp_path / "ds.partial").exists()


def _interrupt_after_dataset(path: Path, **_: object) -> None:
    if Path(path).name.endswith(".partial"):
        raise KeyboardInterrupt


def test_killed_at_the_very_last_step(tmp_path: Path) -> None:
    photos = walk(tmp_path / "photos", 2)
    ingest(photos, tmp_path / "ds")
    (tmp_path / "ds.partial").mkdir()  # emptied, not yet removed
    with pytest.raises(OccupiedError):
        ingest(photos, tmp_path / "ds")
    assert not (tmp_path / "ds.partial").exists()


def test_a_full_disk_keeps_what_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = walk(tmp_path / "photos", 3)
    with monkeypatch.context() as patch:
        patch.setattr("train.dataset.intake.write_atomically", _full)
        with pytest.raises(OSError, match="No space left on device"):
            ingest(photos, tmp_path / "ds")
    assert not (tmp_path / "ds").exists()
    assert ingest(photos, tmp_path / "ds").taken_in == 3


def _full(path: Path, _: bytes) -> None:
    raise OSError(28, "No space left on device", str(path))


def test_processes_give_the_same_as_one(tmp_path: Path) -> None:
    photos = walk(tmp_path / "photos", 24)
    (photos / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    one = ingest(photos, tmp_path / "one", workers=1)
    two = ingest(photos, tmp_path / "two", workers=2)
    assert one == two
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_parts_made_ready_apart_give_the_same_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = walk(tmp_path / "photos", 8)
    (photos / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    whole = ingest(photos, tmp_path / "whole", workers=1)
    counts = [ingest_part(photos, tmp_path / "parts", Shard(part, 3), workers=1) for part in (1, 2, 3)]
    assert sum(counts) == 9
    assert max(counts) < 9
    assert not (tmp_path / "parts").exists()
    really = load_photo
    read_again: list[str] = []

    def watched(source: Any, **options: Any) -> Any:
        read_again.append(source.name)
        return really(source, **options)

    monkeypatch.setattr("train.dataset.intake.load_photo", watched)
    assert ingest(photos, tmp_path / "parts", workers=1) == whole
    assert read_again == ["broken.jpg"]
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")


def command(*arguments: object) -> list[str]:
    code = (
        "import argparse, sys\nfrom core.cli.run import run_cli\nfrom train.dataset.ingest import add_arguments, main\n"
        "if __name__ == '__main__':\n"
        "    p = argparse.ArgumentParser(); add_arguments(p); a = p.parse_args()\n"
        "    sys.exit(run_cli(lambda: main(a)))"
    )
    return [sys.executable, "-c", code, *map(str, arguments)]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_killed_at_random_moments(tmp_path: Path) -> None:
    photos, out, straight = tmp_path / "photos", tmp_path / "ds", tmp_path / "straight"
    for number in range(40):
        photo(photos / f"{number:03}.jpg", number, size=(1200, 900), lat=LAT + 5 * number * METRE)
    subprocess.run(command(photos, "--out", straight), cwd=REPOSITORY, check=True, capture_output=True)
    rng = random.Random(0)
    records = tmp_path / "ds.partial" / "records"
    kills = 0
    for done in sorted(rng.randrange(40) for _ in range(5)):
        run = subprocess.Popen(
            command(photos, "--out", out),
            cwd=REPOSITORY,
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        while run.poll() is None and not (records.is_dir() and len(list(records.iterdir())) >= done):
            time.sleep(0.002)
        time.sleep(rng.uniform(0, 0.05))
        if run.poll() is None:
            run.kill()
            kills += 1
        run.wait()
        if out.exists():
            assert len(Dataset.load(out)) == 40
    # Whole, and with nothing left to tidy up: a run killed after that had nothing more to do.
    if not out.exists() or (tmp_path / "ds.partial").exists():
        subprocess.run(command(photos, "--out", out), cwd=REPOSITORY, check=True, capture_output=True)
    assert kills > 0
    assert contents(out) == contents(straight)
    assert not (tmp_path / "ds.partial").exists()


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


def test_a_long_report_is_cut_for_the_terminal_only() -> None:
    notes = tuple(Note(f"{number}.jpg", "unreadable", "why") for number in range(MAX_SHOWN + 5))
    report = IngestReport(25, 0, 0, 0, 0, 0, 512, False, notes, (), (), 0, ())
    assert "and 5 more" in report.summary()
    assert f"{MAX_SHOWN + 4}.jpg" not in report.summary()
    assert f"{MAX_SHOWN + 4}.jpg" in report.to_json()


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
