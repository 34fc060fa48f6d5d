from __future__ import annotations

import argparse
import re
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import train.__main__
from core.campus.frame import LocalFrame
from core.cli.run import run_cli
from core.errors import DatasetError
from train.dataset.dataset import Dataset
from train.dataset.split import (
    SPLITS,
    STANDPOINT_RADIUS_M,
    SplitConfig,
    Splits,
    add_split_arguments,
    assign,
    config_of,
    groups_of,
    nearest_training_m,
    split_dataset,
    split_or_load,
    standpoints,
)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """60 photos by 12 people at 20 places, 15 at night."""
    frame = LocalFrame.about(47.0, 8.4)
    spots = np.random.default_rng(0).uniform(-150, 150, (20, 2))
    (tmp_path / "images").mkdir()
    rows = ["image_name,lat,lon,person,is_night"]
    for index in range(60):
        Image.new("RGB", (8, 8)).save(tmp_path / "images" / f"{index}.jpg")
        lat, lon = frame.to_latlon(spots[index % 20])
        rows.append(f"{index}.jpg,{lat},{lon},p{index % 12},{int(index % 4 == 3)}")
    (tmp_path / "gt.csv").write_text("\n".join(rows))
    return Dataset.load(tmp_path)


@pytest.mark.parametrize("group_by", ["person", "standpoint", None])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_no_photo_and_no_group_stands_in_two_splits(dataset: Dataset, group_by: str, seed: int) -> None:
    splits = split_dataset(dataset, SplitConfig(group_by, seed=seed))
    groups = groups_of(dataset, group_by)
    named = [set(splits.of(split)) for split in SPLITS]
    grouped = [set(groups[splits.indices(dataset, split)].tolist()) for split in SPLITS]
    for sets in (named, grouped):
        assert all(sets)
        assert len(set.union(*sets)) == sum(len(members) for members in sets)
    assert sum(len(names) for names in named) == len(dataset)
    assert 10 <= len(named[2]) <= 15


def test_the_seed_decides_and_decides_alone(dataset: Dataset) -> None:
    config = SplitConfig("person", seed=5)
    assert split_dataset(dataset, config) == split_dataset(dataset, config)
    assert split_dataset(dataset, config).sha256 != split_dataset(dataset, SplitConfig("person", seed=6)).sha256


@pytest.mark.parametrize("group_by", ["person", None])
def test_folds_test_every_photo_once_and_share_no_group(dataset: Dataset, group_by: str | None) -> None:
    folds = [split_dataset(dataset, SplitConfig(group_by, fold=(index, 4), seed=7)) for index in (1, 2, 3, 4)]
    tested = [name for fold in folds for name in fold.of("test")]
    assert sorted(tested) == sorted(dataset.names)
    assert all(len(fold.of("test")) == 15 for fold in folds)
    assert all(5 <= len(fold.of("calibration")) <= 10 for fold in folds)
    for fold in folds:
        groups = [set(groups_of(dataset, group_by)[fold.indices(dataset, split)].tolist()) for split in SPLITS]
        assert len(set.union(*groups)) == sum(map(len, groups))


def test_groups_are_dealt_alike_in_night_and_place() -> None:
    """24 walks of 1 to 8 photos, each in one of 4 places, a third of them at night: each fold is like the whole."""
    rng = np.random.default_rng(0)
    size, place, night = rng.integers(1, 9, 24), np.arange(24) % 4, np.arange(24) % 3 == 0
    groups = np.repeat([f"walk{index}" for index in range(24)], size)
    columns = np.column_stack([np.ones(24), night, *(place == index for index in range(4))]).repeat(size, axis=0)
    columns = columns / columns.sum(axis=0)
    shares = [
        np.array([columns[np.isin(groups, list(part))].sum(axis=0) for part in assign(groups, columns, 3, generator)])
        for generator in map(np.random.default_rng, range(5))
    ]
    off = np.abs(np.array(shares) - 1 / 3)
    assert off[..., :2].max() < 0.1
    assert off.max() < 0.25


def test_with_few_groups_every_split_gets_one(dataset: Dataset) -> None:
    dataset.table["walk"] = [f"w{index % 3}" for index in range(60)]
    splits = split_dataset(dataset, SplitConfig("walk"))
    assert [len(splits.of(split)) for split in SPLITS] == [20, 20, 20]


def test_a_random_split_has_the_night_s_share_and_says_what_it_is(dataset: Dataset) -> None:
    splits = split_dataset(dataset, SplitConfig(None, seed=3))
    for split, nights in (("test", 3), ("calibration", 2)):
        assert dataset.is_night[splits.indices(dataset, split)].sum() == pytest.approx(nights, abs=1)
    assert splits.describe() == "at random (a random split: photos of one place fall on both sides), seed 3"
    splits.save(dataset.root)
    assert Splits.load(dataset.root) == splits


def test_how_near_the_training_photos_come(dataset: Dataset) -> None:
    """Three photos stand on each of 20 spots: at random, most test photos share theirs with training."""
    at_random = nearest_training_m(dataset, split_dataset(dataset, SplitConfig(None)))
    by_place = nearest_training_m(dataset, split_dataset(dataset, SplitConfig("standpoint")))
    assert (at_random < 0.01).mean() > 0.7
    assert by_place.min() > 1


def asked_for(*words: str) -> SplitConfig | None:
    parser = argparse.ArgumentParser()
    add_split_arguments(parser)
    return config_of(parser.parse_args(words))


def test_flags_ask_for_a_split() -> None:
    assert asked_for() is None
    assert asked_for("--split", "random") == SplitConfig(None)
    assert asked_for("--split-seed", "0") == SplitConfig()  # not the split that is there, whatever it is
    assert asked_for("--fold", "2/5") == SplitConfig("standpoint", fold=(2, 5))
    named = asked_for("--group-by", "session", "--test", "a,b", "--split-seed", "4")
    assert named == SplitConfig("session", test=("a", "b"), seed=4)


def test_a_group_with_a_comma_in_its_name_can_be_named(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By what the error says of one that cannot."""

    def split(test: str) -> int:
        words = ["train", "split", str(dataset.root), "--group-by", "person", "--test", test]
        monkeypatch.setattr(sys, "argv", words)
        return run_cli(train.__main__.main)

    table = dataset.table.assign(person=dataset.table["person"].replace("p1", "Day 1, noon"))
    table.to_csv(dataset.root / "gt.csv", index=False)
    assert split("Day 1, noon") == 2
    (name,) = re.findall(r'"Day.*?"', capsys.readouterr().err)
    assert split(f"{name},p2") == 0
    splits = Splits.load(dataset.root)
    assert splits is not None
    assert splits.config.test == ("Day 1, noon", "p2")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--fold", "2"), "write I/K"),
        (("--fold", "two/5"), "write I/K"),
        (("--split", "random", "--group-by", "session"), "a random split has no groups"),
    ],
)
def test_flags_that_cannot_be_say_why(words: tuple[str, ...], said: str) -> None:
    with pytest.raises(DatasetError, match=said):
        asked_for(*words)


@pytest.mark.parametrize("seed", ["-1", str(2**32), "0.5"])
@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("dataset.split", ("dataset", "--split-seed")),
        ("fit.fit", ("dataset", "--out", "run", "--seed")),
        ("compare", ("dataset", "--seed")),
        ("protocol", ("dataset", "--seed")),
        ("demo.make", ("--seed",)),
    ],
)
def test_a_seed_that_no_generator_takes_is_refused(
    command: str, words: tuple[str, ...], seed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = argparse.ArgumentParser()
    import_module(f"train.{command}").add_arguments(parser)
    with pytest.raises(SystemExit) as left:
        parser.parse_args([*words, seed])
    assert left.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.endswith(f"error: argument {words[-1]}: {seed} is no whole number from 0 to 4294967295")


def test_the_command_prints_the_splits_or_one_line_that_says_why_not(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def split(*words: str) -> int:
        monkeypatch.setattr(sys, "argv", ["train", "split", str(dataset.root), *words])
        return run_cli(train.__main__.main)

    assert split("--group-by", "person", "--fold", "2/3") == 0
    printed = capsys.readouterr().out
    assert "split by person, fold 2 of 3, seed 0" in printed
    assert "test            20 photos     4 groups" in printed
    assert "nearest training photo of a test photo" in printed
    assert split("--group-by", "person", "--fold", "4/3", "--force") == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    splits = Splits.load(dataset.root)
    assert splits is not None
    assert splits.config.fold == (2, 3)


def test_named_groups_go_where_they_are_named(dataset: Dataset) -> None:
    splits = split_dataset(dataset, SplitConfig("person", calibration=("p3",), test=("p1", "p2")))
    groups = groups_of(dataset, "person")
    assert set(groups[splits.indices(dataset, "test")]) == {"p1", "p2"}
    assert set(groups[splits.indices(dataset, "calibration")]) == {"p3"}


def test_standpoints_are_no_wider_than_they_say() -> None:
    assert standpoints(np.zeros((0, 2))).shape == (0,)
    assert len(set(standpoints(np.zeros((5, 2))))) == 1
    points = np.random.default_rng(0).uniform(0, 200, (300, 2))
    cluster = standpoints(points)
    for name in set(cluster.tolist()):
        members = points[cluster == name]
        assert np.linalg.norm(members[:, None] - members[None], axis=2).max() <= STANDPOINT_RADIUS_M


def test_a_manifest_is_read_back_as_it_was_written(dataset: Dataset) -> None:
    config = SplitConfig("person", test=("p1",), seed=3)
    splits = split_or_load(dataset, config)
    assert Splits.load(dataset.root) == splits
    assert split_or_load(dataset, None) == splits


def test_a_test_split_does_not_change_under_a_model(dataset: Dataset) -> None:
    first = split_or_load(dataset, SplitConfig("person"))
    with pytest.raises(DatasetError, match="already split by person"):
        split_or_load(dataset, SplitConfig("standpoint"))
    assert split_or_load(dataset, SplitConfig("standpoint"), force=True) != first


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (SplitConfig("colour"), "no column 'colour'"),
        (SplitConfig("person", test=("p99",)), "no person 'p99'"),
        (SplitConfig("person", test=("p1",), calibration=("p1",)), "both"),
        (
            SplitConfig("label"),
            "1 label groups leave no photos for train and calibration.*three are needed.*--group-by standpoint",
        ),
        (SplitConfig("person", fold=(6, 5)), "no fold 6 of 5"),
        (SplitConfig("person", fold=(0, 5)), "no fold 0 of 5"),
        (SplitConfig("person", fold=(1, 13)), "12 groups cannot be assigned into 13 folds"),
        (SplitConfig("person", test=("p1",), fold=(1, 5)), "leave out --fold or --test"),
    ],
)
def test_a_split_that_cannot_be_says_why(dataset: Dataset, config: SplitConfig, said: str) -> None:
    with pytest.raises(DatasetError, match=said):
        split_dataset(dataset, config)


def test_two_walks_are_told_to_take_a_third_or_to_hold_out_places_which_works(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table = dataset.root / "gt.csv"
    head, *rows = table.read_text().splitlines()
    walks = [f"{row},{'morning' if index < 30 else 'evening'}" for index, row in enumerate(rows)]
    table.write_text("\n".join([f"{head},session", *walks]))

    def split(group_by: str) -> int:
        monkeypatch.setattr(sys, "argv", ["train", "split", str(dataset.root), "--group-by", group_by])
        return run_cli(train.__main__.main)

    assert split("session") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "2 session groups leave no photos for" in line
    assert "three are needed. Take another, or hold out places instead" in line
    assert split(line.partition("--group-by ")[2]) == 0
    assert "split by standpoint" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"config": {}, "splits": {"train": []}}', '{"config": {"x": 1}}'])
def test_a_manifest_that_is_none(dataset: Dataset, text: str) -> None:
    (dataset.root / "splits.json").write_text(text)
    with pytest.raises(DatasetError, match="not a split manifest"):
        Splits.load(dataset.root)
