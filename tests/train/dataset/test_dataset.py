"""Datasets and label CSVs as people write them, and one clear line for what cannot be used."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.errors import DatasetError
from train.dataset.dataset import BASE_COLUMNS, Dataset, read_labels, truth

HEADER = "image_name,lat,lon,utm_x,utm_y,is_night,label\n"
ROWS = "a.jpg,31.262,34.803,671700,3460100,0,3\nb.jpg,31.2621,34.8031,671710,3460111,1,4\n"


def dataset(folder: Path, text: str = HEADER + ROWS, images: tuple[str, ...] = ("a.jpg", "b.jpg")) -> Path:
    (folder / "images").mkdir(parents=True)
    (folder / "gt.csv").write_text(text, "utf-8")
    for name in images:
        Image.new("RGB", (4, 4)).save(folder / "images" / name)
    return folder


def csv(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "labels.csv"
    path.write_bytes(text.encode(encoding))
    return path


def refusal(root: Path) -> str:
    with pytest.raises(DatasetError) as caught:
        Dataset.load(root)
    message = str(caught.value)
    assert "\n" not in message
    assert caught.value.remedy
    return message


def test_the_original_format_is_a_dataset_as_it_stands(tmp_path: Path) -> None:
    loaded = Dataset.load(dataset(tmp_path / "ds"))
    assert len(loaded) == 2
    assert tuple(loaded.table.columns) == BASE_COLUMNS
    assert loaded.names == ["a.jpg", "b.jpg"]
    assert [path.is_file() for path in loaded.image_paths] == [True, True]
    np.testing.assert_array_equal(loaded.latlon, [[31.262, 34.803], [31.2621, 34.8031]])
    assert loaded.latlon.dtype == np.float64
    np.testing.assert_array_equal(loaded.is_night, [False, True])
    assert loaded.is_night.dtype == np.bool_
    assert loaded.table["utm_x"].tolist() == [671700, 671710]
    assert loaded.column("label") == ["3", "4"]


def test_columns_that_are_absent_are_computed(tmp_path: Path) -> None:
    text = "Filename,Latitude,Longitude,Contributor,mood\na.jpg,31.262,34.803,7,good\nb.jpg,31.262,34.804,8,\n"
    loaded = Dataset.load(dataset(tmp_path / "ds", text))
    assert tuple(loaded.table.columns) == (*BASE_COLUMNS, "contributor", "mood")
    # utm.from_latlon(31.262, 34.803): zone 36
    assert loaded.table["utm_x"][0] == pytest.approx(671_646, abs=50)
    assert loaded.table["utm_x"][1] - loaded.table["utm_x"][0] == pytest.approx(95.2, abs=0.3)
    assert not loaded.is_night.any()
    assert loaded.has("contributor")
    assert not loaded.has("session")
    assert not loaded.has("label")
    assert loaded.column("mood") == ["good", ""]
    np.testing.assert_array_equal(loaded.numbers("contributor"), [7, 8])
    assert np.isnan(loaded.numbers("mood")).all()
    assert np.isnan(loaded.numbers("heading_deg")).all()
    with pytest.raises(DatasetError, match="mood"):
        loaded.column("weather")


def test_images_in_subfolders(tmp_path: Path) -> None:
    root = dataset(tmp_path / "ds", "image_name,lat,lon\nwalk/a.jpg,1,2\n", images=())
    (root / "images" / "walk").mkdir()
    Image.new("RGB", (4, 4)).save(root / "images" / "walk" / "a.jpg")
    assert Dataset.load(root).image_paths == [root / "images" / "walk" / "a.jpg"]


def test_missing_parts_are_named(tmp_path: Path) -> None:
    assert "none" in refusal(tmp_path / "none")
    (tmp_path / "bare").mkdir()
    assert "gt.csv" in refusal(tmp_path / "bare")
    (tmp_path / "bare" / "gt.csv").write_text(HEADER + ROWS)
    assert "images" in refusal(tmp_path / "bare")
    lacking = refusal(dataset(tmp_path / "lacking", images=("a.jpg",)))
    assert "1 of 2" in lacking
    assert "b.jpg" in lacking


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "empty"),
        ("\n \n", "empty"),
        (HEADER, "no rows"),
        ("image_name,lat\na.jpg,1\n", "lon"),
        ("image_name,lat,lon\na.jpg,nan,2\n", "row 2"),
        ("image_name,lat,lon\na.jpg,1,2\nb.jpg,91,2\n", "row 3 (b.jpg)"),
        ("image_name,lat,lon\na.jpg,1,2\nb.jpg,1,inf\n", "row 3 (b.jpg)"),
        ("image_name,lat,lon\na.jpg,1,2\nb.jpg,,\n", "row 3 (b.jpg)"),
        ("image_name,lat,lon\na.jpg,1,2\na.jpg,1,2\n", "row 3"),
        ("image_name,lat,lon\na.jpg,1,2\n,1,2\n", "row 3"),
        ("image_name,lat,lon\n../a.jpg,1,2\n", "outside"),
        ("image_name,lat,lon\n/etc/passwd,1,2\n", "outside"),
        ("image_name,lat,lon\n..\\a.jpg,1,2\n", "outside"),
        ("image_name,lat,lon,is_night\na.jpg,1,2,perhaps\n", "is_night"),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, text: str, named: str) -> None:
    assert named in refusal(dataset(tmp_path / "ds", text))


@pytest.mark.parametrize(
    "text",
    [
        "image_name,lat,lon\na.jpg,31.5,34.25\n",
        "Image_Name,LAT,Lon\na.jpg,31.5,34.25\n",
        "image_name, Latitude, Longitude\n a.jpg , 31.5 , 34.25 \n",
        "\ufeffimage_name,lat,lng\r\na.jpg,31.5,34.25\r\n",
        "lon;lat;image_name\n34,25;31,5;a.jpg\n",
        "image name\tlat\tlong\na.jpg\t31.5\t34.25\n",
        '"image_name","lat","lon"\n"a.jpg","31.5","34.25"\n\n\n',
        "image_name,lat,lon\na.jpg,31.5,34.25,,\n",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_labels_as_people_write_them(tmp_path: Path, text: str, encoding: str) -> None:
    table = read_labels(csv(tmp_path, text, encoding))
    assert table["image_name"].tolist() == ["a.jpg"]
    assert table["lat"].tolist() == [31.5]
    assert table["lon"].tolist() == [34.25]
    assert table["lat"].dtype == np.float64


def test_extra_columns_are_kept_as_text(tmp_path: Path) -> None:
    table = read_labels(csv(tmp_path, "image_name,lat,lon,Place,local_time\na.jpg,1,2,café,06:30\nb.jpg,1,2\n"))
    assert table["Place"].tolist() == ["café", ""]
    assert table["local_time"].tolist() == ["06:30", ""]
    latin = read_labels(csv(tmp_path, "image_name,lat,lon,Place\na.jpg,1,2,café\n", "cp1252"))
    assert latin["Place"].tolist() == ["café"]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "image_name"),
        ("image_name,contributor\na.jpg,3\n", "contributor"),
        ("lat,lon\n1,2\n", "image_name"),
        ("image_name,lat,lon,x,x\na.jpg,1,2,3,4\n", "two columns"),
        ("image_name,lat,lon\na.jpg,1,2,three\n", "row 2"),
        ("image_name,lat,lon\na.jpg,1,\0\n", "text file"),
    ],
)
def test_unusable_labels_name_the_reason(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(DatasetError, match=r"labels\.csv") as caught:
        read_labels(csv(tmp_path, text))
    assert named in str(caught.value)


def test_labels_that_are_no_file(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no such file"):
        read_labels(tmp_path / "none.csv")
    with pytest.raises(DatasetError, match="cannot be read"):
        read_labels(tmp_path)


def test_without_strict_bad_positions_are_nan(tmp_path: Path) -> None:
    table = read_labels(csv(tmp_path, "image_name,lat,lon\na,1,2\nb,95,2\nc,x,2\n"), strict=False)
    np.testing.assert_array_equal(table["lat"].to_numpy(), [1, np.nan, np.nan])
    np.testing.assert_array_equal(table["lon"].to_numpy(), [2, np.nan, np.nan])


def test_random_bytes_end_in_a_table_or_a_dataset_error(tmp_path: Path) -> None:
    rng = random.Random(0)
    good = ('image_name;lat;"lon"\n' + "a.jpg;1,5;2,5\n" * 5).encode()
    outcomes = {"table": 0, "refused": 0}
    for _ in range(400):
        bad = bytearray(good)
        for _ in range(rng.randint(0, 5)):
            bad[rng.randrange(len(bad))] = rng.randrange(256)
        (tmp_path / "x.csv").write_bytes(bytes(bad))
        try:
            rows = len(read_labels(tmp_path / "x.csv"))
        except DatasetError:
            outcomes["refused"] += 1
        else:
            outcomes["table"] += 1
            assert rows >= 1
    assert min(outcomes.values()) > 20


@pytest.mark.parametrize(
    ("value", "expected"),
    [("", False), ("0", False), ("False", False), (0, False), (0.0, False), ("1", True), ("TRUE", True),
     (1.0, True), (" yes ", True), ("perhaps", None), ("2", None)],
)  # fmt: skip
def test_truth(value: object, expected: bool | None) -> None:
    assert truth(value) is expected


def test_real_labels(campus_data: Path) -> None:
    assert len(read_labels(campus_data / "iiith" / "gt.csv")) == 246
    for folder, photos in (("bgu", 1264), ("bgu-positions", 3647)):
        bgu = read_labels(campus_data / folder / "gt.csv")
        assert len(bgu) == photos
        assert bgu["lat"].between(31.25, 31.27).all()


@pytest.mark.parametrize(
    "text", ['image_name,lat,lon\n"a\nb",nowhere,"1\n2"', '"na\nme",lat,lon\na,1,2', '"a\nb","a\nb"\n1,2']
)
def test_cells_of_several_lines_are_repeated_in_one(tmp_path: Path, text: str) -> None:
    (tmp_path / "gt.csv").write_text(text)
    with pytest.raises(DatasetError) as caught:
        read_labels(tmp_path / "gt.csv")
    assert str(caught.value).isprintable()
