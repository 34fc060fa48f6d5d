from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from core.errors import CampusError
from tests import SLICE
from tests.small_backbones import CNN, small_backbone
from tests.train.test_way import train_cli
from train.compare import Answers, row, table, way_config
from train.dataset.dataset import Dataset
from train.dataset.split import SplitConfig, split_dataset
from train.fit.recipes.campus import CampusConfig


def test_a_way_is_a_recipe_with_constants_changed() -> None:
    config = way_config("campus:retrieval_loss_weight=0,epochs=3", {"image_size": 64}, photos=2_000)
    assert isinstance(config, CampusConfig)
    assert (config.retrieval_loss_weight, config.epochs, config.image_size) == (0.0, 3, 64)
    for wrong in ("campsu", "campus:no_such_field=1", "campus:epochs=many"):
        with pytest.raises(CampusError, match="way"):
            way_config(wrong, {}, photos=1)


def test_figures_are_those_of_the_photos() -> None:
    night = np.array([False, False, True])
    answers = Answers.of(
        np.array([1.0, 3.0, 11.0]), night, radius68_m=np.array([2.0, 2.0, 12.0]), radius95_m=np.full(3, 20.0)
    )
    both = Answers.joined([answers, Answers.of(np.array([5.0]), np.array([False]))])
    figures = row("this", both, 60.0)
    assert (figures["n"], figures["mean_m"], figures["median_m"]) == (4, 5.0, 4.0)
    assert (figures["day_mean_m"], figures["night_mean_m"]) == (3.0, 11.0)
    assert figures["coverage68"] == pytest.approx(2 / 3)  # of the photos that have a radius
    assert figures["heading_median_off_deg"] is None
    assert "| `this` | 4 | 5.0 | 4.0 |" in table([figures])


@pytest.mark.slow
def test_ways_are_compared_on_the_same_folds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    photos, dataset = tmp_path / "photos", tmp_path / "dataset"
    for session in ("spring-morning", "test-evening", "winter-night"):
        shutil.copytree(SLICE / session, photos / session)
    assert train_cli(monkeypatch, "ingest", photos, "--out", dataset, "--workers", 1) == 0
    _, backbone, _, weights = small_backbone(CNN, 64, tmp_path / "weights.pth")
    network = f"backbone={backbone},weights={weights}"
    small = ("--folds", 2, "--group-by", "standpoint", "--image-size", 64, "--epochs", 1)
    ways = ("--ways", "middle", "raw", f"original:{network}", f"campus:least_steps=0,{network}")
    figures = tmp_path / "figures.json"
    assert train_cli(monkeypatch, "compare", dataset, *ways, *small, "--json", figures) == 0
    found = json.loads(figures.read_text())
    count = len(list((dataset / "images").iterdir()))
    assert [way["n"] for way in found["ways"]] == [count] * 4
    assert len({round(way["mean_m"], 3) for way in found["ways"]}) == 4
    assert found["ways"][3]["coverage68"] is not None
    assert "test photos, split 2 folds by standpoint" in capsys.readouterr().out

    # To choose by: each fold's calibration photos, every one answered once, by what the other half was calibrated on.
    ways = ("--ways", "middle", f"campus:least_steps=0,{network}", "--on", "calibration")
    assert train_cli(monkeypatch, "compare", dataset, *ways, *small, "--json", figures) == 0
    chosen = json.loads(figures.read_text())
    out = capsys.readouterr().out
    folds = [split_dataset(Dataset.load(dataset), SplitConfig("standpoint", fold=(index, 2))) for index in (1, 2)]
    assert {way["n"] for way in chosen["ways"]} == {sum(len(fold.of("calibration")) for fold in folds)} != {count}
    assert (chosen["on"], "calibration photos, split 2 folds" in out) == ("calibration", True)
    assert chosen["ways"][1]["coverage68"] is not None

    assert train_cli(monkeypatch, "compare", dataset, "--ways", "campus:epoch=1", *small) == 2
    assert train_cli(monkeypatch, "compare", dataset) == 2
    assert "was not split" in capsys.readouterr().err
