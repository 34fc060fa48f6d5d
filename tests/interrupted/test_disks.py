"""A full disk, a read-only one: one line that names the file and the remedy, nothing lost.

The disk is a real one: a small tmpfs, mounted in a namespace of the commands' own (`unshare`), filled to the brim or
mounted read-only. Skipped, saying so, where the system lets nobody but the administrator do that.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import REPOSITORY
from tests.bundles import make_bundle
from tests.bundles import photo as a_photo
from tests.interrupted.conftest import SPLIT, fit_flags
from tests.interrupted.harness import Forks, tree

pytestmark = pytest.mark.slow
FULL, READ_ONLY = "No space left on device: free some space there", "Read-only file system: choose another place"


@dataclass(frozen=True)
class Disk:
    """A small disk at `path` for the commands, and at `here` for this process."""

    forks: Forks
    path: Path
    here: Path

    def mount(self, *options: str) -> None:
        """Mount it, or again with other options."""
        done = self.forks.enter("mount", "-t", "tmpfs", "-o", ",".join(("size=24m", *options)), "tmpfs", self.path)
        if done.returncode:
            pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")

    def fill(self, left_bytes: int) -> None:
        """Leave so little on it."""
        (self.here / "filler").write_bytes(bytes(shutil.disk_usage(self.here).free - left_bytes))

    def held(self, apart_from: str) -> dict[str, bytes]:
        """All that lies on it, but for one folder."""
        apart = ("filler", apart_from)
        return {name: data for name, data in tree(self.here).items() if name.partition("/")[0] not in apart}


@pytest.fixture
def disk(forks: Forks, tmp_path: Path) -> Iterator[Disk]:
    if not forks.apart:
        pytest.skip("no disk can be mounted here: unshare is absent or not allowed")
    disk = Disk(forks, tmp_path / "disk", forks.seen(tmp_path / "disk"))
    disk.path.mkdir()
    disk.mount()
    yield disk
    forks.enter("umount", disk.path)


@dataclass(frozen=True)
class Write:
    """A command that writes to `out` on the disk; a name of `made` lies there already, which is to be replaced.

    `kept`: what may stay behind, for the next run to go on with. `left_bytes`: what a full disk still takes: the
    beginning of what the command writes. `again`: what the same command needs, once there is room (None: not tried).
    """

    words: Callable[[Path, Path], tuple[object, ...]]
    out: str = "out"
    kept: str = ""
    left_bytes: int = 8192
    again: tuple[str, ...] | None = None


WRITES = {
    "ingest": Write(
        lambda made, disk: ("train", "ingest", made / "photos", "--out", disk / "out", "--workers", 1),
        kept="out.partial",
        again=(),
    ),
    "ingest --force": Write(
        lambda made, disk: ("train", "ingest", made / "photos", "--out", disk / "dataset", "--workers", 2, "--force"),
        "dataset",
        kept="dataset.partial",
    ),
    "split": Write(
        lambda _, disk: ("train", "split", disk / "dataset", *SPLIT, "--split-seed", 1, "--force"),
        "dataset",
        left_bytes=0,
    ),
    "fit": Write(
        lambda made, disk: ("train", "fit", made / "dataset", "--out", disk / "out", *fit_flags(made)),
        kept="out",
        again=("--resume",),
    ),
    "fit --force": Write(
        lambda made, disk: ("train", "fit", made / "dataset", "--out", disk / "run", *fit_flags(made), "--force"),
        "run",
        left_bytes=0,
    ),
    "fit, first photos": Write(
        lambda made, disk: ("train", "fit", disk / "dataset", "--out", made / "again", *fit_flags(made),
                            "--image-size", 48),
        "dataset",
    ),
    "bundle": Write(
        lambda made, disk: ("train", "bundle", made / "run", "--out", disk / "bundle", "--force"), "bundle"
    ),
    "evaluate": Write(
        lambda made, disk: ("train", "evaluate", made / "bundle", made / "dataset", "--json", disk / "out"),
        left_bytes=0,
    ),
    "export": Write(lambda made, disk: ("edge", "export", made / "bundle", "--out", disk / "out")),
    "pack": Write(
        lambda made, disk: ("edge", "pack", made / "bundle", made / "export", "--no-wheels", "--force",
                            "--out", disk / "small.campus-edge"),
        "small.campus-edge",
    ),
    "quantize": Write(
        lambda made, disk: ("edge", "quantize", made / "bundle", "--out", disk / "bundle", "--max-cost", 99, "--force"),
        "bundle",
    ),
    "build": Write(lambda made, disk: ("edge", "build", made / "small.campus-edge", "--out", disk / "out"), again=()),
}  # fmt: skip


@pytest.mark.parametrize("name", WRITES)
def test_a_read_only_and_a_full_disk_cost_nothing(name: str, made: Path, disk: Disk) -> None:
    write = WRITES[name]
    words = write.words(made, disk.path)
    if (made / write.out).exists():
        copy(made / write.out, disk.here / write.out)
    before = disk.held(write.kept)

    disk.mount("remount", "ro")
    said = disk.forks.run(*words).complaint
    assert f"error: {disk.path / write.out}" in said
    assert READ_ONLY in said
    assert disk.held("") == before

    disk.mount("remount", "rw")
    disk.fill(write.left_bytes)
    said = disk.forks.run(*words).complaint
    assert f"error: {disk.path / write.out}" in said
    assert FULL in said
    assert disk.held(write.kept) == before

    if write.again is not None:
        (disk.here / "filler").unlink()
        done = disk.forks.run(*words, *write.again)
        assert done.code == 0, done.stderr
        assert (disk.here / write.out).exists()


def test_predictions_that_the_disk_does_not_take(disk: Disk) -> None:
    """`predict.py` writes nothing but its output: a campus on a read-only disk is as good as any."""
    bundle = make_bundle(disk.here / "campus")
    (disk.here / "photo.jpg").write_bytes(a_photo())
    disk.fill(0)
    line = [sys.executable, "predict.py", "--json", "--bundle", str(bundle), str(disk.here / "photo.jpg")]
    with (disk.here / "fixes").open("w") as stream:
        done = subprocess.run(line, cwd=REPOSITORY, stdout=stream, stderr=subprocess.PIPE, text=True, check=False)
    assert done.stderr == f"error: standard output: {FULL}, then run the same command again\n"
    assert done.returncode == 2
    disk.mount("remount", "ro")
    done = subprocess.run(line, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["lat"] == pytest.approx(47.0, abs=0.01)


def copy(source: Path, target: Path) -> None:
    (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
