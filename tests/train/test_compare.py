from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from core.campus.manifest import Calibration
from core.campus.parameters import PosteriorParams
from core.engines.heads import Heads
from core.errors import CampusError
from core.network.backbones import pooled_widths
from core.network.campus_net import CampusNet
from core.network.net_config import NetConfig
from tests import SLICE
from tests.small_backbones import CNN, small_backbone
from tests.train.bundle.test_held_out import make_net, make_sessions, of_sessions
from tests.train.fit.training_sets import SIZE
from tests.train.harness import train_cli
from train.bundle.calibrate import positions_off_m
from train.bundle.held_out import HeldOut, cross_fitted, held_out_split
from train.bundle.make import Run
from train.bundle.parts import OFF_CAMPUS_SHARE, fitted_and_calibrated, ground_of
from train.compare import (
    Answers,
    _answers,
    halves,
    row,
    table,
    trained_answers,
    untrained_answers,
    way_config,
    whitened_answers,
)
from train.dataset.dataset import Dataset
from train.dataset.split import SplitConfig, groups_of, split_dataset
from train.fit.recipes.campus import CampusConfig
from train.protocol import figures


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


@pytest.mark.parametrize("whiten", [True, False])
def test_whitened_and_soft_answer_calibration_photos_alone_as_other_ways_do(whiten: bool, tmp_path: Path) -> None:
    task, net = make_sessions(tmp_path, 3), make_net()
    features = np.random.default_rng(0).normal(0, 1, (88, sum(pooled_widths(net.config)))).astype(np.float32)
    asked = task.rows["calibration"]
    answers = whitened_answers(net, task, "calibration", features, whiten)
    assert len(answers.error_m) == len(asked) == 16
    assert answers.night.sum() == task.dataset.is_night[asked].sum() == 4
    other = untrained_answers("middle", task, "calibration", None)
    assert len(other.error_m) == len(answers.error_m)

    fitted = cross_fitted(net, task, features, whiten)
    ground = ground_of(task, fitted.rows)
    params, _ = fitted_and_calibrated(fitted, ground, task)
    all_m = np.concatenate([positions_off_m(part, ground, params) for part in fitted.held_out])
    assert np.sort(answers.error_m) == pytest.approx(np.sort(all_m[np.isin(fitted.asked_rows, asked)]))


@pytest.mark.parametrize(("calibrated", "told"), [(60, [True, False, False]), (10, [False, False, False])])
def test_a_refused_photo_claims_no_place_and_one_that_may_be_of_elsewhere_no_clear_one(
    calibrated: int, told: list[bool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in the app and in `evaluate`: a photo unlike its campus claims nothing, however narrow."""
    read = np.array([1.0, 90.0, 90.0]), np.full((3, 2), 5.0), np.zeros(3)
    monkeypatch.setattr("train.bundle.calibrate.readings", lambda *_: read)
    scores = np.array([[0.5], [2.0], [3.0]], np.float32)
    found = HeldOut(Heads(np.zeros((3, 2), np.float32), ood_score=scores), np.zeros((3, 2)), None)
    calibration = Calibration(
        photos=calibrated,
        radius_at_m=(5.0,),
        radius68_factors=(1.0,),
        radius95_factors=(2.0,),
        ood_quantiles=tuple(np.linspace(0, 1, 101)),
    )
    task = make_sessions(tmp_path, 3)
    answers = _answers(found, ground_of(task, task.rows["train"]), PosteriorParams(), calibration, task, np.arange(3))
    assert answers.clear.tolist() == told
    known = figures(answers, np.ones(3, np.bool_))
    assert (known["clear"], known["misleading"]) == (sum(told) / 3, 0.0)


def test_a_trained_way_tells_other_places_as_its_bundle_would(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = make_sessions(tmp_path, 3)
    asked: list[Heads] = []
    monkeypatch.setattr("train.compare._calibrated_answers", lambda _task, heads, *_rows: asked.append(heads))
    net = CampusNet(NetConfig(backbone=CNN, image_size=SIZE, embedding=8)).eval()
    trained_answers(cast(Run, SimpleNamespace(task=task, net=net, fit=SimpleNamespace(recipe="campus"))), "test")
    (heads,) = asked
    known = held_out_split(net, task).held_out[0].heads
    assert heads.ood_score is not None
    assert heads.at(task.rows["calibration"]).own_ood_score == pytest.approx(known.own_ood_score, abs=1e-4)


def test_a_whitened_network_is_calibrated_to_refuse_as_many_as_its_bundle(tmp_path: Path) -> None:
    task, net = make_sessions(tmp_path, 3), make_net()
    features = np.random.default_rng(0).normal(0, 1, (88, sum(pooled_widths(net.config)))).astype(np.float32)
    fitted = cross_fitted(net, task, features)
    _, calibration = fitted_and_calibrated(fitted, ground_of(task, fitted.rows), task)
    assert calibration.off_campus_share == OFF_CAMPUS_SHARE


@pytest.mark.parametrize(("gain", "said"), [(1.0, []), (0.998, []), (0.93, ["7 % narrower than held-out sessions"])])
def test_radii_that_a_further_session_makes_no_narrower_are_not_told_of(
    gain: float, said: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    task, net = make_sessions(tmp_path, 3), make_net()
    features = np.random.default_rng(0).normal(0, 1, (88, sum(pooled_widths(net.config)))).astype(np.float32)
    fitted = cross_fitted(net, task, features)
    monkeypatch.setattr("train.bundle.parts.session_gain", lambda *_: gain)
    caplog.set_level("INFO")
    fitted_and_calibrated(fitted, ground_of(task, fitted.rows), task)
    told = [message for message in caplog.messages if "68 % radii" in message]
    assert len(told) == len(said)
    assert all(one in message for one, message in zip(said, told, strict=True))


def test_a_session_without_calibration_photos_answers_nothing(tmp_path: Path) -> None:
    task, net = make_sessions(tmp_path, 3), make_net()
    task = replace(task, rows={**task.rows, "calibration": task.rows["calibration"][::3]})  # all of one session
    features = np.random.default_rng(0).normal(0, 1, (88, sum(pooled_widths(net.config)))).astype(np.float32)
    assert len(whitened_answers(net, task, "calibration", features).error_m) == 6


def test_halves_that_calibrate_each_other_share_no_session_or_no_standpoint(tmp_path: Path) -> None:
    by_turns = make_sessions(tmp_path, 5)
    rows = by_turns.rows["calibration"]
    sessions = np.array(by_turns.dataset.column("session"))[rows]
    half = halves(by_turns, rows)
    assert abs(int(half.sum()) - int((~half).sum())) <= 4
    assert not set(sessions[half]) & set(sessions[~half])

    one = of_sessions(tmp_path, ["walk"] * 32 + ["earlier"] * 32 + ["later"] * 24)  # has all calibration photos
    table = one.dataset.table.copy()
    table.loc[1::2, ["lat", "lon"]] = table.loc[::2, ["lat", "lon"]].to_numpy()  # each place has two photos
    one = replace(one, dataset=replace(one.dataset, table=table))
    half = halves(one, rows)
    places = groups_of(one.dataset, "standpoint")[rows]
    assert abs(int(half.sum()) - int((~half).sum())) <= 4
    assert not set(places[half]) & set(places[~half])
    assert np.array_equal(half, halves(one, rows))


@pytest.mark.parametrize("folds", [0, 1])
def test_one_fold_is_none(folds: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert train_cli(monkeypatch, "compare", "nowhere", "--folds", folds, "--group-by", "standpoint") == 2
    assert capsys.readouterr().err.strip() == f"error: --folds {folds}: must be at least 2"


@pytest.mark.slow
def test_ways_are_compared_on_the_same_folds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    photos, dataset = tmp_path / "photos", tmp_path / "dataset"
    for session in ("spring-morning", "test-evening", "winter-night"):
        shutil.copytree(SLICE / session, photos / session)
    assert train_cli(monkeypatch, "ingest", photos, "--out", dataset, "--workers", 1) == 0
    _, backbone, _, weights = small_backbone(CNN, 64, tmp_path / "weights.pth")
    folds = ("--folds", 2, "--group-by", "standpoint")
    small = (
        *folds,
        "--image-size",
        64,
        "--epochs",
        1,
        "--backbone",
        backbone,
        "--weights",
        weights,
        "--pooling",
        "gem",
    )
    ways = ("--ways", "middle", "raw", "original", "campus:least_steps=0,frozen_stages=2")
    figures = tmp_path / "figures.json"
    assert train_cli(monkeypatch, "compare", dataset, *ways, *small, "--json", figures) == 0
    found = json.loads(figures.read_text())
    count = len(list((dataset / "images").iterdir()))
    assert [way["n"] for way in found["ways"]] == [count] * 4
    assert len({round(way["mean_m"], 3) for way in found["ways"]}) == 4
    assert found["ways"][3]["coverage68"] is not None
    assert "test photos, split 2 folds by standpoint" in capsys.readouterr().out

    # To choose by: each fold's calibration photos, every one answered once, by what the other half was calibrated on.
    ways = ("--ways", "middle", "campus:least_steps=0", "--on", "calibration")
    assert train_cli(monkeypatch, "compare", dataset, *ways, *small, "--json", figures) == 0
    chosen = json.loads(figures.read_text())
    out = capsys.readouterr().out
    parts = [split_dataset(Dataset.load(dataset), SplitConfig("standpoint", fold=(index, 2))) for index in (1, 2)]
    assert {way["n"] for way in chosen["ways"]} == {sum(len(part.of("calibration")) for part in parts)} != {count}
    assert (chosen["on"], "calibration photos, split 2 folds" in out) == ("calibration", True)
    assert chosen["ways"][1]["coverage68"] is not None

    assert train_cli(monkeypatch, "compare", dataset, "--ways", "campus:epoch=1", *small) == 2
    assert train_cli(monkeypatch, "compare", dataset) == 2
    assert "was not split" in capsys.readouterr().err
