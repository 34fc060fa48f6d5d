"""An archive located by a Ray cluster: addresses travel to its cores, which read and locate; rows come back.

Ray Data schedules a pool of actors, one a core, and retries for ever what a lost node held. Photos do not pass its
object store.
"""

from __future__ import annotations

import logging
import pickle
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from core.archive.child import Child, Locate
from core.archive.parts import Parts
from core.archive.photos import Shard
from core.archive.rows import ArchiveTally, Row, schema
from core.archive.run import located_alone, with_progress
from core.archive.stores import StoredPhoto, stored_photos
from core.errors import CampusError, MissingDependency, reason_of
from core.locate.many import BATCH
from core.photo.names import as_text

Photos = list[StoredPhoto]

_READERS = 4  # threads of a core that read and decode: while one waits for a far store, others keep it busy
_LARGEST, _TURNS = 256, 16  # photos of a task; tasks of each core at least, so that all end at about the same time
_TASK = "photos"  # the column of Ray Data that holds them


def locate_on_cluster(
    places: Iterable[str], bundle: Path, out: str, address: str | None, *,
    shard: Shard | None = None, resume: bool = False,
) -> ArchiveTally:  # fmt: skip
    """Locate files, folders, patterns or URLs on the cluster at `address` into the folder `out`.

    `address` None: the cluster at $RAY_ADDRESS, else the Ray that runs on this machine, else one that is started on it.
    Photos on a disk and the bundle must be readable under the same path on every node. A photo that cannot be located
    is a row with its reason, and a lost node costs only time. `resume`: what `out` holds is not located again.
    Raises CampusError.
    """
    parts = Parts(out, resume)
    photos = stored_photos(places, shard)
    left = [photo for photo in photos if as_text(photo.name) not in parts.before]
    rows: Iterator[Row] = iter(())
    if left:
        cores = _cores(address)
        size = max(BATCH, min(_LARGEST, len(left) // (_TURNS * cores)))
        tasks = [left[at : at + size] for at in range(0, len(left), size)]
        rows = by_ray_data(tasks, partial(located_alone, str(bundle), _READERS), min(cores, len(tasks)))
    failed = 0
    with parts:
        for row in with_progress(rows, len(photos), len(photos) - len(left)):
            parts.add(row)
            failed += row.error is not None
    return ArchiveTally(len(left) - failed, failed, len(photos) - len(left))


def _cores(address: str | None) -> int:
    """How many cores the cluster has, which is reached or started first. Raises CampusError."""
    try:
        import ray
    except ImportError as error:
        raise MissingDependency("ray", "requirements-cluster.txt") from error
    try:
        if not ray.is_initialized():
            ray.init(address=address or None, log_to_driver=False)
        return max(1, int(ray.cluster_resources().get("CPU", 1)))
    except Exception as error:  # of a start that takes too long Ray raises no kind of its own
        raise CampusError(
            f"Ray cannot be reached or started ({reason_of(error)})",
            path=f"--ray {address or ''}".strip(),
            remedy="see docs/cluster.md",
        ) from error


def by_ray_data(tasks: Sequence[Photos], locate: Locate, cores: int) -> Iterator[Row]:
    """The rows that `locate` makes of each task, as they come, by an actor on each of so many cores and of later ones.

    A photo that kills its process is a row that says so. Raises what `locate` raises.
    """
    import ray.data
    from ray.exceptions import RayTaskError

    _quiet(ray.data.DataContext.get_current())
    items = [{_TASK: pickle.dumps(task)} for task in tasks]  # Arrow has no texts for names that are no UTF-8
    found = ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
        _Core,
        fn_constructor_args=(locate,),
        batch_size=None,  # a block, which is a task
        num_cpus=1,
        compute=ray.data.ActorPoolStrategy(min_size=1, initial_size=cores),
    )
    try:
        for rows in found.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
            yield from (Row(**row) for row in rows.to_pylist())
    except RayTaskError as error:
        if isinstance(error.cause, CampusError):
            raise error.cause from None
        raise


def _quiet(context: Any) -> None:
    """Let Ray Data neither draw nor log, since rows have a bar and errors a line, nor give up where nodes are late."""
    context.enable_progress_bars = context.print_on_execution_start = False
    context.execution_no_progress_timeout_s = -1
    context.raise_original_map_exception = True
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)


class _Core:
    """An actor of Ray Data, whose child locates: a photo that ended the actor itself would be tried for ever."""

    def __init__(self, locate: Locate) -> None:
        self._child = Child(locate)

    def __call__(self, batch: dict[str, Any]) -> Any:
        """The rows of the batch's photos, a pyarrow.Table."""
        import pyarrow

        photos: Photos = [photo for task in batch[_TASK] for photo in pickle.loads(task)]
        rows = self._child.located([photo.name for photo in photos], [photo.source for photo in photos])
        return pyarrow.Table.from_pylist([row.as_dict() for row in rows], schema())
