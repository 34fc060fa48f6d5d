"""Where an archive's photos lie and its rows go, on a disk and at URLs."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.archive import parts
from core.archive.parts import Parts
from core.archive.photos import Shard
from core.archive.rows import Row
from core.archive.stores import stored_photos
from core.errors import CampusError, PhotoError
from core.photo.load import load_photo
from tests.bundles import photo


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "below").mkdir(parents=True)
    for name in ("a.jpg", "below/b.JPG", ".hidden.jpg", "notes.txt"):
        (folder / name).write_bytes(photo())
    return folder


@pytest.mark.parametrize("kind", ["", "file://", "fsspec+file://"])
def test_a_folder_is_the_same_photos_on_a_disk_and_at_a_url(photos: Path, kind: str) -> None:
    found = stored_photos([f"{kind}{photos}", f"{kind}{photos}/a.jpg"])
    assert [each.name for each in found] == [f"{kind}{photos}/a.jpg", f"{kind}{photos}/below/b.JPG"]
    assert (load_photo(found[1].source).rgb == load_photo(photos / "below" / "b.JPG").rgb).all()
    shards = [stored_photos([f"{kind}{photos}"], Shard(index, 2)) for index in (1, 2)]
    assert sorted(each.name for shard in shards for each in shard) == [each.name for each in found]


def test_a_photo_s_part_does_not_follow_from_how_its_folder_was_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for index in range(16):
        (tmp_path / f"{index}.jpg").touch()
    for shard in (Shard(1, 2), Shard(2, 2)):
        typed = [{each.name for each in stored_photos([place], shard)} for place in (".", str(tmp_path), "*.jpg")]
        assert typed[0] == typed[1] == typed[2]
        assert typed[0]


@pytest.mark.parametrize("kind", ["", "file://", "fsspec+file://"])
def test_a_photo_that_is_not_there_says_so_when_it_is_read(tmp_path: Path, kind: str) -> None:
    (gone,) = stored_photos([f"{kind}{tmp_path}/gone.jpg"])
    with pytest.raises(PhotoError, match=r"gone\.jpg: .*(no such file|cannot be read)"):
        load_photo(gone.source)


def test_a_place_that_holds_no_photos_or_is_none_is_one_line(tmp_path: Path) -> None:
    for place, reason in ((f"fsspec+file://{tmp_path}", "holds no photos"), ("nonsense://here", "no such place")):
        with pytest.raises(CampusError, match=reason) as raised:
            stored_photos([place])
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize("kind", ["", "file://", "fsspec+file://"])
def test_parts_hold_every_row_once_over_two_runs(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow.parquet

    monkeypatch.setattr(parts, "PART_ROWS", 2)
    out = tmp_path / "out.parquet"

    def stopped() -> None:
        with Parts(f"{kind}{out}", resume=False) as first:
            for name in "abc":
                first.add(Row(name))
            raise ZeroDivisionError  # c waits for a part of its own, and is kept

    with pytest.raises(ZeroDivisionError):
        stopped()
    with pytest.raises(CampusError, match="--resume"):
        Parts(f"{kind}{out}", resume=False)
    with Parts(f"{kind}{out}", resume=True) as second:
        assert second.before == {"a", "b", "c"}
        second.add(Row("d", error="broken"))
    assert sorted(pyarrow.parquet.read_table(out)["photo"].to_pylist()) == ["a", "b", "c", "d"]
    with pytest.raises(CampusError, match="is a file"):
        Parts(str(next(out.iterdir())), resume=False)


def test_a_new_part_takes_no_other_part_s_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow.parquet

    monkeypatch.setattr(parts, "PART_ROWS", 1)
    out = tmp_path / "out.parquet"
    with Parts(str(out), resume=False) as first:
        for name in "abc":
            first.add(Row(name))
    sorted(out.iterdir())[1].unlink()
    with Parts(str(out), resume=True) as second:
        assert second.before == {"a", "c"}
        second.add(Row("b"))
    assert sorted(pyarrow.parquet.read_table(out)["photo"].to_pylist()) == ["a", "b", "c"]
    (out / "notes.txt").write_text("of somebody else")
    with pytest.raises(CampusError, match="cannot be resumed"):
        Parts(str(out), resume=True)


def test_a_run_that_fails_before_its_first_row_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(CampusError, match="no campus"), Parts(str(tmp_path / "out"), resume=False):
        raise CampusError("no campus")
    assert not (tmp_path / "out").exists()
