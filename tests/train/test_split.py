from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.errors import DatasetError
from core.geo import LocalFrame
from train.dataset import Dataset
from train.split import (
    SPLITS,
    STANDPOINT_RADIUS_M,
    SplitConfig,
    Splits,
    groups_of,
    split_dataset,
    split_or_load,
    standpoints,
)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """60 photos by 12 people at 20 places."""
    frame = LocalFrame.about(47.0, 8.4)
    spots = np.random.default_rng(0).uniform(-150, 150, (20, 2))
    (tmp_path / "images").mkdir()
    rows = ["image_name,lat,lon,person"]
    for index in range(60):
        Image.new("RGB", (8, 8)).save(tmp_path / "images" / f"{index}.jpg")
        lat, lon = frame.to_latlon(spots[index % 20])
        rows.append(f"{index}.jpg,{lat},{lon},p{index % 12}")
    (tmp_path / "gt.csv").write_text("\n".join(rows))
    return Dataset.load(tmp_path)


@pytest.mark.parametrize("group_by", ["person", "standpoint"])
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
    assert 0.2 <= len(named[2]) / 60 <= 0.35


def test_the_seed_decides_and_decides_alone(dataset: Dataset) -> None:
    config = SplitConfig("person", seed=5)
    assert split_dataset(dataset, config) == split_dataset(dataset, config)
    assert split_dataset(dataset, config).sha256 != split_dataset(dataset, SplitConfig("person", seed=6)).sha256


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
        (SplitConfig("label"), "leave no photos"),
    ],
)
def test_a_split_that_cannot_be_says_why(dataset: Dataset, config: SplitConfig, said: str) -> None:
    with pytest.raises(DatasetError, match=said):
        split_dataset(dataset, config)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"config": {}, "splits": {"train": []}}', '{"config": {"x": 1}}'])
def test_a_manifest_that_is_none(dataset: Dataset, text: str) -> None:
    (dataset.root / "splits.json").write_text(text)
    with pytest.raises(DatasetError, match="not a split manifest"):
        Splits.load(dataset.root)
