"""Packs that were damaged on their way, or made to do harm: one clear line, exit code 2, and nothing half written."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from core.campus.bundle import Bundle
from core.campus.file_names import CAMPUS_JSON, EDGE_MODEL
from core.campus.manifest import manifest_digest
from core.cli.run import run_cli
from core.errors import BundleError
from edge.__main__ import main
from edge.manifest import GOLDEN, MANIFEST
from edge.pack import unpack
from tests.bundles import photo
from tests.core.engines.fake_cuda import FakeCuda

Files = dict[str, bytes]
Damage = Callable[[Files], None]
FILES = (
    CAMPUS_JSON, "model.onnx", "gallery.npz", "map.geojson", "samples/library.jpg", EDGE_MODEL, f"edge/{MANIFEST}",
    f"edge/{GOLDEN}",
)  # fmt: skip
OUTSIDE = "../outside.txt"


def resealed(files: Files, name: str, data: bytes) -> None:
    """Put a file in with its hash and digest made right, as whoever means harm can."""
    card = json.loads(files[CAMPUS_JSON])
    card["files"][name] = hashlib.sha256(data).hexdigest()
    card["digest"] = manifest_digest(card)
    files[name], files[CAMPUS_JSON] = data, json.dumps(card).encode()


def flipped(name: str) -> Damage:
    def change(files: Files) -> None:
        data = bytearray(files[name])
        data[len(data) // 2] ^= 0x10
        files[name] = bytes(data)

    return change


def missing(name: str) -> Damage:
    def change(files: Files) -> None:
        del files[name]

    return change


def another_digest(files: Files) -> None:
    card = json.loads(files[CAMPUS_JSON])
    files[CAMPUS_JSON] = json.dumps(card | {"digest": "0" * 64}).encode()


def another_hash(files: Files) -> None:
    """The card's own digest is right, and what it says of a file is not."""
    model = files[EDGE_MODEL]
    resealed(files, EDGE_MODEL, b"another network")
    files[EDGE_MODEL] = model


DAMAGES: dict[str, tuple[Damage, str]] = {
    **{f"{name} has a changed byte": (flipped(name), name) for name in FILES},
    **{f"{name} is missing": (missing(name), name) for name in FILES},
    "another digest": (another_digest, "does not match its own digest"),
    "another hash": (another_hash, f"{EDGE_MODEL} is damaged"),
    "a name that leaves the folder": (lambda files: resealed(files, OUTSIDE, b"x"), "not a file name"),
    "an absolute name": (lambda files: resealed(files, "/tmp/outside.txt", b"x"), "not a file name"),
    "a card of another version": (
        lambda files: files.update({CAMPUS_JSON: b'{"schema_version": 99}'}),
        "schema version 99",
    ),
}


@pytest.fixture(scope="session")
def whole(pristine_pack: Path) -> Files:
    """All that a pack holds, its program too."""
    with zipfile.ZipFile(pristine_pack) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(path: Path, files: Files) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def spread(folder: Path, files: Files) -> Path:
    for name, data in files.items():
        if name != OUTSIDE and not name.startswith("/"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
    return folder


@pytest.fixture
def refused(
    device: FakeCuda, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[Path], str]:
    """Gives a pack to `build` and to `run`; the one line that both must refuse it with, having written nothing."""
    assert device.devices
    (tmp_path / "one.jpg").write_bytes(photo())
    monkeypatch.chdir(tmp_path)

    def tried(path: Path) -> str:
        before = sorted(tmp_path.rglob("*"))
        lines = []
        for words in (
            ["build", path, "--out", "made"],
            ["run", "one.jpg", "--bundle", path, "--to", "json:fixes.jsonl", "--to", "geojson:track.geojson"],
        ):
            monkeypatch.setattr(sys, "argv", ["edge", *map(str, words)])
            assert run_cli(main) == 2, words
            told = capsys.readouterr()
            assert told.out == ""
            (line,) = told.err.splitlines()
            assert line.startswith(f"error: {path}: ")
            assert line.isprintable()
            lines.append(line)
        assert sorted(tmp_path.rglob("*")) == before
        assert lines[0] == lines[1]
        return lines[0]

    return tried


@pytest.mark.parametrize("way", ["a file", "a folder"])
@pytest.mark.parametrize("what", DAMAGES)
def test_a_damaged_pack_is_one_line(
    whole: Files, tmp_path: Path, refused: Callable[[Path], str], what: str, way: str
) -> None:
    damage, said = DAMAGES[what]
    files = dict(whole)
    damage(files)
    assert said in refused(
        zipped(tmp_path / "x.campus-edge", files) if way == "a file" else spread(tmp_path / "x", files)
    )


@pytest.mark.parametrize("left", [0.0, 0.02, 0.3, 0.6, 0.9, 0.999])
def test_a_pack_that_was_not_copied_to_its_end(
    pristine_pack: Path, tmp_path: Path, refused: Callable[[Path], str], left: float
) -> None:
    data = pristine_pack.read_bytes()
    cut = tmp_path / "cut.campus-edge"
    cut.write_bytes(data[: int(left * len(data))])
    assert "not a readable .campus file" in refused(cut)


@pytest.mark.parametrize("name", FILES)
def test_a_byte_of_a_pack_that_changed_on_a_bad_card(
    pristine_pack: Path, tmp_path: Path, refused: Callable[[Path], str], name: str
) -> None:
    data = bytearray(pristine_pack.read_bytes())
    with zipfile.ZipFile(pristine_pack) as archive:
        entry = archive.getinfo(name)
    data[entry.header_offset + 30 + len(name) + entry.compress_size // 2] ^= 0x01
    damaged = tmp_path / "damaged.campus-edge"
    damaged.write_bytes(data)
    refused(damaged)


def test_a_link_in_a_pack(whole: Files, tmp_path: Path, refused: Callable[[Path], str]) -> None:
    files = dict(whole)
    resealed(files, "samples/library.jpg", b"/etc/passwd")
    path = zipped(tmp_path / "linked.campus-edge", files)
    with zipfile.ZipFile(path) as archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
    entries["samples/library.jpg"].external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(entries[name], data)
    assert "samples/library.jpg is a symbolic link" in refused(path)
    folder = spread(tmp_path / "linked", whole)
    (folder / "gallery.npz").unlink()
    (folder / "gallery.npz").symlink_to("/dev/zero")
    assert "gallery.npz is a symbolic link" in refused(folder)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_in_an_unpacked_pack(whole: Files, tmp_path: Path, refused: Callable[[Path], str]) -> None:
    folder = spread(tmp_path / "piped", whole)
    (folder / EDGE_MODEL).unlink()
    os.mkfifo(folder / EDGE_MODEL)
    assert f"{EDGE_MODEL} is not a regular file" in refused(folder)


def test_a_huge_member_is_refused_before_it_is_unpacked(
    whole: Files, tmp_path: Path, refused: Callable[[Path], str]
) -> None:
    files = dict(whole)
    resealed(files, "edge/zeros.bin", b"\0" * (300 << 20))
    assert "which is no file but a bomb" in refused(zipped(tmp_path / "bomb.campus-edge", files))


@pytest.mark.parametrize("what", ["no zip", "another zip", "a pipe"])
def test_what_is_no_pack(tmp_path: Path, refused: Callable[[Path], str], what: str) -> None:
    path = tmp_path / "x.campus-edge"
    if what == "no zip":
        path.write_bytes(b"<!doctype html><title>Sign in</title>")
    elif what == "another zip":
        zipped(path, {"thesis.txt": b"years of work"})
    else:
        os.mkfifo(path)
    refused(path)


def test_a_damaged_pack_leaves_a_whole_unpacked_one_as_it_is(
    whole: Files, pristine_pack: Path, tmp_path: Path, device: FakeCuda, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert device.devices
    files = dict(whole)
    flipped(EDGE_MODEL)(files)
    kept = unpack(Bundle.load(pristine_pack), tmp_path / "made").path
    before = {path: path.read_bytes() for path in kept.rglob("*") if path.is_file()}
    damaged = zipped(tmp_path / "x.campus-edge", files)
    monkeypatch.setattr(sys, "argv", ["edge", "build", str(damaged), "--out", str(kept), "--force"])
    assert run_cli(main) == 2
    assert {path: path.read_bytes() for path in kept.rglob("*") if path.is_file()} == before
    with pytest.raises(BundleError, match="damaged"):
        Bundle.load(damaged)
    assert not list(tmp_path.glob("*.tmp*"))
