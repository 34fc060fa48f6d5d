"""A campus of one walk: its photos are held out place by place, for there is no other session to answer them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from core.campus.bundle import Bundle
from tests import SLICE
from tests.small_backbones import CNN, small_backbone
from tests.train.test_way import train_cli
from train.dataset.dataset import Dataset

DAY, NIGHT = "spring-morning", "winter-night"


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
        for words in (
            ("ingest", folder / "photos", "--out", dataset, "--workers", 1),
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
