"""Render planned shots to JPEGs with EXIF, over processes; an interrupted run continues where it stopped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from itertools import groupby
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from core.cli.orphans import end_with_parent
from core.io.files import written_atomically
from train.demo.develop import develop, jpeg
from train.demo.scene import Place, Stage, load_place, load_stage, mitsuba
from train.demo.sessions import Shot, session_named
from train.demo.trace import trace
from train.demo.world import World

CHUNK = 25  # photos handed to a process at once

# What this process has loaded: the campus, and its latest session.
_place: Place | None = None
_stage: Stage | None = None


@contextmanager
def renderers(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Processes that render, each with one thread, the campus loaded once, and one session at a time.

    Raises MissingDependency where mitsuba is absent.
    """
    mitsuba()
    with ProcessPoolExecutor(max(1, workers), mp_context=get_context("spawn"), initializer=end_with_parent) as pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def render_shots(
    shots: Sequence[Shot], world: World, out_dir: Path, pool: ProcessPoolExecutor, width: int = 256, height: int = 192,
    spp: int = 2, progress: bool = True,
) -> list[Path]:  # fmt: skip
    """Write `out_dir/SESSION/IMG_00001.jpg` for every shot and return the paths in the order of `shots`.

    Existing files are left alone.
    """
    paths = [out_dir / shot.session / shot.name for shot in shots]
    missing = [shot for shot, path in zip(shots, paths, strict=True) if not path.exists()]
    chunks: list[list[Shot]] = []
    for _, group in groupby(missing, key=lambda shot: shot.session):
        members = list(group)
        chunks += [members[at : at + CHUNK] for at in range(0, len(members), CHUNK)]
    with tqdm(total=len(missing), desc="rendering", unit="photo", disable=not progress) as bar:
        jobs = [pool.submit(_render_chunk, chunk, world, out_dir, width, height, spp) for chunk in chunks]
        for job in as_completed(jobs):
            bar.update(job.result())
    return paths


def render_large(
    shots: Sequence[Shot], world: World, out_dir: Path, pool: ProcessPoolExecutor, width: int = 640, height: int = 480,
    spp: int = 9, progress: bool = True,
) -> list[Path]:  # fmt: skip
    """The same shots bigger and cleaner, for samples that people look at."""
    return render_shots(shots, world, out_dir, pool, width, height, spp, progress)


def render_pixels(stage: Stage, world: World, shot: Shot, width: int, height: int, spp: int) -> NDArray[np.uint8]:
    """One shot in a loaded stage -> (height, width, 3) uint8 sRGB."""
    return develop(trace(stage, shot, width, height, spp), world, stage.session, shot)


def _render_chunk(shots: list[Shot], world: World, out_dir: Path, width: int, height: int, spp: int) -> int:
    """Render shots of one session in this process; each file is written temporary, then renamed."""
    global _place, _stage
    session = session_named(shots[0].session)
    if _stage is None or _stage.session != session:
        _place = _place or load_place(world)
        _stage = None  # let go of the old scene before building the next
        _stage = load_stage(_place, world, session)
    folder = out_dir / session.name
    folder.mkdir(parents=True, exist_ok=True)
    for shot in shots:
        data = jpeg(render_pixels(_stage, world, shot, width, height, spp), world, session, shot)
        with written_atomically(folder / shot.name) as temporary:
            temporary.write_bytes(data)
    return len(shots)
