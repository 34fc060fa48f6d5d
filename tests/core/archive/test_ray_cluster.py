"""An archive on a real Ray cluster of two local nodes, one of which is killed in the middle."""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from core.archive import ray_cluster
from core.archive.parts import Parts
from core.archive.ray_cluster import by_ray_data, locate_on_cluster
from core.archive.rows import COLUMNS, Row
from core.archive.run import located_alone
from core.archive.stores import StoredPhoto, store_of
from core.errors import BundleError, CampusError
from tests.bundles import photo

ray = pytest.importorskip("ray", reason="ray is not installed: pip install -r requirements-cluster.txt")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # Ray's own warnings are not ours to mend


def fatal(names: Sequence[str], _: Sequence[object]) -> list[Row]:
    """What a photo does that kills the process which decodes it."""
    if any(name.endswith("fatal.jpg") for name in names):
        os.kill(os.getpid(), signal.SIGKILL)
    return [Row(name) for name in names]


def located_or_fatal(where: str, threads: int, names: Sequence[str], sources: Sequence[object]) -> list[Row]:
    fatal(names, sources)
    return located_alone(where, threads, names, sources)


def test_a_lost_node_costs_time_and_a_fatal_photo_its_row(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pyarrow.parquet
    from ray.cluster_utils import Cluster

    folder = tmp_path / "photos"
    folder.mkdir()
    pictures = [photo(east_m=float(index)) for index in range(8)]
    for index in range(400):
        (folder / f"{index}.jpg").write_bytes(pictures[index % len(pictures)])
    (folder / "broken.jpg").write_bytes(b"\xff\xd8no photo")
    (folder / "fatal.jpg").write_bytes(pictures[0])
    lost: list[object] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        head = {"num_cpus": 1, "object_store_memory": 100 << 20, "include_dashboard": False}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        try:
            second = cluster.add_node(num_cpus=1, object_store_memory=100 << 20)
            ray.init(address=cluster.address, log_to_driver=False)

            def killing(rows: Iterator[Row], *_: int) -> Iterator[Row]:
                for number, row in enumerate(rows):
                    if number == 50:
                        cluster.remove_node(second, allow_graceful=False)
                        lost.append(second)
                    yield row

            monkeypatch.setattr(ray_cluster, "with_progress", killing)
            monkeypatch.setattr(ray_cluster, "located_alone", located_or_fatal)
            tally = locate_on_cluster([str(folder)], bundle, str(tmp_path / "out.parquet"), None)
        finally:
            ray.shutdown()
            cluster.shutdown()
    assert lost
    assert (tally.located, tally.failed) == (400, 2)
    table = pyarrow.parquet.read_table(tmp_path / "out.parquet")
    assert table.column_names == list(COLUMNS)
    assert len(set(table["photo"].to_pylist())) == table.num_rows == 402
    reasons = {Path(row["photo"]).name: row["error"] for row in table.to_pylist() if row["error"] is not None}
    assert sorted(reasons) == ["broken.jpg", "fatal.jpg"]
    assert reasons["fatal.jpg"] == "the process that located this photo was lost, 3 times"


def test_a_ray_that_does_not_start_is_one_line_and_is_not_asked_for_nothing(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(**_: object) -> None:
        raise Exception("The current node timed out during startup.")

    monkeypatch.setattr(ray, "init", late)
    (tmp_path / "a.jpg").write_bytes(photo())
    place, out = str(tmp_path / "a.jpg"), tmp_path / "out.parquet"
    with pytest.raises(CampusError, match=r"cannot be reached or started .*timed out"):
        locate_on_cluster([place], bundle, str(out), None)
    assert not out.exists()
    with Parts(str(out), resume=False) as parts:
        parts.add(Row(place))
    tally = locate_on_cluster([place], bundle, str(out), None, resume=True)
    assert (tally.located, tally.failed, tally.before) == (0, 0, 1)


def test_a_cluster_reads_urls_goes_on_and_outlives_what_kills_it(bundle: Path, tmp_path: Path) -> None:
    import pyarrow.parquet

    folder, out = tmp_path / "photos", tmp_path / "out.parquet"
    (folder / "below").mkdir(parents=True)
    for name in ("a.jpg", "below/b.jpg"):
        (folder / name).write_bytes(photo())
    places = [f"fsspec+file://{folder}", f"file://{folder}/below/b.jpg", f"fsspec+file://{folder}/gone.jpg"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ray.init("local", num_cpus=1, object_store_memory=100 << 20, include_dashboard=False, log_to_driver=False)
        try:
            tally = locate_on_cluster(places[:2], bundle, str(out), None)
            assert (tally.located, tally.failed, tally.before) == (3, 0, 0)
            tally = locate_on_cluster(places, bundle, f"file://{out}", None, resume=True)
            assert (tally.located, tally.failed, tally.before) == (0, 1, 3)
            with pytest.raises(BundleError, match="gone"):
                locate_on_cluster(places[:2], tmp_path / "gone", str(tmp_path / "other.parquet"), None)
            disk, _ = store_of("/")
            names = ["first.jpg", "fatal.jpg", "last.jpg"]
            rows = list(by_ray_data([[StoredPhoto(name, name, disk) for name in names]], fatal, 1))
        finally:
            ray.shutdown()
    assert {row.photo: row.error is None for row in rows} == {"first.jpg": True, "fatal.jpg": False, "last.jpg": True}
    table = {row["photo"]: row["error"] for row in pyarrow.parquet.read_table(out).to_pylist()}
    assert sorted(table) == sorted([f"{places[0]}/a.jpg", f"{places[0]}/below/b.jpg", *places[1:]])
    assert "gone.jpg: cannot be read" in table[places[2]]
