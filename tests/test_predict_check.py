"""`predict.py --check` tells the photos that a campus was made of from new ones."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from core.campus.bundle import Bundle, save_bundle
from core.locate.localizer import Localizer
from predict import check
from tests.train.grow.walks import scattered, write_walks
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


def test_a_campus_that_does_not_tell_its_photos_gives_one_line(
    pristine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = write_walks(tmp_path / "photos", {"a": scattered(3, 1)})
    assert check(photos / "gt.csv", photos / "images", Localizer.load(pristine)) == 0
    assert len(capsys.readouterr().err.splitlines()) == 1
