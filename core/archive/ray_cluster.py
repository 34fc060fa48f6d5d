"""An archive located by a Ray cluster: Ray Data reads, a pool of actors locates, Parquet takes the rows.

Ray carries what this program leaves to it: scheduling, retries after a lost node, and paths such as s3:// by pyarrow.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core.archive.rows import Tally, row_of, schema
from core.errors import MissingDependency
from core.locate.many import BATCH

# Of a core, for reading files beside an actor. Actors that held whole cores would leave none, once a node is lost, to
# read again what was lost with it: no photo would ever be located again.
_READING = 0.25


class LocateActor:
    """A Localizer on a node of the cluster; called with a batch of files by Ray Data."""

    def __init__(self, bundle: str) -> None:
        from core.locate.localizer import Localizer

        self._localizer = Localizer.load(bundle, threads=1)  # Ray counts a core for each actor

    def __call__(self, batch: dict[str, Any]) -> Any:
        """`path` and `bytes` of a batch -> a table of rows."""
        import pyarrow

        fixes = self._localizer.locate_many(map(bytes, batch["bytes"]), BATCH)
        rows = [row_of(str(path), fix).as_dict() for path, fix in zip(batch["path"], fixes, strict=True)]
        return pyarrow.Table.from_pylist(rows, schema=schema())


def locate_on_cluster(
    photos: list[str], bundle: Path, out: str, address: str | None, actors: int | None = None
) -> Tally:
    """Locate files, folders or URLs on the cluster at `address` (None: this machine) into the Parquet folder `out`.

    The bundle must be readable under the same path on every node. A photo that cannot be located is a row
    with its reason, and a lost node costs only time.
    """
    try:
        import ray
    except ImportError as error:
        raise MissingDependency("ray", "requirements-cluster.txt") from error
    if not ray.is_initialized():
        ray.init(address=address or None, log_to_driver=False)
    cores = int(ray.cluster_resources().get("CPU", 1))
    files = ray.data.read_binary_files(photos, include_paths=True, ray_remote_args={"num_cpus": _READING})
    rows = files.map_batches(
        LocateActor,
        fn_constructor_args=(str(bundle),),
        batch_size=BATCH,
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=actors or max(1, cores)),
        num_cpus=1 - _READING,
    ).materialize()
    rows.write_parquet(out)
    total, failed = int(rows.count()), sum(error is not None for error in _column(rows, "error"))
    return Tally(total - failed, failed, 0)


def _column(rows: Any, name: str) -> Iterator[Any]:
    for batch in rows.select_columns([name]).iter_batches(batch_format="pyarrow"):
        yield from batch[name].to_pylist()
