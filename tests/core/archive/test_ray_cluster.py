"""An archive on a real Ray cluster of two local nodes, one of which is killed in the middle."""

from __future__ import annotations

import threading
import time
import warnings
from pathlib import Path

import pytest

from core.archive.ray_cluster import locate_on_cluster
from core.archive.rows import COLUMNS
from tests.bundles import photo

ray = pytest.importorskip("ray", reason="ray is not installed: pip install -r requirements-cluster.txt")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # Ray's own warnings are not ours to mend


def test_a_lost_node_costs_time_and_no_photo(bundle: Path, tmp_path: Path) -> None:
    import pyarrow.parquet
    from ray.cluster_utils import Cluster

    folder = tmp_path / "photos"
    folder.mkdir()
    pictures = [photo(east_m=float(index)) for index in range(8)]
    for index in range(400):
        (folder / f"{index}.jpg").write_bytes(pictures[index % len(pictures)])
    (folder / "broken.jpg").write_bytes(b"\xff\xd8no photo")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 100 << 20})
        try:
            second = cluster.add_node(num_cpus=1, object_store_memory=100 << 20)
            ray.init(address=cluster.address, log_to_driver=False)
            killed = threading.Event()

            def kill() -> None:
                time.sleep(8)
                cluster.remove_node(second, allow_graceful=False)
                killed.set()

            killer = threading.Thread(target=kill)
            killer.start()
            tally = locate_on_cluster([str(folder)], bundle, str(tmp_path / "out.parquet"), None, actors=2)
            killer.join()
        finally:
            ray.shutdown()
            cluster.shutdown()
    assert killed.is_set()
    assert (tally.located, tally.failed) == (400, 1)
    table = pyarrow.parquet.read_table(tmp_path / "out.parquet")
    assert table.column_names == list(COLUMNS)
    assert len(set(table["photo"].to_pylist())) == table.num_rows == 401
