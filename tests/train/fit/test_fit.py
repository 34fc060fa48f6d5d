from __future__ import annotations

import argparse
import json
import math
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState, PartialState
from PIL import Image
from safetensors.torch import load_file

from core.errors import CampusError, DatasetError, OccupiedError
from core.network.campus_net import CampusNet
from core.network.net_config import NetConfig
from core.network.weights import load_state, saved_net_config
from tests import REPOSITORY
from tests.small_backbones import CNN, VIT, small_backbone
from tests.train.fit import two_processes
from tests.train.fit.training_sets import SIZE, make_task
from tests.train.fit.two_processes import WEIGHTS
from train.dataset.dataset import Dataset
from train.fit import fit as fit_module
from train.fit.config import EVERY_STAGE, FitConfig
from train.fit.fit import fit
from train.fit.recipes import DEFAULT_RECIPE, new_config, saved_config
from train.fit.recipes.campus import CampusConfig
from train.fit.recipes.original import OriginalConfig
from train.fit.recipes.whitened import WhitenedConfig
from train.fit.run_folder import read_log
from train.fit.trainer import Trainer
from train.fit.training_data import TrainingData, prepare

RECIPES = {"campus": CampusConfig, "original": OriginalConfig}


@pytest.fixture(autouse=True)
def _fresh_accelerator() -> Iterator[None]:
    """Accelerate keeps one precision for a process's life; each test here is a run of its own."""
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture(scope="module")
def configs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, FitConfig]:
    """Two epochs of each recipe."""
    weights = tmp_path_factory.mktemp("weights") / "weights.pth"
    small_backbone(CNN, SIZE, weights)
    common: dict[str, Any] = {"backbone": CNN, "weights": str(weights), "image_size": SIZE, "epochs": 2, "batch": 32}
    return {name: config(**common, frozen_stages=0) for name, config in RECIPES.items()}


@pytest.fixture
def config(configs: dict[str, FitConfig]) -> FitConfig:
    return configs["campus"]


@pytest.fixture
def campus(tmp_path: Path, config: FitConfig) -> TrainingData:
    return make_task(tmp_path / "dataset", config)


def test_help_needs_no_torch() -> None:
    without = "import sys; sys.modules['torch'] = None; import train.__main__; train.__main__.main()"
    done = subprocess.run(
        [sys.executable, "-c", without, "fit", "--help"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert "--recipe" in done.stdout


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_run_stopped_by_time_resumes_to_the_bit(recipe: str, configs: dict[str, FitConfig], tmp_path: Path) -> None:
    config = configs[recipe]
    task = make_task(tmp_path / "dataset", config)
    whole = fit(task, tmp_path / "whole", config)
    parts = fit(task, tmp_path / "parts", replace(config, minutes=0.0))
    assert len(read_log(parts)) == 1
    fit(task, parts, config, resume=True)
    assert (parts / "best.safetensors").read_bytes() == (whole / "best.safetensors").read_bytes()
    log = [[replace(row, seconds=0.0) for row in read_log(run)] for run in (whole, parts)]
    assert log[0] == log[1]

    with Image.open(whole / "curves.png") as curves:
        assert curves.width > 600
    commands = [shlex.split(line) for line in (whole / "NEXT.txt").read_text().splitlines() if line[0] != "#"]
    assert [words[3] for words in commands] == ["fit", "bundle", "evaluate"]
    assert json.loads((whole / "config.json").read_text())["fit"] == asdict(config)


def test_a_run_resumes_only_under_its_own_config(campus: TrainingData, config: FitConfig, tmp_path: Path) -> None:
    config = replace(config, epochs=1)
    run = fit(campus, tmp_path / "run", config)
    with pytest.raises(DatasetError, match=r"another seed: resume"):
        fit(campus, run, replace(config, seed=3), resume=True)
    with pytest.raises(OccupiedError, match="exists already"):
        fit(campus, run, config)


def test_a_run_is_not_resumed_on_photos_that_it_knows_or_in_another_dataset(
    campus: TrainingData, config: FitConfig, tmp_path: Path
) -> None:
    run = fit(campus, tmp_path / "run", replace(config, minutes=0.0))
    before = {file: file.read_bytes() for file in run.iterdir()}
    names = campus.splits.names
    swapped = {**names, "train": names["train"][8:] + names["test"], "test": names["train"][:8]}
    anew = replace(campus, splits=replace(campus.splits, names=swapped))
    with pytest.raises(DatasetError, match=r"under another split of its dataset.*: start again with --force"):
        fit(anew, run, config, resume=True)
    other = make_task(tmp_path / "other", config)
    with pytest.raises(DatasetError, match=rf"was trained on {re.escape(str(tmp_path / 'dataset'))}: "):
        fit(other, run, config, resume=True)
    assert {file: file.read_bytes() for file in run.iterdir()} == before


def test_training_stops_when_the_calibration_split_no_longer_improves(
    campus: TrainingData, config: FitConfig, tmp_path: Path
) -> None:
    """Nothing can improve at a learning rate of 0: the best epoch is the first or soon after it."""
    config = replace(config, learning_rate=0.0, epochs=50, patience=2)
    log = read_log(fit(campus, tmp_path / "run", config))
    best = min(range(len(log)), key=lambda index: log[index].score_m)
    assert len(log) == best + 1 + 2 < 50


def test_accumulated_batches_make_one_step(campus: TrainingData, config: FitConfig) -> None:
    trainer = Trainer(campus, replace(config, batch=16, accumulate=3))
    before = [parameter.detach().clone() for parameter in trainer.net.regressor.parameters()]
    trainer.train_epoch()
    assert trainer.step == math.ceil(64 / 16 / 3) == trainer.total_steps / 2
    assert not torch.equal(before[0], next(trainer.net.regressor.parameters()))


def test_half_precision_is_the_backbone_s_alone(campus: TrainingData, config: FitConfig) -> None:
    trainer = Trainer(campus, replace(config, precision="bf16"))
    seen: dict[str, torch.dtype] = {}
    trainer.net.backbone[0].register_forward_hook(lambda *words: seen.update(backbone=words[2].dtype))
    trainer.net.regressor[0].register_forward_hook(lambda *words: seen.update(regressor=words[2].dtype))
    assert math.isfinite(trainer.train_epoch())
    assert seen == {"backbone": torch.bfloat16, "regressor": torch.float32}


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU has FP16")
def test_fp16_without_a_gpu_is_refused_in_a_line(campus: TrainingData, config: FitConfig) -> None:
    with pytest.raises(CampusError, match=r"fp16 needs a GPU: choose"):
        Trainer(campus, replace(config, precision="fp16"))


@pytest.mark.slow
def test_two_processes_give_the_curve_of_one(tmp_path: Path) -> None:
    """Gradients, batch norm, negatives and the memory of embeddings are those of the whole batch.

    Random views and dropout are off, since each process draws them for its own share. What is left differs by the
    order of float32 sums alone. Adam makes full steps of gradients that are nothing but such rounding, so the curves
    agree to 0.3 % and not to the bit; without synchronised batch norm they would be up to 14 % apart. The processes
    agree with one another to the bit.
    """
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    launcher = "accelerate.commands.launch --multi_gpu --num_processes 2 --num_machines 1 --main_process_port 0"
    launcher += " --mixed_precision no --dynamo_backend no -m"
    small_backbone(CNN, SIZE, tmp_path / WEIGHTS)
    command = [sys.executable, "-m", *launcher.split(), "tests.train.fit.two_processes", str(tmp_path / "2.json")]
    subprocess.run(command, cwd=REPOSITORY, env=environment, check=True, capture_output=True)
    two_processes.main(tmp_path / "1.json")  # the one is this process
    one, two = (json.loads((tmp_path / f"{processes}.json").read_text()) for processes in (1, 2))
    assert (one.pop("processes"), two.pop("processes")) == ({"count": [1]}, {"count": [2]})
    for recipe in ("campus", "original"):
        assert two[recipe].pop("apart") == one[recipe].pop("apart") == [0.0]
        for name, values in one[recipe].items():
            # The likeliest zone of a photo between two may be the other one on another processor, metres away.
            assert two[recipe][name] == pytest.approx(values, rel=0.1 if name == "zone_m" else 5e-3), (recipe, name)


def arguments(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    fit_module.add_arguments(parser)
    return parser.parse_args(["dataset", "--out", "run", *words])


def test_flags_stand_over_the_recipe_s_defaults() -> None:
    whitened = fit_module._config(arguments(), photos=100_000)
    assert (whitened.recipe, whitened.image_size) == ("whitened", 288)
    assert fit_module._config(arguments("--recipe", "campus"), photos=100_000) == CampusConfig()
    assert fit_module._config(arguments("--recipe", "original"), photos=9) == OriginalConfig()
    given = arguments("--recipe", "original", "--backbone", "efficientnet_lite0", "--minutes", "5", "--batch", "8")
    wanted = OriginalConfig(backbone="efficientnet_lite0", minutes=5.0, batch=8)
    assert fit_module._config(given, photos=9) == wanted


def test_a_few_photos_get_more_epochs() -> None:
    few = fit_module._config(arguments("--recipe", "campus"), photos=154)
    assert few == replace(CampusConfig(), epochs=60)
    assert fit_module._config(arguments("--recipe", "campus", "--epochs", "2"), photos=154) == replace(few, epochs=2)


def test_a_backbone_of_which_every_stage_is_frozen_learns_nothing() -> None:
    net = CampusNet(NetConfig(zones=1, image_size=32))
    net.freeze(EVERY_STAGE)
    assert not any(parameter.requires_grad for parameter in net.backbone.parameters())
    assert all(parameter.requires_grad for parameter in net.embedder.parameters())


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_config_is_read_back_as_it_was(recipe: str, configs: dict[str, FitConfig]) -> None:
    config = configs[recipe]
    saved = json.loads(json.dumps(asdict(config)))
    former = {"compile": True, "few_photos": 500}
    assert saved_config(saved, "run") == saved_config(saved | former, "run") == config


@pytest.mark.parametrize("words", [("--epochs", "0"), ("--batch", "1"), ("--accumulate", "0"), ("--image-size", "8")])
def test_a_number_that_cannot_be_is_refused_in_a_line(words: tuple[str, str]) -> None:
    with pytest.raises(CampusError, match=f"^{words[0]} {words[1]}: must be at least"):
        fit_module._config(arguments(*words), photos=64)


TRAINING_FLAGS = [
    ("--epochs", "3"),
    ("--patience", "3"),
    ("--minutes", "5"),
    ("--batch", "8"),
    ("--accumulate", "2"),
    ("--precision", "fp32"),
    ("--frozen-stages", "3"),
]


@pytest.mark.parametrize("words", TRAINING_FLAGS, ids=" ".join)
def test_a_flag_of_training_is_refused_by_the_recipe_that_does_not_train(words: tuple[str, str]) -> None:
    with pytest.raises(CampusError, match=f"^{words[0]}: the recipe whitened does not train: --recipe campus does"):
        fit_module._config(arguments(*words), photos=64)
    fit_module._config(arguments("--recipe", "campus", *words), photos=64)


def test_a_run_is_not_resumed_by_another_recipe(tmp_path: Path) -> None:
    config = WhitenedConfig(image_size=SIZE)
    task = make_task(tmp_path / "dataset", config)
    run = fit(task, tmp_path / "run", config)
    with pytest.raises(DatasetError, match=r"another recipe"):
        fit_module._config(arguments("--out", str(run), "--resume", "--recipe", "campus"), photos=64)
    before = (run / "config.json").read_bytes()
    with pytest.raises(DatasetError, match=r"another seed"):
        fit(task, run, replace(config, seed=3), resume=True)
    assert (run / "config.json").read_bytes() == before
    assert fit_module._config(arguments("--out", str(run), "--resume"), photos=64) == config


def test_the_main_process_alone_writes_a_whitened_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = WhitenedConfig(image_size=SIZE)
    task = make_task(tmp_path / "dataset", config)
    monkeypatch.setattr(PartialState, "is_main_process", property(lambda _: False))
    fit(task, tmp_path / "run", config)
    assert not (tmp_path / "run").exists()


def test_help_tells_what_the_default_recipe_does() -> None:
    told = fit_module.__doc__ or ""
    assert f"The default recipe, {DEFAULT_RECIPE}, trains nothing" in " ".join(told.split())


def test_what_is_unknown_is_refused_by_name() -> None:
    with pytest.raises(DatasetError, match=r"run: recipe 'mine' is unknown"):
        saved_config({"recipe": "mine"}, "run")
    with pytest.raises(DatasetError, match=r"run: sparkle is unknown"):
        saved_config({"recipe": "campus", "sparkle": 1}, "run")
    with pytest.raises(CampusError, match=r"recipe 'mine' is not one of campus, original"):
        new_config("mine")


def test_a_transformer_is_pooled_as_asked(tmp_path: Path) -> None:
    flags = [str(word) for word in small_backbone(VIT, SIZE, tmp_path / "weights.pth")]
    config = fit_module._config(arguments(*flags, "--image-size", str(SIZE), "--pooling", "token"), photos=64)
    run = fit(make_task(tmp_path / "dataset", config), tmp_path / "run", config)
    saved = saved_net_config(json.loads((run / "config.json").read_text())["net"])
    assert (saved.backbone, saved.pooling) == (VIT, "token")
    net, images = CampusNet(saved).eval(), torch.rand(2, 3, SIZE, SIZE) * 255
    load_state(net, load_file(run / "best.safetensors"))
    vit = net.backbone[0].model
    with torch.inference_mode():
        assert torch.allclose(
            net.features(images), vit.forward_features((images - net.mean) / net.std)[:, 0], atol=1e-4
        )


def test_the_default_recipe_leaves_a_run_of_one_line_whose_network_knows_the_place(tmp_path: Path) -> None:
    config = new_config(DEFAULT_RECIPE, image_size=SIZE)
    task = make_task(tmp_path / "dataset", config)
    run = fit(task, tmp_path / "run", config)
    (line,) = read_log(run)
    net = CampusNet(saved_net_config(json.loads((run / "config.json").read_text())["net"]))
    load_state(net, load_file(run / "best.safetensors"))
    images = torch.from_numpy(task.images).permute(0, 3, 1, 2).float()
    with torch.inference_mode():
        embedding = net.eval().heads(net.features(images)).embedding.numpy()
    known, asked = task.rows["train"], task.rows["calibration"]
    nearest = task.local_m[known][(embedding[asked] @ embedding[known].T).argmax(axis=1)]
    error_m = np.linalg.norm(nearest - task.local_m[asked], axis=1).mean()
    assert error_m == pytest.approx(line.score_m, rel=0.02)
    assert error_m < 0.8 * line.regression_m  # always the middle


def test_photos_of_two_far_places_are_no_campus_and_are_not_decoded(tmp_path: Path) -> None:
    task = make_task(tmp_path / "dataset", config := WhitenedConfig(image_size=SIZE))
    table = task.dataset.table
    table.loc[::2, "lat"] += 0.5
    far = Dataset(tmp_path / "dataset", table, tmp_path / "no photo can be read here")
    with pytest.raises(DatasetError, match=r"photos span \d+ × 5\d{4} m, which is no campus: make a dataset of each"):
        prepare(far, task.splits, config)
