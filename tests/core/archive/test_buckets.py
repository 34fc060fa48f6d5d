"""Photos and rows in a bucket, at an S3 server that no one here wrote: moto's."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import predict
from benchmarks.serving import free_port
from core.archive.options import SOME_FAILED
from core.archive.parts import Parts
from core.archive.rows import Row
from core.archive.stores import store_of, stored_photos
from core.errors import CampusError, PhotoError
from core.photo.load import load_photo
from tests.bundles import photo

pytest.importorskip("moto", reason="moto is not installed: pip install --no-deps -r requirements-s3-server.txt")


@pytest.fixture(scope="module")
def bucket() -> Iterator[Any]:
    """The file system of a server that holds the bucket `archive` with two photos, a note and a broken photo."""
    port = free_port()
    given = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "name",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
    }
    with (
        pytest.MonkeyPatch.context() as setting,
        subprocess.Popen(
            [sys.executable, "-m", "moto.server", "--port", str(port)], stderr=subprocess.DEVNULL
        ) as server,
    ):
        for name, value in given.items():
            setting.setenv(name, value)
        try:
            yield filled()
        finally:
            server.kill()


def filled(seconds: float = 60) -> Any:
    store, name = store_of("s3://archive?allow_bucket_creation=true")
    for _ in range(int(seconds * 10)):
        try:
            store.create_dir(name)
            break
        except OSError:  # the server is not there yet
            time.sleep(0.1)
    contents = {"a.jpg": photo(), "below/b é.JPG": photo(), "broken.jpg": b"none", "notes.txt": b"none"}
    for below, content in contents.items():
        with store.open_output_stream(f"{name}/{below}") as file:
            file.write(content)
    return store


@pytest.mark.usefixtures("bucket")
def test_a_bucket_s_photos_are_listed_and_read() -> None:
    found = stored_photos(["s3://archive", "s3://archive/a.jpg", "s3://archive/gone.jpg"])
    names = ["a.jpg", "below/b é.JPG", "broken.jpg", "gone.jpg"]
    assert [each.name for each in found] == [f"s3://archive/{name}" for name in names]
    assert load_photo(found[1].source).rgb.any()
    with pytest.raises(PhotoError, match=r"gone\.jpg: cannot be read"):
        load_photo(found[3].source)


def test_rows_in_a_bucket_are_gone_on_with(bucket: Any) -> None:
    import pyarrow.parquet

    for name, before in (("a", set()), ("b", {"a"})):
        with Parts("s3://archive/rows.parquet", resume=bool(before)) as parts:
            assert parts.before == before
            parts.add(Row(name))
    held = pyarrow.parquet.read_table("archive/rows.parquet", filesystem=bucket)
    assert sorted(held["photo"].to_pylist()) == ["a", "b"]


@pytest.mark.usefixtures("bucket")
def test_a_bucket_that_is_not_there_is_told_before_a_photo_is_located() -> None:
    with pytest.raises(CampusError, match=r"s3://nowhere/rows\.parquet: no such bucket"):
        Parts("s3://nowhere/rows.parquet", resume=False)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Ray's own warnings are not ours to mend
def test_the_command_line_locates_a_bucket_into_it(
    bucket: Any, pristine: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import pyarrow.parquet

    ray = pytest.importorskip("ray", reason="ray is not installed: pip install -r requirements-cluster.txt")
    line = ["predict.py", "s3://archive", "--out", "s3://archive/fixes.parquet", "--ray", "--bundle", str(pristine)]
    monkeypatch.setattr(sys, "argv", line)
    ray.init("local", num_cpus=1, object_store_memory=100 << 20, include_dashboard=False, log_to_driver=False)
    try:
        assert predict.main() == SOME_FAILED
    finally:
        ray.shutdown()
    assert "s3://archive/fixes.parquet: 2 photos located, 1 could not be" in capsys.readouterr().err
    held = pyarrow.parquet.read_table("archive/fixes.parquet", filesystem=bucket).to_pylist()
    assert {row["photo"]: row["error"] is None for row in held} == {
        "s3://archive/a.jpg": True,
        "s3://archive/below/b é.JPG": True,
        "s3://archive/broken.jpg": False,
    }
