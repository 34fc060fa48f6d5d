"""Commands killed with SIGKILL: the next run goes on to what an uninterrupted one gives; no reader sees half a file.

Each command is killed a few times, at moments drawn by seed and spread over its touches of the folder that it writes
in (see `forks`), each time going on from what the last kill left, and then run to its end; one that finishes all
the same starts anew. What it leaves is compared byte by byte with an uninterrupted run's, but for: `seconds` in
log.csv; `created_utc`, `trained_utc`, `refreshed_utc` and `digest` in campus.json; the dataset's path in config.json;
the name of the cache of photos; and timing.cache, which holds measured times; of last.pt, the values. Meanwhile a
reader polls the outputs. The long run, of N kills for each command:

    KILLS=200 SEED=1 python -m pytest tests/interrupted/test_kills.py

`demo` renders two tiny photos of each session here. Kills within `core.io.files` stand in tests/core/io/test_files.py,
at every single step.
"""

from __future__ import annotations

import csv
import io
import os
import random
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors.torch import load

from core.campus.file_names import ENGINE, KEY
from edge.device.build import TIMING_CACHE
from tests.interrupted.conftest import fit_flags
from tests.interrupted.harness import KILLED, Forks, reading, tree

pytestmark = pytest.mark.slow
KILLS, SEED = int(os.environ.get("KILLS", "0")), int(os.environ.get("SEED", "0"))
LONGEST_DELAY_S = 0.003  # after a touch, so that kills fall within writes as well as between them


@dataclass(frozen=True)
class Job:
    """A command to kill. `box` is a folder of its own with what it starts from; it writes to `box / out`.

    `starts_from`: names in `made`. `read`: the paths below `out` that are each written whole or not at all ("" for
    `out` itself).
    """

    words: Callable[[Path, Path], tuple[object, ...]]
    out: str = "out"
    read: tuple[str, ...] = ("",)
    kills: int = 3
    starts_from: tuple[str, ...] = ()


def _replacing(made: Path, box: Path) -> tuple[object, ...]:
    return ("train", "bundle", made / "run", "--out", box / "bundle", "--samples", 1, "--name", "New", "--force")


def _refreshing(made: Path, box: Path) -> tuple[object, ...]:
    return ("train", "refresh", box / "bundle", made / "walk", "--out", box / "bundle", "--force")


JOBS = {
    "ingest": Job(lambda made, box: ("train", "ingest", made / "photos", "--out", box / "out", "--workers", 2)),
    "fit": Job(
        lambda made, box: ("train", "fit", box / "dataset", "--out", box / "out", *fit_flags(made)),
        read=("config.json", "splits.json", "log.csv", "best.safetensors", "last.pt"),
        kills=4,
        starts_from=("dataset",),
    ),
    "bundle": Job(_replacing, out="bundle", kills=1, starts_from=("bundle",)),
    "refresh": Job(_refreshing, out="bundle", kills=4, starts_from=("bundle",)),
    "export": Job(lambda made, box: ("edge", "export", made / "bundle", "--out", box / "out"), kills=1),
    "build": Job(
        lambda _, box: ("edge", "build", box / "small.campus-edge", "--out", box / "out", "--max-batch", 2),
        read=("campus.json", "model.onnx", "edge/model.fp16.onnx", ENGINE, KEY),
        kills=4,
        starts_from=("small.campus-edge",),
    ),
    "demo": Job(
        lambda _, box: ("train", "demo", "--out", box / "out", "--epochs", 1, "--workers", 2),
        read=("map.geojson", "slice", "dataset/gt.csv", "dataset/images", "dataset/splits.json", "bundle"),
        kills=1,
    ),
}


@pytest.mark.parametrize("name", JOBS)
def test_killed_commands_go_on(name: str, forks: Forks, made: Path, tmp_path: Path) -> None:
    job, rng = JOBS[name], random.Random(SEED)
    done = forks.run(*job.words(made, new_box(job, made, tmp_path / "straight")), under=tmp_path / "straight")
    assert done.code == 0, done.stderr
    whole = contents(tmp_path / "straight", job)

    kills = KILLS or job.kills
    moments = [
        (1 + int((index + rng.random()) * done.touches / kills), rng.uniform(0, LONGEST_DELAY_S) if index % 2 else 0.0)
        for index in range(kills)
    ]
    killed = 0
    for life in range(kills + 1):
        box = new_box(job, made, tmp_path / f"life-{life}")
        before = {part: contents(box, job, part) for part in job.read if (box / job.out / part).exists()}
        with reading(*(box / job.out / part for part in job.read)) as readers:
            while not finishes(forks, job, made, box, *(moments.pop(0) if moments else (0, 0.0))):
                killed += 1
        assert contents(box, job) == whole
        check_leftovers(box)
        for part, reader in zip(job.read, readers, strict=True):
            allowed = [before.get(part), contents(box, job, part)]
            for content in reader.states.values():
                found = plain(content, box)
                assert found in allowed or is_whole_epoch(reader.out.name, content), f"half of {part}: {[*content]}"
        shutil.rmtree(box)
        if not moments:
            break
    assert killed >= max(1, kills // 2)  # a run that goes on has less to do, and may end before its moment comes


def finishes(forks: Forks, job: Job, made: Path, box: Path, touch: int, later_s: float) -> bool:
    """Run a command, doing what it says where it does not simply go on; False where it was killed."""
    words = job.words(made, box)
    done = forks.run(*words, under=box, touch=touch, later_s=later_s)
    if done.code == 2 and "--resume" in done.complaint:
        done = forks.run(*words, "--resume", under=box, touch=touch, later_s=later_s)
    if done.code == 2:
        assert re.search("exists already|in this campus already", done.complaint)  # killed when all was done
        return True
    assert done.code in (0, KILLED), done.stderr
    return done.code == 0


def new_box(job: Job, made: Path, box: Path) -> Path:
    """A folder with what the command starts from."""
    box.mkdir()
    for name in job.starts_from:
        (shutil.copytree if (made / name).is_dir() else shutil.copy)(made / name, box / name)
    return box


def contents(box: Path, job: Job, part: str = "") -> dict[str, object]:
    """What a command has made, without what differs from run to run."""
    return plain(tree(box / job.out / part), box)


def plain(content: dict[str, bytes], box: Path) -> dict[str, object]:
    """The same without times, the name of the box, and the key of the cache of photos, which holds both; hidden files,
    which readers do not look for, are left out.
    """
    held: dict[str, object] = {}
    for path, data in content.items():
        path = re.sub(r"(cache/images-\d+)-[0-9a-f]+", r"\1", path)
        name = path.rpartition("/")[2]
        if name == "log.csv":
            held[path] = [{**row, "seconds": ""} for row in csv.DictReader(io.StringIO(data.decode()))]
        elif name == "last.pt":
            held[path] = _values(torch.load(io.BytesIO(data), weights_only=True))
        elif name == "campus.json":
            held[path] = re.sub(rb'"(created_utc|trained_utc|refreshed_utc|digest)": "[^"]*"', b"", data)
        elif not (path.startswith(".") or "/." in path or name == TIMING_CACHE):
            held[path] = data.replace(str(box).encode(), b"BOX")
    return held


def _values(state: object) -> object:
    """What `torch.save` holds, comparable: its pickle differs where an object was read from a file before."""
    if isinstance(state, torch.Tensor):
        return state.dtype, state.shape, state.numpy().tobytes()
    if isinstance(state, dict):
        return {key: _values(value) for key, value in state.items()}
    return [_values(value) for value in state] if isinstance(state, (list, tuple)) else state


def is_whole_epoch(name: str, content: dict[str, bytes]) -> bool:
    """Whether it is a file that `fit` replaces after each epoch, and whole; raises where it cannot be read."""
    data = content.get(name, b"")
    if name == "log.csv":
        rows = list(csv.DictReader(io.StringIO(data.decode())))
        return data.endswith(b"\n") and all(None not in row and all(row.values()) for row in rows)
    if name == "last.pt":
        return "optimiser" in torch.load(io.BytesIO(data), weights_only=True)
    return name == "best.safetensors" and "mean" not in load(data)


def check_leftovers(box: Path) -> None:
    """What a killed writer leaves is cleared away by the next one of the same place, so there is one at most."""
    left = list(box.rglob(".*.temporary"))
    places = [path.with_name(path.name.rsplit(".", 2)[0].removeprefix(".")) for path in left]
    assert len(set(places)) == len(places), left
    assert [path for path in box.rglob(".*") if path not in left and not any(p in left for p in path.parents)] == []
    assert not list(box.rglob("*.partial"))
