"""A vision transformer with random weights from photos to a device's file: nothing on the way is for CNNs alone."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("timm")
pytest.importorskip("torch")

import edge.__main__
import train.__main__
from core.campus.bundle import Bundle
from core.cli.run import run_cli
from core.locate.localizer import Localizer
from tests import SLICE
from tests.small_backbones import VIT, small_backbone

SIZE = 64


@pytest.mark.slow
def test_a_transformer_goes_from_fit_to_pack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset, run, bundle, exported = (tmp_path / name for name in ("dataset", "run", "bundle", "exported"))

    def cli(room: ModuleType, *words: object) -> None:
        monkeypatch.setattr(sys, "argv", [room.__name__, *map(str, words)])
        assert run_cli(room.main) == 0, words

    split = ["--group-by", "session", "--calibration", "calibration-afternoon,calibration-night"]
    split += ["--test", "test-evening,test-night"]
    network = [*small_backbone(VIT, SIZE, tmp_path / "weights.pth"), "--image-size", SIZE]
    cli(train.__main__, "ingest", SLICE, "--out", dataset, "--workers", 1)
    cli(train.__main__, "fit", dataset, "--out", run, *split, *network)
    cli(train.__main__, "bundle", run, "--out", bundle, "--samples", 2, "--no-second-look")
    cli(edge.__main__, "export", bundle, "--out", exported)
    cli(edge.__main__, "verify", exported, "--bundle", bundle)
    cli(edge.__main__, "pack", bundle, exported, "--out", tmp_path / "campus.campus-edge", "--no-wheels")
    cli(edge.__main__, "bench", bundle, "--backend", "onnxruntime", "--repeats", 3)

    made = Bundle.load(bundle)
    assert made.manifest.training.backbone == VIT
    assert made.manifest.parity is not None  # INT8 is measured, whichever of the two is the CPU's
    fix = Localizer.load(bundle).locate(made.read(made.samples[0]))
    assert fix.radius68_m > 0
    assert (tmp_path / "campus.campus-edge").stat().st_size > 300_000
