"""`predict.py --check` tells the photos that a campus was made of from new ones."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from core.campus.bundle import Bundle, save_bundle
from core.campus.seen import photo_digest
from core.errors import DatasetError
from core.locate.localizer import Localizer
from predict import check, table_row
from tests.bundles import photo
from tests.train.grow.walks import FRAME, scattered, write_walks
from train.dataset.dataset import Dataset
from train.dataset.ingest import ingest
from train.grow.arrivals import read_arrivals
from train.grow.refresh import refreshed


def test_photos_that_a_campus_was_made_of_have_a_mean_of_their_own(
    pristine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = write_walks(tmp_path / "photos", {"old": scattered(6, 1), "new": scattered(4, 2, off_m=60.0)})
    old = write_walks(tmp_path / "old", {"old": scattered(6, 1)})
    bundle = Bundle.load(pristine)
    result = refreshed(bundle, read_arrivals(old, bundle.manifest.image_size))
    save_bundle(tmp_path / "campus", result.manifest, result.files)
    assert check(photos / "gt.csv", photos / "images", Localizer.load(tmp_path / "campus")) == 0
    told = capsys.readouterr()
    lines = told.err.splitlines()
    assert [line.split(",")[0] for line in lines] == ["10 photos", "6 that this campus was made of", "4 new to it"]
    means = [float(re.findall(r"mean error ([\d.]+)", line)[0]) for line in lines]
    errors = [float(row["error_m"]) for row in csv.DictReader(told.out.splitlines())]
    assert means == pytest.approx([sum(errors) / 10, sum(errors[:6]) / 6, sum(errors[6:]) / 4], abs=0.006)
    assert means[1] < 0.5 * means[2]


def ingested(tmp_path: Path) -> Path:
    """The folder of a phone's six photos, of which `tmp_path`/dataset is made."""
    phone = tmp_path / "phone"
    phone.mkdir()
    for index in range(6):
        (phone / f"{index}.jpg").write_bytes(photo(east_m=8.0 * index, north_m=20.0, frame=FRAME, view=index))
    ingest(phone, tmp_path / "dataset")
    return phone


def test_originals_are_known_by_the_dataset_that_was_made_of_them(
    pristine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ingest writes every photo anew, so its file in the dataset has another hash than the phone's own."""
    phone = ingested(tmp_path)
    dataset, bundle = Dataset.load(tmp_path / "dataset"), Bundle.load(pristine)
    assert dataset.source_digests() == [photo_digest(phone / source) for source in dataset.column("source")]
    result = refreshed(bundle, read_arrivals(tmp_path / "dataset", bundle.manifest.image_size))
    grown = save_bundle(tmp_path / "campus", result.manifest, result.files)
    labels = tmp_path / "labels.csv"
    rows = zip(dataset.column("source"), dataset.latlon.tolist(), strict=True)
    labels.write_text("image_name,lat,lon\n" + "".join(f"{name},{lat},{lon}\n" for name, (lat, lon) in rows))
    for table, images in ((labels, phone), (tmp_path / "dataset" / "gt.csv", tmp_path / "dataset" / "images")):
        assert check(table, images, Localizer.load(grown.path)) == 0
        told = capsys.readouterr().err.splitlines()
        assert told[1].startswith("6 that this campus was made of")
        assert told[2] == "0 new to it"
    with pytest.raises(DatasetError, match="6 are in this campus already"):
        refreshed(grown, read_arrivals(phone, bundle.manifest.image_size))


def test_a_refresh_with_the_originals_knows_the_dataset_that_was_made_of_them(
    pristine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    phone = ingested(tmp_path)
    bundle = Bundle.load(pristine)
    result = refreshed(bundle, read_arrivals(phone, bundle.manifest.image_size))
    grown = save_bundle(tmp_path / "campus", result.manifest, result.files)
    assert check(tmp_path / "dataset" / "gt.csv", tmp_path / "dataset" / "images", Localizer.load(grown.path)) == 0
    assert capsys.readouterr().err.splitlines()[2] == "0 new to it"


def test_a_campus_that_does_not_tell_its_photos_gives_one_line(
    pristine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = write_walks(tmp_path / "photos", {"a": scattered(3, 1)})
    assert check(photos / "gt.csv", photos / "images", Localizer.load(pristine)) == 0
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_damaged_photo_is_counted_and_the_others_are_measured(
    pristine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = write_walks(tmp_path / "photos", {"a": scattered(4, 1)})
    first, second, *_ = sorted((photos / "images").iterdir())
    first.write_bytes(b"\xff\xd8 damaged")
    second.unlink()
    assert check(photos / "gt.csv", photos / "images", Localizer.load(pristine)) == 2
    told = capsys.readouterr()
    assert len(list(csv.DictReader(told.out.splitlines()))) == 2
    missing, unreadable, summary = told.err.splitlines()
    assert missing.startswith(f"error: {second}: ")
    assert unreadable.startswith(f"error: {first}: ")
    assert summary.startswith("2 photos, ")
    assert summary.endswith(", 1 missing, 1 unreadable")


def test_a_refused_photo_has_no_radius_in_any_table(
    pristine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    localizer = Localizer.load(pristine)
    (tmp_path / "far.png").write_bytes(photo("elsewhere", format="PNG"))
    (tmp_path / "gt.csv").write_text("image_name,lat,lon\nfar.png,47,8\n")
    assert check(tmp_path / "gt.csv", tmp_path, localizer) == 0
    (row,) = csv.DictReader(capsys.readouterr().out.splitlines())
    assert row["radius68_m"] == ""
    line = table_row("far.png", localizer.locate(tmp_path / "far.png"))
    assert re.fullmatch(r"far\.png +[\d.]+ +[\d.]+ +– +– +.+ \(does not look like this campus\)", line)
