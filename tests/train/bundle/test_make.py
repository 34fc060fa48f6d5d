"""What `train bundle` is given: a map, a run and numbers, each refused in a line where it cannot be used."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from core.campus.frame import LocalFrame
from core.errors import BundleError, CampusError, DatasetError, OccupiedError
from core.network.net_config import NetConfig
from train.bundle import make
from train.bundle.make import Run, read_map
from train.fit.recipes.whitened import WhitenedConfig
from train.fit.run_folder import BEST, CONFIG, read_config

EMPTY = {"type": "FeatureCollection", "features": []}


def write(path: Path, data: object) -> Path:
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


def test_a_map_may_have_features_without_properties_or_a_geometry(tmp_path: Path) -> None:
    assert read_map(None) == EMPTY
    bare = EMPTY | {"features": [{"type": "Feature", "properties": None, "geometry": None}]}
    assert read_map(write(tmp_path / "map.geojson", bare)) == bare


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "not a GeoJSON FeatureCollection"),
        ({"type": "FeatureCollection"}, "without a list of features"),
        (EMPTY | {"features": None}, "without a list of features"),
        (EMPTY | {"features": [{"properties": None}, 7]}, "feature 2 is no GeoJSON feature"),
        (EMPTY | {"features": [{"properties": [1]}]}, "feature 1 is no GeoJSON feature"),
        (EMPTY | {"features": [{"geometry": "here"}]}, "feature 1 is no GeoJSON feature"),
    ],
)
def test_what_is_no_map_is_refused_by_name(data: object, message: str, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=f"map.geojson.*{message}"):
        read_map(write(tmp_path / "map.geojson", data))


def settings() -> dict[str, Any]:
    return {
        "dataset": "nowhere",
        "fit": asdict(WhitenedConfig()),
        "net": asdict(NetConfig(zones=1)),
        "weights": "",
        "frame": asdict(LocalFrame.about(47.0, 8.4)),
        "zones": [],
    }


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        json.dumps({"fit": {}}),
        json.dumps(settings() | {"fit": 7}),
        json.dumps(settings() | {"net": {"sparkle": 1}}),
        json.dumps(settings() | {"net": None}),
        json.dumps(settings() | {"frame": {"lat": 1}}),
        json.dumps(settings() | {"zones": [{"name": "Library"}]}),
    ],
)
def test_a_damaged_config_of_a_run_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / CONFIG).write_text(text, encoding="utf-8")
    (tmp_path / BEST).touch()
    with pytest.raises(DatasetError, match=r"config.json: is damaged: train again"):
        Run.load(tmp_path)


def test_a_run_is_not_resumed_from_a_damaged_config(tmp_path: Path) -> None:
    (tmp_path / CONFIG).write_text("{", encoding="utf-8")
    with pytest.raises(DatasetError, match=r"config.json: is damaged"):
        read_config(tmp_path)


def test_a_whole_config_of_a_run_leads_to_its_dataset(tmp_path: Path) -> None:
    write(tmp_path / CONFIG, settings())
    (tmp_path / BEST).touch()
    with pytest.raises(DatasetError, match="nowhere"):
        Run.load(tmp_path)


@pytest.mark.parametrize(("flag", "letters"), [("--name", 201), ("--description", 9_001)])
def test_a_name_or_description_too_long_is_refused_before_the_work(
    flag: str, letters: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = argparse.ArgumentParser()
    make.add_arguments(parser)
    with pytest.raises(SystemExit):
        parser.parse_args([str(tmp_path), "--out", str(tmp_path / "out"), flag, "x" * letters])
    assert f"argument {flag}: {letters} letters, at most {letters - 1} are possible" in capsys.readouterr().err


def test_a_bundle_that_is_in_the_way_is_told_before_the_run_is_read(pristine: Path, tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    make.add_arguments(parser)
    args = parser.parse_args([str(tmp_path / "no run"), "--out", str(pristine)])
    with pytest.raises(OccupiedError):
        make.main(args)


def test_fewer_than_no_samples_are_refused_before_the_work(tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    make.add_arguments(parser)
    args = parser.parse_args([str(tmp_path), "--out", str(tmp_path / "out"), "--samples", "-1"])
    with pytest.raises(CampusError, match=r"^--samples -1: must not be negative"):
        make.main(args)
