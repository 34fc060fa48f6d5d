"""Positions and more from a CSV: which photo a line is of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from tests.train.dataset.walks import photo, reasons, walk
from train.dataset.dataset import Dataset
from train.dataset.ingest import ingest


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


def test_labels_that_a_hebrew_excel_saved_find_their_photos(tmp_path: Path) -> None:
    for number, name in enumerate(["שער הכניסה.jpg", "IMG_2.jpg"]):
        photo(tmp_path / "photos" / name, number, lat=None)
    labels = tmp_path / "labels.csv"
    labels.write_bytes("image_name,lat,lon,place\nשער הכניסה.jpg,31,34,בניין 5\nIMG_2.jpg,31,34,דשא\n".encode("cp1255"))
    report = ingest(tmp_path / "photos", tmp_path / "ds", labels)
    assert report.taken_in == 2
    assert Dataset.load(tmp_path / "ds").column("place") == ["דשא", "בניין 5"]
