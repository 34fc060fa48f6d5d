"""The templates of `docs/templates/` work as they are: each is copied beside its siblings and found by its name."""

from __future__ import annotations

import csv
import shutil
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import pytest

import edge.__main__
from core.cli.run import run_cli
from tests import REPOSITORY

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


def command(main: Any, monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["x", *map(str, arguments)])
    return run_cli(main)


def test_a_sink_is_one_file(
    place: Place, pristine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place("sink", "edge.device.sinks")
    photo, table = pristine / "samples" / "library.jpg", tmp_path / "fixes.csv"
    run = (edge.__main__.main, monkeypatch, "run", photo, "--bundle", pristine, "--to")
    assert command(*run, f"from-template:{table}") == 0
    ((_, name, lat, lon, radius68_m),) = csv.reader(table.read_text("utf-8").splitlines())
    assert name == str(photo)
    assert (round(float(lat)), round(float(lon)), float(radius68_m) > 0) == (47, 8, True)
    assert command(*run, "from-template") == 2
    assert "NAME:FILE" in capsys.readouterr().err
