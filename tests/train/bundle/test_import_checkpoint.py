"""The original's checkpoint becomes a bundle that answers as the original's own network does."""

from __future__ import annotations

import csv
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import train.__main__
from benchmarks.original import OriginalNet
from core.campus.bundle import Bundle
from core.campus.frame import LocalFrame
from core.cli.run import run_cli
from core.engines.heads import Engine
from core.engines.onnx_engine import OnnxEngine
from core.errors import DatasetError, EngineError
from core.locate.localizer import Localizer
from core.network.campus_net import CampusNet
from core.network.net_config import NetConfig
from core.network.onnx_export import export_fp32
from core.network.state_files import read_state
from core.network.torch_engine import TorchEngine
from core.network.weights import load_net
from core.photo.load import load_photo
from core.photo.preprocess import network_image
from tests import SLICE
from train.bundle.import_checkpoint import (
    FRAME,
    PUBLISHED_MEAN_M,
    checkpoint_net,
    import_checkpoint,
    original_split,
    zones_of_labels,
)
from train.bundle.make import BundleConfig
from train.dataset.zoning import fit_zones

SIZE, ZONES, PHOTOS = 64, 5, 40
NO_MAP: dict[str, Any] = {"features": []}

pytestmark = pytest.mark.slow  # a ResNet50 is made into bundles


def normalised(images: NDArray[np.uint8]) -> Tensor:
    """(B, S, S, 3) uint8 -> what the original fed its network."""
    mean = torch.tensor([0.42974764108657837, 0.41656675934791565, 0.37728580832481384]).view(3, 1, 1)
    std = torch.tensor([0.1985701620578766, 0.19456541538238525, 0.2009020745754242]).view(3, 1, 1)
    return (torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255 - mean) / std


@pytest.fixture(scope="module")
def original() -> OriginalNet:
    """Random weights, and batch norm statistics of photos: as a trained one, no layer is at its start."""
    torch.manual_seed(0)
    net = OriginalNet(zones=ZONES)
    for norm in (m for m in net.modules() if isinstance(m, (nn.BatchNorm1d, nn.BatchNorm2d))):
        norm.momentum = 1.0
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.uniform_(norm.bias, -0.5, 0.5)
    with torch.no_grad():
        net.train()(normalised(photos(16)))
    return net.eval()


def photos(count: int) -> NDArray[np.uint8]:
    paths = sorted(SLICE.rglob("*.jpg"))[:count]
    return np.stack([network_image(load_photo(path).rgb, SIZE) for path in paths])


@pytest.fixture(scope="module")
def seed(original: OriginalNet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `best_model.pth`, `gt.csv` and `photos`: rendered photos, moved onto the original's campus."""
    folder = tmp_path_factory.mktemp("seed")
    torch.save(original.state_dict(), folder / "best_model.pth")
    (folder / "photos").mkdir()
    paths = sorted(SLICE.rglob("*.jpg"))[::3][:PHOTOS]
    latlon = np.array([(c.lat_deg, c.lon_deg) for c in (load_photo(path).capture for path in paths)], np.float64)
    local_m = LocalFrame.of_points(*latlon.T).to_local(*latlon.T)
    labels = fit_zones(local_m, 0).assign(local_m)
    with (folder / "gt.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["image_name", "lat", "lon", "utm_x", "utm_y", "is_night", "label"])
        for index, (path, at_m) in enumerate(zip(paths, local_m, strict=True)):
            shutil.copy(path, folder / "photos" / f"{index}.jpg")
            night = int("night" in path.parent.name)
            writer.writerow([f"{index}.jpg", *FRAME.to_latlon(at_m), *FRAME.utm(at_m), night, labels[index]])
    return folder


@pytest.fixture(scope="module")
def bundles(seed: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Bundle, Bundle]:
    """The bundle without photos, and the one with them."""
    out, made = tmp_path_factory.mktemp("bundles"), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("core.network.onnx_export.export_fp32", exported_once())
        for name, images in (("plain", None), ("full", seed / "photos")):
            words = (seed / "best_model.pth", seed / "gt.csv", images, out / name)
            made.append(import_checkpoint(*words, BundleConfig(name, "Ours."), NO_MAP, image_size=SIZE))
    return made[0], made[1]


def exported_once() -> Callable[[CampusNet], bytes]:
    """`export_fp32`, which takes many seconds of a ResNet50, but each network only once."""
    done: list[tuple[NetConfig, dict[str, Tensor], bytes]] = []

    def export(net: CampusNet) -> bytes:
        state = net.state_dict()
        for config, known, model in done:
            if config == net.config and all(torch.equal(value, known[name]) for name, value in state.items()):
                return model
        done.append((net.config, {name: value.clone() for name, value in state.items()}, export_fp32(net)))
        return done[-1][2]

    return export


def test_the_bundle_answers_as_the_original(bundles: tuple[Bundle, Bundle], original: OriginalNet) -> None:
    images = photos(6)
    with torch.no_grad():
        offset, embedding, logits = (value.numpy() for value in original(normalised(images)))
    assert offset.std() > 0.05
    assert embedding.shape == (6, 256)
    plain, full = bundles
    engines: tuple[Engine, ...] = (
        TorchEngine(load_net(full)),
        *(OnnxEngine(bundle.read("model.onnx"), "FP32") for bundle in (plain, full)),
    )
    for engine in engines:
        heads = engine.run(images)
        assert heads.offset == pytest.approx(offset, abs=1e-4)
        assert heads.embedding == pytest.approx(embedding, abs=1e-4)
        assert heads.zone_logits == pytest.approx(logits, abs=1e-4)
        assert heads.log_spread is None


def test_without_photos_the_radius_is_the_published_error(bundles: tuple[Bundle, Bundle], seed: Path) -> None:
    bundle = bundles[0]
    assert bundle.gallery is None
    assert set(bundle.manifest.files) == {"model.onnx", "model.safetensors"}
    assert f"mean error of {PUBLISHED_MEAN_M} m published" in bundle.manifest.description
    assert bundle.manifest.calibration.photos == 0
    assert bundle.manifest.metrics == {}
    localizer = Localizer.load(bundle.path)
    rgb = load_photo(seed / "photos" / "0.jpg").rgb
    fix = localizer.locate(rgb)
    assert fix.probability is not None
    heads = localizer.engine.run(photos(1))
    at_m = heads.offset[0] * 100.0
    # In the middle of the campus, where the map cuts nothing off, the mass lies as far away as was published.
    middle = localizer.posterior.map(type(heads)(np.zeros((1, 2), np.float32)))
    away_m = np.linalg.norm(middle.grid.centres_m, axis=1) @ middle.mass.ravel()
    assert away_m == pytest.approx(PUBLISHED_MEAN_M, rel=0.05)
    assert FRAME.to_local(fix.lat, fix.lon) == pytest.approx(FRAME.to_local(*FRAME.to_latlon(at_m)), abs=60)


def test_with_photos_gallery_and_radii_come_from_the_original_s_own_split(
    bundles: tuple[Bundle, Bundle], seed: Path
) -> None:
    manifest = bundles[1].manifest
    assert manifest.training.photos == {"train": 32, "calibration": 8}
    assert manifest.training.split.startswith("at random (a random split")
    assert manifest.training.epochs is None
    assert manifest.calibration.photos == 8
    assert "held out if gt.csv is the file" in manifest.description
    assert manifest.description.startswith("Ours. ")
    assert manifest.metrics == {}  # nothing that could be measured here was held out from everything
    assert manifest.parity is not None
    assert len(manifest.zones) == ZONES
    gallery = bundles[1].gallery
    assert gallery is not None
    assert gallery.embedding.shape == (32, 256)
    fix = Localizer.load(bundles[1].path).locate(seed / "photos" / "0.jpg")
    assert fix.radius95_m >= fix.radius68_m > 0


def test_the_split_is_the_one_that_scikit_learn_gave_the_original(seed: Path) -> None:
    import pandas as pd
    from sklearn.model_selection import train_test_split

    from train.dataset.dataset import Dataset

    table = pd.read_csv(seed / "gt.csv")
    train_table, held_table = train_test_split(table, test_size=0.2, random_state=42, stratify=table["is_night"])
    dataset = Dataset.of(seed / "gt.csv", seed / "photos")
    rows = original_split(dataset, seed / "gt.csv")
    for split, wanted in (("train", train_table), ("calibration", held_table)):
        assert sorted(dataset.names[row] for row in rows[split]) == sorted(wanted["image_name"])


def test_zones_lie_where_their_photos_are(tmp_path: Path) -> None:
    local_m = np.array([(0.0, 0.0), (10.0, 0.0), (100.0, 50.0), (100.0, 60.0)])
    zones = zones_of_labels(tmp_path, ["0", "0", "1.0", "1"], local_m, 2)
    assert zones.centres_m.tolist() == [[5.0, 0.0], [100.0, 55.0]]
    for labels, said in ((["0", "0", "2", "2"], "no photo has label 1"), (["0", "1", "2", "2"], "label 2 is none")):
        with pytest.raises(DatasetError, match=said):
            zones_of_labels(tmp_path, labels, local_m, 2)
    with pytest.raises(DatasetError, match="row 3: label is 'x'"):
        zones_of_labels(tmp_path, ["0", "x", "1", "1"], local_m, 2)


Change = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda state: state.pop("regressor.4.weight"), r"regressor\.4\.weight is missing"),
        (lambda state: state.pop("classifier.4.weight"), r"classifier\.4\.weight is missing"),
        (lambda state: state.pop("embedding_head.0.bias"), r"embedding_head\.0\.bias is missing"),
        (lambda state: state.update({"regressor.6.weight": torch.zeros(3, 256)}), r"regressor\.6\.weight has shape"),
        (lambda state: state.update({"head.weight": torch.zeros(1)}), r"has no head\.weight"),
        (
            lambda state: state.update({"backbone.1.bias": torch.full((64,), torch.nan)}),
            r"backbone\.1\.bias has a value that is not",
        ),
    ],
)
def test_a_layout_that_is_not_known_names_the_key(original: OriginalNet, change: Change, said: str) -> None:
    state = dict(original.state_dict())
    change(state)
    with pytest.raises(EngineError, match=said) as error:
        checkpoint_net(Path("best_model.pth"), state, SIZE)
    assert len(str(error.value).splitlines()) == 1


def test_torch_answers_as_the_original_whether_wrapped_or_not(original: OriginalNet) -> None:
    """The original's own predictor reads its weights from the top or from `model_state_dict`."""
    images, state = photos(4), dict(original.state_dict())
    with torch.no_grad():
        offset, embedding, logits = (value.numpy() for value in original(normalised(images)))
    assert offset.std() > 0.05
    for given in (state, {"epoch": 3, "model_state_dict": state}):
        heads = TorchEngine(checkpoint_net(Path("best_model.pth"), given, SIZE)).run(images)
        assert heads.offset == pytest.approx(offset, abs=1e-4)
        assert heads.embedding == pytest.approx(embedding, abs=1e-4)
        assert heads.zone_logits == pytest.approx(logits, abs=1e-4)


class Ran(Exception):  # what a pickle of ours would do, if anyone unpickled it
    def __reduce__(self) -> tuple[Any, ...]:
        return (sys.exit, (77,))


@pytest.mark.parametrize("content", [[1, 2], 7, Ran()])
def test_nothing_else_is_taken_for_a_checkpoint_and_nothing_is_unpickled(content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "best_model.pth")
    with pytest.raises(EngineError, match="not a plain state dict"):
        read_state(tmp_path / "best_model.pth")


def test_bad_input_is_one_line_and_writes_nothing(
    seed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def command(gt: Path, *words: object) -> str:
        line = ("import-checkpoint", seed / "best_model.pth", "--gt", gt, "--out", tmp_path / "out", *words)
        monkeypatch.setattr(sys, "argv", ["train", *map(str, line)])
        assert run_cli(train.__main__.main) == 2
        error = capsys.readouterr().err
        assert len(error.splitlines()) == 1
        assert not (tmp_path / "out").exists()
        return error

    gt = tmp_path / "gt.csv"
    assert "no such file" in command(tmp_path / "none.csv")
    assert "no images folder" in command(seed / "gt.csv", "--images", tmp_path / "none")
    gt.write_text("image_name,lat,lon\na.jpg,31.25,34.8\n")
    assert "no column label" in command(gt)
    gt.write_text("image_name,lat,lon,label\na.jpg,48.0,8.0,0\n")
    assert "km from the original's campus" in command(gt)
