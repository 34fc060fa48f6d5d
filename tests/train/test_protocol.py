from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests import SLICE
from tests.train.test_way import train_cli
from train.compare import Answers
from train.dataset.dataset import Dataset
from train.protocol import bursts, figures, resampled


def test_photos_of_a_session_within_seconds_are_one_burst() -> None:
    seconds = [0, 5, 16, 60, 61, 5]
    times = [f"2025-01-01T10:{second // 60:02d}:{second % 60:02d}" for second in seconds]
    dataset = Dataset(Path(), pd.DataFrame({"image_name": list("abcdef"), "local_time": times}), Path())
    found = bursts(dataset, np.array(["s", "s", "s", "s", "s", "t"]))
    assert len(set(found[:3])) == 1  # 5 and 11 s apart
    assert len({found[0], found[3], found[5]}) == 3
    assert found[3] == found[4]
    timeless = Dataset(Path(), pd.DataFrame({"image_name": list("abc")}), Path())
    assert bursts(timeless, np.array(["s", "t", "s"])).tolist() == [0, 1, 0]


def test_intervals_are_as_wide_as_there_are_few_bursts() -> None:
    error_m = np.repeat(np.random.default_rng(0).exponential(20, 40), 5)
    few, many = (resampled(error_m, burst)[0] for burst in (np.repeat(np.arange(40), 5), np.arange(200)))
    assert few[0] < error_m.mean() < few[1]
    assert few[1] - few[0] > 1.7 * (many[1] - many[0])  # 5 copies: the root of 5 wider


def test_an_answer_misleads_that_claims_a_clear_place_far_away() -> None:
    answers = Answers.of(
        np.array([1.0, 31.0, 31.0, 5.0]),
        np.zeros(4, np.bool_),
        np.array([True, True, False, True]),
        radius68_m=np.full(4, 10.0),
        radius95_m=np.full(4, 40.0),
    )
    found = figures(answers, np.ones(4, np.bool_))
    assert found["misleading"] == 0.25
    assert found["clear"] == 0.75
    assert (found["coverage68"], found["coverage95"]) == (0.5, 1.0)


@pytest.mark.slow
def test_the_protocol_is_no_worse_whitened_than_untrained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rendered photos, six sessions known and two held out: the claim that training must not cost anything."""
    photos, dataset = tmp_path / "photos", tmp_path / "dataset"
    shutil.copytree(SLICE, photos)
    assert train_cli(monkeypatch, "ingest", photos, "--out", dataset, "--workers", 1) == 0
    held_out = ("--hold-out", "test-evening,test-night")
    wanted = ("--ways", "middle", "centred", "whitened", "--image-size", 128, "--json", tmp_path / "found.json")
    assert train_cli(monkeypatch, "protocol", dataset, *held_out, *wanted) == 0
    found = json.loads((tmp_path / "found.json").read_text())
    middle, centred, whitened = (way["parts"] for way in found["ways"])
    assert list(whitened)[:2] == ["all", "test-evening + test-night"]
    assert whitened["all"]["mean_m"] <= centred["all"]["mean_m"]
    assert whitened["all"]["mean_m"] < 0.8 * middle["all"]["mean_m"]
    assert whitened["all"]["coverage95"] is not None
    assert centred["all"]["coverage95"] is None
    assert "| `whitened` |" in capsys.readouterr().out
