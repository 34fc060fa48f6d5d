"""python -m train demo: the demo campus and its bundle, made again from a seed."""

from __future__ import annotations

import argparse
import json
import logging
import os
import shutil
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from core.campus.bundle import Bundle
from core.campus.file_names import SAMPLES
from core.io.files import check_writable, written_atomically
from train.bundle.make import BundleConfig, Run, make_bundle
from train.dataset.dataset import Dataset
from train.dataset.ingest import clear_work, ingest
from train.dataset.split import SplitConfig, seed_number, split_or_load
from train.demo.layout import demo_world
from train.demo.render import render_large, render_shots, renderers
from train.demo.sessions import SESSIONS, Shot, plan_shots
from train.demo.world import campus_map
from train.fit.fit import fit
from train.fit.recipes.campus import CampusConfig
from train.fit.training_data import prepare

log = logging.getLogger(__name__)

NAME = "Demo campus"
IMAGE_SIZE = 192  # the rendered photos are 256 × 192
EPOCHS = 24
DESCRIPTION = "A rendered campus at a fictional place: every photo was drawn by a computer."
SINGLE_SAMPLES = {"test-evening": 4, "test-night": 4}
SAMPLE_BURSTS = {"test-walk": 2}
SLICE_EAST_M, SLICE_NORTH_M = 70.0, 70.0  # half the sides of the area whose photos are the tests' slice
SLICE_PHOTOS = {"train": 96, "calibration": 24, "test": 24}


def make_demo(out: Path, seed: int, epochs: int, workers: int) -> Bundle:
    """Render, import, split by session, train, and bundle; what an interrupted run had finished is kept."""
    check_writable(out / "photos")
    world = demo_world()
    shots = plan_shots(world, seed)
    log.info("1/5 rendering %d photos", len(shots))
    photos, samples = out / "photos", out / "samples"
    with renderers(workers) as pool:
        render_shots(shots, world, photos, pool)
        large = render_large(sample_shots(shots), world, samples, pool)
    map_file = out / "map.geojson"
    with written_atomically(map_file) as temporary:
        temporary.write_text(json.dumps(campus_map(world), ensure_ascii=False), encoding="utf-8")
    write_slice(shots, photos, out / "slice")

    log.info("2/5 importing")
    dataset_folder = out / "dataset"
    if dataset_folder.exists():
        clear_work(dataset_folder)
    else:
        ingest(photos, dataset_folder, workers=workers)
    dataset = Dataset.load(dataset_folder)

    log.info("3/5 splitting by session")
    named = {split: tuple(s.name for s in SESSIONS if s.split == split) for split in ("calibration", "test")}
    splits = split_or_load(dataset, SplitConfig("session", named["calibration"], named["test"], seed=seed))

    log.info("4/5 training %d epochs", epochs)
    config = CampusConfig(epochs=epochs, image_size=IMAGE_SIZE, seed=seed, frozen_stages=3)
    run = fit(prepare(dataset, splits, config), out / "run", config, resume=True)

    log.info("5/5 bundling")
    return make_bundle(
        Run.load(run),
        out / "bundle",
        BundleConfig(NAME, DESCRIPTION, rendered=True, second_look=False),  # 15 MB more than the repository needs
        campus_map(world),
        {f"{SAMPLES}{path.parent.name}-{path.name}": path.read_bytes() for path in large},
        force=True,
    )


def sample_shots(shots: Sequence[Shot]) -> list[Shot]:
    """Test shots spread over the walks, by day and by night, and all shots of some standpoints: what the bundle lets
    people try.
    """
    chosen: list[Shot] = []
    for name, count in SINGLE_SAMPLES.items():
        walk = [shot for shot in shots if shot.session == name]
        chosen += [walk[(2 * index + 1) * len(walk) // (2 * count)] for index in range(count)]
    for name, count in SAMPLE_BURSTS.items():
        of_walk = groupby(
            (shot for shot in shots if shot.session == name), key=lambda shot: (shot.east_m, shot.north_m)
        )
        stops = [list(stop) for _, stop in of_walk]
        chosen += [shot for index in range(count) for shot in stops[(2 * index + 1) * len(stops) // (2 * count)]]
    return chosen


def write_slice(shots: Sequence[Shot], photos: Path, out: Path) -> None:
    """Copy a few photos of every session from the middle of the campus: what the tests train on."""
    middle = [s for s in shots if abs(s.east_m) < SLICE_EAST_M and abs(s.north_m) < SLICE_NORTH_M]
    with written_atomically(out) as temporary:
        for split, count in SLICE_PHOTOS.items():
            sessions = [session.name for session in SESSIONS if session.split == split]
            for name in sessions:
                walk = [shot for shot in middle if shot.session == name]
                share = count // len(sessions)
                (temporary / name).mkdir(parents=True)
                for index in range(share):
                    shot = walk[index * len(walk) // share]
                    shutil.copyfile(photos / name / shot.name, temporary / name / shot.name)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, default=Path("runs/demo"), metavar="DIR", help="default %(default)s")
    parser.add_argument(
        "--seed", type=seed_number, default=1, metavar="N", help="default %(default)s, the shipped campus"
    )
    parser.add_argument("--epochs", type=int, default=EPOCHS, metavar="N", help="default %(default)s")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, metavar="N", help="rendering processes")


def main(args: argparse.Namespace) -> int:
    bundle = make_demo(args.out, args.seed, args.epochs, args.workers)
    print(f"{bundle.path}: the demo bundle; campuses/demo is one such")
    return 0
