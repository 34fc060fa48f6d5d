"""Photos a second of an archive: one loop, batches in threads, processes, a Ray cluster of two nodes."""

from __future__ import annotations

import importlib.util
import os
import random
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.ingesting import photos_into
from benchmarks.timing import Effort, Section, Target, Times, interleaved
from core.archive.journal import Journal
from core.archive.run import locate_archive
from core.errors import PhotoError
from core.locate.localizer import DEMO_BUNDLE, Localizer
from core.locate.many import BATCH

LOOP, MANY, JOBS, RAY = "one loop over locate", "locate_many", "--jobs 2", "--ray, two nodes of a core each"
GOAL = 1.8
REPEATS = 3  # so that an archive takes long beside the start of a process
Ways = dict[str, Callable[[], Any]]


@contextmanager
def two_nodes() -> Iterator[Callable[[], None]]:
    """A Ray cluster of two local nodes of a core each; yields what loses one of them."""
    import ray
    from ray.cluster_utils import Cluster

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray's own
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 300 << 20})
        try:
            second = cluster.add_node(num_cpus=1, object_store_memory=300 << 20)
            ray.init(address=cluster.address, log_to_driver=False)
            yield lambda: cluster.remove_node(second, allow_graceful=False)
        finally:
            ray.shutdown()
            cluster.shutdown()


def archive_ways(
    localizer: Localizer, photos: list[Path], folder: Path, with_ray: bool
) -> dict[str, Callable[[], Any]]:
    """Each way over all photos; those of processes and Ray open their campuses anew, as a command does."""
    names, number = [str(photo) for photo in photos], iter(range(10**6))

    def jobs() -> None:
        with Journal(folder / f"{next(number)}.jsonl") as journal:
            all_located(locate_archive(names, DEMO_BUNDLE, journal, 2).failed)

    def ray() -> None:
        from core.archive.ray_cluster import locate_on_cluster

        all_located(locate_on_cluster(names, DEMO_BUNDLE, str(folder / f"{next(number)}.parquet"), None).failed)

    ways: Ways = {
        LOOP: lambda: [localizer.locate(photo) for photo in photos],
        MANY: lambda: all_located(sum(isinstance(fix, PhotoError) for fix in localizer.locate_many(photos))),
        JOBS: jobs,
    }
    return ways | ({RAY: ray} if with_ray else {})


def all_located(failed: int) -> None:
    """Raise RuntimeError where photos came back with a reason in place of a fix, which takes less time."""
    if failed:
        raise RuntimeError(f"{failed} photos were not located")


def linked(folder: Path, repeats: int) -> list[Path]:
    """Each of `folder`/photos, so many times, as links."""
    (folder / "links").mkdir()
    found = sorted((folder / "photos").iterdir())
    links = [folder / "links" / f"{turn}-{photo.name}" for turn in range(repeats) for photo in found]
    for link in links:
        link.symlink_to(folder / "photos" / link.name.partition("-")[2])
    return links


def in_turn(ways: Ways, rounds: int) -> tuple[dict[str, Times], dict[str, float]]:
    """Seconds of each way, in a new order each round; and how many cores this process itself used in each."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    worked = dict.fromkeys(ways, 0.0)
    order = random.Random(0)
    for _ in range(rounds):
        for name in order.sample(list(ways), len(ways)):
            started, worked_before = time.perf_counter(), time.process_time()
            ways[name]()
            taken[name].append(time.perf_counter() - started)
            worked[name] += time.process_time() - worked_before
    cores = {name: worked[name] / sum(seconds) for name, seconds in taken.items()}
    return {name: Times(tuple(seconds)) for name, seconds in taken.items()}, cores


def run(effort: Effort) -> Section:
    """The archive's ways in turn, then the network alone on a batch and on singles."""
    localizer = Localizer.load(DEMO_BUNDLE)
    with_ray = not effort.tiny and importlib.util.find_spec("ray") is not None
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        _, source = photos_into(Path(folder) / "photos", effort)
        photos = linked(Path(folder), 1 if effort.tiny else REPEATS)
        if with_ray:
            stack.enter_context(two_nodes())
        ways = archive_ways(localizer, photos, Path(folder), with_ray)
        times, cores = in_turn(ways, 1 if effort.tiny else 3)
    count, loop = len(photos), times[LOOP].median
    section = Section(
        "Many photos",
        f"{source[0].upper()}{source[1:]}, on {os.cpu_count()} cores with the demo bundle, {count} files to fixes. The "
        f"loop works on {cores[LOOP]:.2f} cores already, its network on all and its decoder on one, and locate_many on "
        f"{cores[MANY]:.2f}. Processes open their campuses within the time "
        "measured, those of --jobs start in it as well; Ray's nodes run before.",
    )
    section.keep("archive", times)
    section.tables.append(
        [("", "seconds (each run)", "photos/s", "against the loop")]
        + [
            (
                name, ", ".join(f"{s:.1f}" for s in value.seconds), f"{count / value.median:.1f}",
                f"{loop / value.median:.2f} x",
            )
            for name, value in times.items()
        ]
    )  # fmt: skip
    _add_batches(section, localizer, effort)
    most = (os.cpu_count() or 1) / cores[LOOP]
    limit = f"All cores, worked on all the time, would give {most:.2f} x: the loop works on more than one already."
    for name, value in times.items():
        if name != LOOP:
            ratio = loop / value.median
            section.targets.append(Target(f"{name}: {GOAL} x one loop", f"{ratio:.2f} x", ratio >= GOAL, limit))
    return section


def _add_batches(section: Section, localizer: Localizer, effort: Effort) -> None:
    """The network alone: 16 photos in one call, and in 16."""
    size = localizer.bundle.manifest.image_size
    images = np.random.default_rng(0).integers(0, 256, (BATCH, size, size, 3), np.uint8)
    engine, whole, single = localizer.engine, f"a batch of {BATCH}", f"{BATCH} singles"
    times = interleaved(
        {
            whole: lambda: engine.run(images),
            single: lambda: [engine.run(images[row : row + 1]) for row in range(BATCH)],
        },
        effort,
        again=True,
    )
    section.keep("network", times)
    section.tables.append(
        [(f"the network alone, {engine.name}", "median (p10 – p90)", f"against {single}")]
        + [(name, str(value), f"{times[single].median / value.median:.2f} x") for name, value in times.items()]
    )
