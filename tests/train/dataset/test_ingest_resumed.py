"""Ingesting again: what is replaced, what a killed run leaves, and what parts give."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core.archive.photos import Shard
from core.errors import DatasetError, OccupiedError
from core.photo.load import load_photo
from tests import REPOSITORY
from tests.train.dataset.walks import LAT, METRE, contents, photo, walk
from train.dataset.dataset import Dataset
from train.dataset.ingest import ingest, ingest_part


def test_nothing_is_overwritten_without_force(tmp_path: Path) -> None:
    photos = walk(tmp_path / "photos", 3)
    ingest(photos, tmp_path / "ds")
    before = contents(tmp_path / "ds")
    photo(photos / "new.jpg", 99)
    with pytest.raises(OccupiedError, match="exists already"):
        ingest(photos, tmp_path / "ds")
    assert contents(tmp_path / "ds") == before
    (photos / "bad").mkdir()
    report = ingest(photos, tmp_path / "ds", force=True)
    assert report.taken_in == len(Dataset.load(tmp_path / "ds")) == 4
    assert set(os.listdir(tmp_path)) == {"photos", "ds"}


def test_force_that_fails_keeps_the_old_dataset(tmp_path: Path) -> None:
    ingest(walk(tmp_path / "photos", 3), tmp_path / "ds")
    before = contents(tmp_path / "ds")
    photo(tmp_path / "other" / "a.jpg", 1, lat=None)
    with pytest.raises(DatasetError, match="no photo can be used"):
        ingest(tmp_path / "other", tmp_path / "ds", force=True)
    assert contents(tmp_path / "ds") == before


def test_force_replaces_datasets_only(tmp_path: Path) -> None:
    photos = walk(tmp_path / "photos", 3)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.txt").write_text("years of work")
    with pytest.raises(OccupiedError, match="no dataset"):
        ingest(photos, tmp_path / "home", force=True)
    with pytest.raises(DatasetError, match="lost"):
        ingest(photos, tmp_path, force=True)
    (tmp_path / "file").touch()
    with pytest.raises(OccupiedError, match="no dataset"):
        ingest(photos, tmp_path / "file", force=True)
    assert (tmp_path / "home" / "thesis.txt").read_text() == "years of work"
    assert len(list(photos.iterdir())) == 3
    (tmp_path / "empty").mkdir()
    assert ingest(photos, tmp_path / "empty").taken_in == 3


def test_the_dataset_may_lie_among_the_photos(tmp_path: Path) -> None:
    photos = walk(tmp_path / "photos", 3)
    ingest(photos, photos / "ds")
    report = ingest(photos, photos / "ds", force=True)
    assert report.found == 3


def test_changed_photos_are_made_anew_after_an_interruption(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = walk(tmp_path / "photos", 3)
    interrupted(photos, tmp_path / "ds", monkeypatch)
    assert len(list((tmp_path / "ds.partial" / "records").iterdir())) == 3
    photo(photos / "IMG_0001.jpg", 77, size=(70, 50), lat=LAT + 25 * METRE)
    (tmp_path / "ds.partial" / "photos" / "stray.jpg.1.tmp").write_bytes(b"half")
    half = next((tmp_path / "ds.partial" / "photos").glob("*.jpg"))
    half.write_bytes(half.read_bytes()[:100])
    ingest(photos, tmp_path / "ds")
    ingest(photos, tmp_path / "straight")
    assert contents(tmp_path / "ds") == contents(tmp_path / "straight")
    assert set(os.listdir(tmp_path)) == {"photos", "ds", "straight"}


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def interrupted(photos: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin an import that ends once every photo is read, before any of them is chosen."""
    with monkeypatch.context() as patch:
        patch.setattr("train.dataset.ingest.select", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            ingest(photos, out)


def test_finished_photos_are_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = walk(tmp_path / "photos", 3)
    interrupted(photos, tmp_path / "ds", monkeypatch)
    monkeypatch.setattr("train.dataset.intake.load_photo", _interrupt)
    assert ingest(photos, tmp_path / "ds").taken_in == 3


@pytest.mark.parametrize("step", ["finished", "swap", "tidy"])
@pytest.mark.parametrize("force", [False, True])
def test_killed_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, force: bool) -> None:
    """The moments about the swap, each stopped once: nobody ever sees half a dataset, or none where one was."""
    photos = walk(tmp_path / "photos", 4)
    out = tmp_path / "ds"
    ingest(photos, tmp_path / "straight")
    if force:
        ingest(walk(tmp_path / "before", 2), out)
    replace = Path.replace

    def stop(self: Path, target: Path) -> Path:
        moved = replace(self, target)
        if Path(target).name == "finished.json":
            raise KeyboardInterrupt
        return moved

    with monkeypatch.context() as patch:
        if step == "finished":
            patch.setattr(Path, "replace", stop)
        elif step == "swap":
            patch.setattr("core.io.files._settle", _interrupt)
        else:
            patch.setattr("train.dataset.ingest.shutil.rmtree", _interrupt_after_dataset)
        with pytest.raises(KeyboardInterrupt):
            ingest(photos, out, force=force)
    assert out.exists() == (force or step == "tidy")
    if out.exists():
        assert len(Dataset.load(out)) == (4 if step == "tidy" else 2)
    report = ingest(photos, out, force=force)
    assert report.taken_in == 4
    assert contents(out) == contents(tmp_path / "straight")
    assert not (tmp_path / "ds.partial").exists()


def _interrupt_after_dataset(path: Path, **_: object) -> None:
    if Path(path).name.endswith(".partial"):
        raise KeyboardInterrupt


def test_killed_at_the_very_last_step(tmp_path: Path) -> None:
    photos = walk(tmp_path / "photos", 2)
    ingest(photos, tmp_path / "ds")
    (tmp_path / "ds.partial").mkdir()  # emptied, not yet removed
    with pytest.raises(OccupiedError):
        ingest(photos, tmp_path / "ds")
    assert not (tmp_path / "ds.partial").exists()


def test_a_full_disk_keeps_what_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = walk(tmp_path / "photos", 3)
    with monkeypatch.context() as patch:
        patch.setattr("train.dataset.intake.write_atomically", _full)
        with pytest.raises(OSError, match="No space left on device"):
            ingest(photos, tmp_path / "ds")
    assert not (tmp_path / "ds").exists()
    assert ingest(photos, tmp_path / "ds").taken_in == 3


def _full(path: Path, _: bytes) -> None:
    raise OSError(28, "No space left on device", str(path))


def test_processes_give_the_same_as_one(tmp_path: Path) -> None:
    photos = walk(tmp_path / "photos", 24)
    (photos / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    one = ingest(photos, tmp_path / "one", workers=1)
    two = ingest(photos, tmp_path / "two", workers=2)
    assert one == two
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_parts_made_ready_apart_give_the_same_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = walk(tmp_path / "photos", 8)
    (photos / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    whole = ingest(photos, tmp_path / "whole", workers=1)
    counts = [ingest_part(photos, tmp_path / "parts", Shard(part, 3), workers=1) for part in (1, 2, 3)]
    assert sum(counts) == 9
    assert max(counts) < 9
    assert not (tmp_path / "parts").exists()
    really = load_photo
    read_again: list[str] = []

    def watched(source: Any, **options: Any) -> Any:
        read_again.append(source.name)
        return really(source, **options)

    monkeypatch.setattr("train.dataset.intake.load_photo", watched)
    assert ingest(photos, tmp_path / "parts", workers=1) == whole
    assert read_again == ["broken.jpg"]
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")


def command(*arguments: object, before: str = "pass") -> list[str]:
    """`ingest` as a process of its own, which runs the line `before` first."""
    code = (
        "import argparse, sys\nfrom core.cli.run import run_cli\nfrom train.dataset.ingest import add_arguments, main\n"
        "if __name__ == '__main__':\n"
        f"    {before}\n"
        "    p = argparse.ArgumentParser(); add_arguments(p); a = p.parse_args()\n"
        "    sys.exit(run_cli(lambda: main(a)))"
    )
    return [sys.executable, "-c", code, *map(str, arguments)]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_killed_at_random_moments(tmp_path: Path) -> None:
    photos, out, straight = tmp_path / "photos", tmp_path / "ds", tmp_path / "straight"
    for number in range(40):
        photo(photos / f"{number:03}.jpg", number, size=(1200, 900), lat=LAT + 5 * number * METRE)
    subprocess.run(command(photos, "--out", straight), cwd=REPOSITORY, check=True, capture_output=True)
    rng = random.Random(0)
    records = tmp_path / "ds.partial" / "records"
    kills = 0
    for done in sorted(rng.randrange(40) for _ in range(5)):
        ending = f"from tests.killed import end_later; end_later({str(records)!r}, {done}, {rng.uniform(0, 0.05)})"
        run = subprocess.run(
            command(photos, "--out", out, before=ending),
            cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        kills += run.returncode == -signal.SIGKILL
        if out.exists():
            assert len(Dataset.load(out)) == 40
    # Whole, and with nothing left to tidy up: a run killed after that had nothing more to do.
    if not out.exists() or (tmp_path / "ds.partial").exists():
        subprocess.run(command(photos, "--out", out), cwd=REPOSITORY, check=True, capture_output=True)
    assert kills > 0
    assert contents(out) == contents(straight)
    assert not (tmp_path / "ds.partial").exists()
