"""What the options of a command line do to an archive: which part, gone on with or not, and how it ends."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from core.archive.journal import Journal
from core.archive.options import SOME_FAILED, add_arguments, locate
from core.archive.photos import Shard, archive_photos
from core.archive.rows import Row
from core.errors import CampusError
from tests.bundles import photo


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for index in range(8):
        (folder / f"{index}.jpg").write_bytes(photo(east_m=10.0 * index, size=(64, 64)))
    return folder


def run(photos: Path, bundle: Path, out: Path, *words: str) -> int:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return locate([str(photos)], bundle, parser.parse_args(["--out", str(out), *words]))


def names(out: Path) -> list[str]:
    return [json.loads(line)["photo"] for line in out.read_text().splitlines()]


def parts(photos: Sequence[str], count: int) -> list[list[str]]:
    return [[name for name in photos if Shard(index, count).holds(name)] for index in range(1, count + 1)]


def test_a_shard_is_the_same_on_every_machine() -> None:
    """Each of several machines takes its own part: were it by a hash of one process's own, photos would be lost."""
    found = parts([f"{index}.jpg" for index in range(8)], 3)
    assert found == [["0.jpg", "2.jpg", "5.jpg", "7.jpg"], ["1.jpg", "3.jpg", "4.jpg"], ["6.jpg"]]


def test_each_shard_locates_its_own_part_and_no_other(photos: Path, pristine: Path, tmp_path: Path) -> None:
    found = []
    for index in (1, 2):
        out = tmp_path / f"{index}.jsonl"
        assert run(photos, pristine, out, "--shard", f"{index}/2") == 0
        assert names(out) == archive_photos([str(photos)], Shard(index, 2))
        found += names(out)
    assert sorted(found) == archive_photos([str(photos)])


def test_without_resume_a_table_stays_as_it_is_and_with_it_only_the_rest_is_located(
    photos: Path, pristine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "rows.jsonl"
    with Journal(out) as journal:
        journal.add(Row(str(photos / "3.jpg"), error="an earlier run's own"))
    before = out.read_bytes()
    with pytest.raises(CampusError, match="go on with it by --resume"):
        run(photos, pristine, out)
    assert out.read_bytes() == before
    assert run(photos, pristine, out, "--resume") == 0
    assert out.read_bytes().startswith(before)
    assert sorted(names(out)) == archive_photos([str(photos)])
    assert "7 photos located, 0 could not be, 1 were there already" in capsys.readouterr().err


def test_a_photo_that_could_not_be_located_is_told_by_the_exit_code(
    photos: Path, pristine: Path, tmp_path: Path
) -> None:
    (photos / "5.jpg").write_bytes(b"no photo")
    assert run(photos, pristine, tmp_path / "rows.jsonl") == SOME_FAILED
    assert len(names(tmp_path / "rows.jsonl")) == 8


@pytest.mark.parametrize("ending", [".jsonl", ".csv"])
def test_a_row_is_in_the_file_once_it_is_added(tmp_path: Path, ending: str) -> None:
    """A kill has no time for the rest."""
    out = tmp_path / f"rows{ending}"
    with Journal(out) as journal:
        journal.add(Row("a.jpg", error="x"))
        assert b"a.jpg" in out.read_bytes()
