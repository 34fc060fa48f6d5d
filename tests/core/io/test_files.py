"""Files written whole or not at all: killed at every single step, by a real SIGKILL, and out of room."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from core.errors import CampusError
from core.io import files
from core.io.files import check_file_writable, check_writable, holds_something, write_atomically, written_atomically
from tests.killed import killed_at

Content = dict[str, str]
OLD, NEW = {"one": "old", "two": "old"}, {"one": "new", "deep/two": "new"}


def write_file(out: Path) -> None:
    with written_atomically(out) as temporary:
        temporary.write_text("new")


def write_folder(out: Path) -> None:
    with written_atomically(out) as temporary:
        for name, text in NEW.items():
            (temporary / name).parent.mkdir(parents=True, exist_ok=True)
            (temporary / name).write_text(text)


def content(out: Path) -> Content | None:
    """What a reader finds."""
    if not out.exists():
        return None
    if out.is_file():
        return {"": out.read_text()}
    return {path.relative_to(out).as_posix(): path.read_text() for path in out.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "swap", [True, pytest.param(False, marks=pytest.mark.slow)], ids=["swapping", "without renameat2"]
)
@pytest.mark.parametrize(
    ("write", "old", "new"),
    [
        (write_file, None, {"": "new"}),
        (write_file, {"": "old"}, {"": "new"}),
        (write_folder, None, NEW),
        (write_folder, OLD, NEW),
    ],
    ids=["new file", "replaced file", "new folder", "replaced folder"],
)
def test_killed_at_every_step(
    write: Callable[[Path], None], old: Content | None, new: Content, swap: bool, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    if not swap:
        monkeypatch.setattr(files, "_exchange", lambda *_: False)
    elif sys.platform != "linux" and old is OLD:
        pytest.skip("only Linux swaps two folders")
    step, found = 0, set()
    while True:
        out = tmp_path / str(step := step + 1) / "out"
        out.parent.mkdir()
        for name, text in (old or {}).items():
            (out / name).parent.mkdir(exist_ok=True)
            (out / name).write_text(text)
        if not killed_at(step, write, out):
            break
        seen = content(out)
        found.add(str(seen))
        assert seen in ((old, new) if swap or old is not OLD else (old, new, None))
        if seen is None and old is not None:  # between the two renames, the old one waits to be put back
            with pytest.raises(CampusError), written_atomically(out):
                pass
            assert content(out) == old
        write(out)
        assert content(out) == new
        assert [path.name for path in out.parent.iterdir()] == ["out"]
    assert content(out) == new
    assert len(found) >= 2  # it was killed before and after the move
    assert step > 8


def test_a_writer_at_work_is_not_cleared_away(tmp_path: Path) -> None:
    with written_atomically(tmp_path / "out") as slow:
        slow.write_text("slow")
        write_file(tmp_path / "out")
        assert (tmp_path / "out").read_text() == "new"
        assert slow.read_text() == "slow"
    assert (tmp_path / "out").read_text() == "slow"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_others_keep_beside_it_is_left_alone(tmp_path: Path) -> None:
    others = {
        ".out.bak",
        ".out.kept.temporary.txt",
        ".out.v2.abc_1234.temporary",
        "out.temporary",
        ".outer.abc_1234.temporary",
    }
    for name in others:
        (tmp_path / name).mkdir()
    write_file(tmp_path / "out")
    assert {path.name for path in tmp_path.iterdir()} == {*others, "out"}


def test_an_error_names_the_place_and_keeps_the_old(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_text("old")
    with pytest.raises(OSError, match="No space left") as caught, written_atomically(out) as temporary:
        _fill_the_disk(temporary)
    assert caught.value.filename == str(out)
    with pytest.raises(FileNotFoundError) as missing, written_atomically(out) as temporary:
        (tmp_path / "source").read_bytes()
    assert missing.value.filename == str(tmp_path / "source")
    with pytest.raises(FileNotFoundError) as inner, written_atomically(out) as temporary:
        (temporary / "deep" / "file").write_text("x")
    assert inner.value.filename == str(out)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"out": "old"}


def _fill_the_disk(temporary: Path) -> None:
    temporary.write_text("ne")
    raise OSError(28, "No space left on device")


def test_a_device_is_never_replaced() -> None:
    with pytest.raises(CampusError, match=r"/dev/null: is no ordinary file"), written_atomically(Path("/dev/null")):
        pass


def test_a_file_never_replaces_a_folder(tmp_path: Path) -> None:
    out = tmp_path / "thesis"
    out.mkdir()
    (out / "chapter").write_text("old")
    with pytest.raises(CampusError, match=r"thesis: is a folder"):
        write_file(out)
    with pytest.raises(CampusError, match=r"thesis: is a folder"):
        check_file_writable(out)
    assert content(out) == {"chapter": "old"}
    assert list(tmp_path.iterdir()) == [out]
    check_file_writable(tmp_path / "new")


def test_what_a_killed_writer_left_is_nothing(tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert not holds_something(run)
    run.mkdir()
    assert killed_at(6, write_file, run / "config.json")
    assert list(run.iterdir())
    assert not holds_something(run)
    (run / "notes.txt").touch()
    assert holds_something(run)
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "thesis.temporary").write_text("years of work")
    assert holds_something(tmp_path / "theirs")


def test_writable_is_asked_without_a_trace(tmp_path: Path) -> None:
    check_writable(tmp_path / "deep" / "out")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError) as caught:
        check_writable(tmp_path / "file" / "out")
    assert caught.value.filename == str(tmp_path / "file" / "out")


def test_a_small_file_is_whole(tmp_path: Path) -> None:
    write_atomically(tmp_path / "one", b"data")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"one": b"data"}
