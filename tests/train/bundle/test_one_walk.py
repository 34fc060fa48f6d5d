"""A campus of one walk by the default recipe: its photos are held out place by place, for want of another session."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.campus.bundle import Bundle
from core.campus.needs import needs_of
from tests import SLICE
from tests.small_backbones import CNN, small_backbone
from tests.train.harness import train_cli
from train.dataset.dataset import Dataset
from train.dataset.split import Splits
from train.evaluate.breakdown import gallery_rows

DAY, NIGHT = "spring-morning", "winter-night"

pytestmark = pytest.mark.slow  # a bundle from photos on


@pytest.fixture(scope="module")
def one_walk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `dataset`, whose photos by day and by night are all of one session, and its whitened `bundle`."""
    folder = tmp_path_factory.mktemp("one-walk")
    (folder / "photos" / "walk").mkdir(parents=True)
    for light in (DAY, NIGHT):
        for photo in (SLICE / light).iterdir():
            shutil.copy(photo, folder / "photos" / "walk" / f"{light}-{photo.name}")
    dataset, run = folder / "dataset", folder / "run"
    network = (*small_backbone(CNN, 64, folder / "weights.pth"), "--image-size", 64)
    with pytest.MonkeyPatch.context() as patch:
        assert train_cli(patch, "ingest", folder / "photos", "--out", dataset, "--workers", 1) == 0
        table = Dataset.load(dataset).table.assign(session="walk")  # `ingest` sees a pause between day and night
        table.to_csv(dataset / "gt.csv", index=False)
        for words in (
            ("split", dataset, "--group-by", "standpoint"),
            ("fit", dataset, "--out", run, *network),
            ("bundle", run, "--out", folder / "bundle", "--no-second-look"),
        ):
            assert train_cli(patch, *words) == 0, words
    return folder


def test_one_walk_goes_all_the_way(one_walk: Path) -> None:
    assert len(set(Dataset.load(one_walk / "dataset").column("session"))) == 1
    manifest = Bundle.load(one_walk / "bundle").manifest
    photos = manifest.training.photos
    assert manifest.training.split.startswith("by standpoint")
    assert manifest.calibration.photos == photos["train"] + photos["calibration"]  # each was answered once
    assert np.isfinite(manifest.calibration.radius68_factors).all()
    assert manifest.cpu_model == "model.onnx", "what all else was fitted to"


def test_the_report_knows_the_photos_of_a_gallery_that_holds_calibration_photos_too(
    one_walk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle, dataset = Bundle.load(one_walk / "bundle"), Dataset.load(one_walk / "dataset")
    splits = Splits.load(dataset.root)
    assert splits is not None
    rows = gallery_rows(dataset, splits, bundle)
    assert rows is not None
    assert [dataset.names[row] for row in rows] == [*splits.of("train"), *splits.of("calibration")]
    moved = dataset.table.assign(lat=dataset.table["lat"] + 1e-3)
    assert gallery_rows(replace(dataset, table=moved), splits, bundle) is None

    words = ("--json", tmp_path / "metrics.json", "--report", tmp_path / "report")
    assert train_cli(monkeypatch, "evaluate", bundle.path, dataset.root, *words) == 0
    assert 'alt="training photo ' in (tmp_path / "report" / "report.html").read_text()
    told = json.loads((tmp_path / "metrics.json").read_text())
    assert told["baselines"].keys() == {"nearest_neighbour"}  # whitened features say nothing by a regression
    needs = told["photo_needs"]
    assert {need["place"].rpartition(", by ")[2] for need in needs} == {"day", "night"}
    assert {need.light for need in needs_of(bundle)} == {"day", "night"}
