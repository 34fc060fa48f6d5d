"""The templates of `docs/templates/` work as they are: each is copied beside its siblings and found by its name."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Protocol

import pytest

import train.__main__
from core.campus.bundle import Bundle
from core.cli.run import run_cli
from tests import REPOSITORY, SLICE
from tests.small_backbones import CNN, small_backbone
from train.fit.run_folder import read_log

NAME = "from_template"  # as a person types it: with `-`


class Place(Protocol):
    """Put a template into a room, under NAME."""

    def __call__(self, template: str, room: str) -> None: ...


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """The rooms gain a folder for the test, so that the checkout stays as it is."""
    placed = []

    def put(template: str, room: str) -> None:
        folder = tmp_path / room
        folder.mkdir()
        shutil.copy(REPOSITORY / "docs" / "templates" / f"{template}.py", folder / f"{NAME}.py")
        package = import_module(room)
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(folder)])
        placed.append(f"{room}.{NAME}")

    yield put
    for module in placed:
        sys.modules.pop(module, None)


Run = Callable[..., int]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Run:
    """`command("edge", "run", …)` is `python -m edge run …` within this process -> its exit code."""

    def run(room: str, *arguments: object) -> int:
        monkeypatch.setattr(sys, "argv", [room, *map(str, arguments)])
        return run_cli(import_module(f"{room}.__main__").main)

    return run


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The slice of rendered photos as a dataset with its split."""
    folder = tmp_path_factory.mktemp("way") / "dataset"
    held_out = ["--calibration", "calibration-afternoon,calibration-night", "--test", "test-evening,test-night"]
    with pytest.MonkeyPatch.context() as patch:
        for words in (
            ["ingest", SLICE, "--out", folder, "--workers", 1],
            ["split", folder, "--group-by", "session", *held_out],
        ):
            patch.setattr(sys, "argv", ["train", *map(str, words)])
            assert run_cli(train.__main__.main) == 0
    return folder


def test_a_sink_is_one_file(
    place: Place, command: Run, pristine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place("sink", "edge.device.sinks")
    photo, table = pristine / "samples" / "library.jpg", tmp_path / "fixes.csv"
    assert command("edge", "run", photo, "--bundle", pristine, "--to", f"from-template:{table}") == 0
    ((_, name, lat, lon, radius68_m),) = csv.reader(table.read_text("utf-8").splitlines())
    assert name == str(photo)
    assert (round(float(lat)), round(float(lon)), float(radius68_m) > 0) == (47, 8, True)
    assert command("edge", "run", photo, "--bundle", pristine, "--to", "from-template") == 2
    assert "NAME:FILE" in capsys.readouterr().err


def test_an_engine_is_one_file(
    place: Place, command: Run, pristine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place("engine", "core.engines.backends")
    photos = [pristine / "samples" / f"{name}.jpg" for name in ("library", "gymnasium")]
    fixes = []
    for backend in ("from-template", "onnxruntime"):
        out = tmp_path / f"{backend}.jsonl"
        assert command("edge", "run", *photos, "--bundle", pristine, "--backend", backend, "--to", f"json:{out}") == 0
        lines = map(json.loads, out.read_text("utf-8").splitlines())
        fixes.append([line[key] for line in lines for key in ("lat", "lon", "radius68_m")])
    assert fixes[0] == pytest.approx(fixes[1])
    assert command("edge", "bench", pristine, "--backend", "from-template", "--repeats", 2) == 0
    assert "from-template: ONNX Runtime, one by one" in capsys.readouterr().out


@pytest.mark.slow
def test_a_backbone_is_one_file(place: Place, command: Run, dataset: Path, tmp_path: Path) -> None:
    place("backbone", "core.network.backbones")
    run, bundle, exported = (tmp_path / name for name in ("run", "bundle", "exported"))
    assert command("train", "fit", dataset, "--out", run, "--backbone", NAME, "--image-size", 64) == 0
    assert command("train", "bundle", run, "--out", bundle, "--no-second-look") == 0
    assert Bundle.load(bundle).manifest.training.backbone == NAME
    assert command("edge", "export", bundle, "--out", exported) == 0
    assert command("edge", "verify", exported, "--bundle", bundle) == 0


@pytest.mark.slow
def test_a_recipe_is_one_file(
    place: Place, command: Run, dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place("recipe", "train.fit.recipes")
    run, bundle = tmp_path / "run", tmp_path / "bundle"
    network = (*small_backbone(CNN, 64, tmp_path / "weights.pth"), "--image-size", 64)
    fit = ("train", "fit", dataset, "--out", run, "--recipe", NAME, *network, "--epochs", 2)
    assert command(*fit, "--minutes", 0) == 0
    assert command(*fit, "--minutes", 9, "--resume") == 0
    assert len(read_log(run)) == 2
    assert command("train", "bundle", run, "--out", bundle, "--no-second-look", "--trained") == 0
    assert Bundle.load(bundle).manifest.training.recipe == NAME
    with pytest.raises(SystemExit):
        command("train", "fit", "--help")
    assert NAME in capsys.readouterr().out
