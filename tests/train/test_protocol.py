from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

import train.compare
import train.protocol
from core.errors import DatasetError
from tests import SLICE
from tests.train.harness import train_cli
from train.compare import Answers
from train.dataset.dataset import Dataset
from train.evaluate.sequences import BURST_GAP_S, bursts, times_s
from train.fit.recipes import DEFAULT_RECIPE, new_config
from train.protocol import Measured, add_arguments, chain_numbers, figures, fold_configs, markdown, report, resampled


def test_photos_of_a_session_within_seconds_are_one_chain() -> None:
    seconds = [0, 5, 16, 60, 61, 5]
    times = [f"2025-01-01T10:{second // 60:02d}:{second % 60:02d}" for second in seconds]
    dataset = Dataset(Path(), pd.DataFrame({"image_name": list("abcdef"), "local_time": times}), Path())
    found = chain_numbers(dataset, np.array(["s", "s", "s", "s", "s", "t"]))
    assert len(set(found[:3])) == 1  # 5 and 11 s apart
    assert len({found[0], found[3], found[5]}) == 3
    assert found[3] == found[4]
    timeless = Dataset(Path(), pd.DataFrame({"image_name": list("abc")}), Path())
    assert chain_numbers(timeless, np.array(["s", "t", "s"])).tolist() == [0, 1, 0]


def of_times(times: Sequence[str], **columns: Sequence[str]) -> Dataset:
    names = [f"{row}.jpg" for row in range(len(times))]
    table = pd.DataFrame({"image_name": names, "is_night": 0, "local_time": times, **columns})
    return Dataset(Path(), table, Path())


def test_a_chain_is_one_walker_s_and_no_burst_that_ends_after_half_a_minute() -> None:
    """The unit of the intervals: photos of one walk share their error for as long as they follow each other."""
    times = [f"2025-01-01T10:00:{second:02d}" for second in range(0, 60, 10)]
    dataset, group = of_times(times), np.full(6, "s")
    assert len(set(chain_numbers(dataset, group))) == 1
    assert len(bursts(times_s(dataset), BURST_GAP_S)) == 2
    answers = Answers.of(np.ones(6), np.zeros(6, np.bool_))
    found = report(dataset, ["s"], group, [Measured("middle", np.arange(6), np.zeros(6, np.int64), answers)])
    assert found["chains"] == 1
    assert "intervals, by chains." in markdown(found)
    two = of_times(times, phone=["A", "B"] * 3)  # at once, each every 20 s
    assert len(set(chain_numbers(two, group))) == 6


def test_an_hour_without_a_date_tells_chains_also_after_a_space() -> None:
    """Times that people typed into a table: pandas took one of them for the year 1, which is out of its range."""
    found = chain_numbers(of_times([" 17:51", "7:51", "17:51:09", "", "17:52"]), np.full(5, "s"))
    assert found[0] == found[2]
    assert len(set(found)) == 4


def test_intervals_are_as_wide_as_there_are_few_chains() -> None:
    error_m = np.repeat(np.random.default_rng(0).exponential(20, 40), 5)
    few, many = (resampled(error_m, chain)[0] for chain in (np.repeat(np.arange(40), 5), np.arange(200)))
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


def asked_for(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(["dataset", *words])


def write_dataset(root: Path) -> Path:
    """Three sessions of three photos, of which nothing is ever decoded; the last session is by night."""
    (root / "images").mkdir(parents=True)
    rows = ["image_name,lat,lon,is_night,session"]
    for index in range(9):
        (root / "images" / f"{index}.jpg").touch()
        rows.append(f"{index}.jpg,47.{index},8.4,{index // 6},{'ABC'[index // 3]}")
    (root / "gt.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return root


def test_a_part_without_held_out_photos_is_left_out(tmp_path: Path) -> None:
    dataset = Dataset.load(write_dataset(tmp_path))
    rows, fold = np.arange(3), np.zeros(3, np.int64)
    answers = Answers.of(np.arange(3.0), dataset.is_night[rows])
    found = report(dataset, ["A"], np.array(dataset.column("session")), [Measured("middle", rows, fold, answers)])
    assert list(found["ways"][0]["parts"]) == ["all", "A", "day"]
    assert "| way | all (3) | A (3) | day (3) |" in markdown(found)


def test_phones_that_a_fold_knows_are_told_apart_from_others(tmp_path: Path) -> None:
    """Phone `new` took session C alone, so where C is held out nothing of it is left."""
    dataset = Dataset.load(write_dataset(tmp_path))
    table = dataset.table.assign(phone=["one", "two", "one", "two", "one", "two", "new", "new", "new"])
    dataset = Dataset(dataset.root, table, dataset.images)
    rows, fold = np.arange(9), np.repeat(np.arange(3), 3)
    error_m = np.where(rows < 6, 1.0, 7.0)
    measured = Measured("middle", rows, fold, Answers.of(error_m, dataset.is_night))
    group = np.array(dataset.column("session"))
    told = report(dataset, ["A", "B", "C"], group, [measured])["ways"][0]["parts"]
    assert (told["same phone"]["n"], told["same phone"]["mean_m"]) == (6, 1.0)
    assert (told["other phone"]["n"], told["other phone"]["mean_m"]) == (3, 7.0)
    first = Measured("middle", rows[:3], fold[:3], Answers.of(error_m[:3], dataset.is_night[:3]))
    assert "same phone" not in report(dataset, ["A"], group, [first])["ways"][0]["parts"]  # it would repeat `all`


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--hold-out", "A", "--hold-out", "A,B"), "session A is held out by two folds"),
        (("--hold-out", "A", "--hold-out", "A"), "session A is held out by two folds"),
        (("--hold-out", "A", "--folds", "3"), "--hold-out names the folds"),
        (("--folds", "0"), "--folds 0: at least two"),
    ],
)
def test_folds_that_contradict_each_other_are_refused(words: tuple[str, ...], message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        fold_configs(asked_for(*words))


@pytest.mark.parametrize("command", [train.protocol, train.compare], ids=["protocol", "compare"])
def test_what_fit_makes_is_measured_at_the_picture_size_that_it_takes(command: ModuleType) -> None:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    args = parser.parse_args(["dataset"])
    assert args.image_size == new_config(DEFAULT_RECIPE).image_size
    assert DEFAULT_RECIPE in args.ways


def test_folds_are_those_that_are_named_or_counted() -> None:
    named = fold_configs(asked_for("--hold-out", "A", "--hold-out", "C,B"))
    assert {name: config.test for name, config in named.items()} == {"A": ("A",), "C + B": ("C", "B")}
    assert [config.fold for config in fold_configs(asked_for()).values()] == [(index, 5) for index in range(1, 6)]
    assert [config.fold for config in fold_configs(asked_for("--folds", "2")).values()] == [(1, 2), (2, 2)]


@pytest.mark.parametrize("file", ["a file/found.json", "a folder"])
@pytest.mark.parametrize("command", ["protocol", "compare"])
def test_figures_that_could_not_be_written_are_not_measured(
    command: str, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    measured: list[object] = []
    for module in ("train.protocol", "train.compare"):
        monkeypatch.setattr(f"{module}.answers_of", lambda *words: measured.append(words))
    dataset = write_dataset(tmp_path / "dataset")
    (tmp_path / "a file").touch()
    (tmp_path / "a folder").mkdir()
    words = ("--ways", "middle", "--folds", 3, "--group-by", "session", "--json", tmp_path / file)
    assert train_cli(monkeypatch, command, dataset, *words) == 2
    assert not measured
    (told,) = capsys.readouterr().err.splitlines()
    assert file in told


def test_a_folder_without_strangers_is_found_before_the_ways_are_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(train.protocol, "measure", lambda *_: pytest.fail("measured"))
    dataset = write_dataset(tmp_path / "dataset")
    assert train_cli(monkeypatch, "protocol", dataset, "--folds", 3, "--strangers", tmp_path / "nowhere") == 2
    assert "nowhere: holds no photos" in capsys.readouterr().err


def test_a_stranger_s_damaged_photo_does_not_cost_the_figures_of_the_ways(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(*_: object) -> None:
        raise DatasetError("damaged")

    def instantly(dataset: Dataset, _folds: object, way: str, _common: object) -> Measured:
        answers = Answers.of(np.ones(len(dataset)), dataset.is_night)
        return Measured(way, np.arange(len(dataset)), np.repeat(np.arange(3), 3), answers)

    monkeypatch.setattr(train.protocol, "measure", instantly)
    monkeypatch.setattr(train.protocol, "refused_shares", damaged)
    dataset, file = write_dataset(tmp_path / "dataset"), tmp_path / "found.json"
    words = ("--folds", 3, "--ways", "middle", "--ood", dataset, "--json", file)
    assert train_cli(monkeypatch, "protocol", dataset, *words) == 2
    assert json.loads(file.read_text())["ways"][0]["parts"]["all"]["mean_m"] == 1


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
