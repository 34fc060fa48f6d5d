"""An archive located by a Ray cluster: addresses travel to its cores, which read and locate; rows come back.

Ray carries what this program leaves to it: scheduling, and the retries after a lost node. Photos do not pass its object
store, nor does Ray Data stand between (docs/decisions.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from core.archive.parts import Parts
from core.archive.photos import Shard
from core.archive.rows import ArchiveTally, Row
from core.archive.run import located, opened, with_progress
from core.archive.stores import StoredPhoto, stored_photos
from core.errors import CampusError, MissingDependency, reason_of
from core.locate.many import BATCH
from core.photo.names import as_text

Photos = list[StoredPhoto]

_READERS = 4  # threads of a core that read and decode: while one waits for a far store, others keep it busy
_LARGEST, _TURNS = 256, 16  # photos of a task; tasks of each core at least, so that all end at about the same time
_AHEAD = 1000  # tasks given to Ray before it asks: what its autoscaler sees
_RETRIES = 3  # of a task whose node or process is lost, before its photos are tried one by one


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
        size = max(BATCH, min(_LARGEST, len(left) // (_TURNS * _cores(address))))
        rows = on_cores((left[at : at + size] for at in range(0, len(left), size)), _locate, str(bundle))
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


def on_cores(tasks: Iterable[Photos], locate: Callable[[Photos, str], Sequence[Row]], bundle: str) -> Iterator[Row]:
    """The rows that `locate` makes of each task on a core of the cluster, as they come.

    A photo whose process is lost each time becomes a row that says so. Raises what `locate` raises.
    """
    import ray
    from ray.exceptions import RayError, RayTaskError

    remote = ray.remote(num_cpus=1, max_retries=_RETRIES)(locate)
    waiting, running = iter(tasks), dict[Any, Photos]()
    while True:
        for task in islice(waiting, max(0, _AHEAD - len(running))):  # a lost task runs on as many
            running[remote.remote(task, bundle)] = task
        if not running:
            return
        (done,), _ = ray.wait(list(running))
        task = running.pop(done)
        try:
            yield from ray.get(done)
        except RayTaskError as error:
            if isinstance(error.cause, CampusError):
                raise error.cause from None
            raise
        except RayError:
            if len(task) == 1:
                yield Row(task[0].name, error=f"the process that located this photo was lost, {_RETRIES + 1} times")
            else:
                running |= {remote.remote([photo], bundle): [photo] for photo in task}


def _locate(photos: Photos, bundle: str) -> list[Row]:
    names, sources = [photo.name for photo in photos], [photo.source for photo in photos]
    return list(located(opened(Path(bundle)), names, sources, _READERS))
