"""Bundles as zips that are bombs, lie, or are cut short: refused before they are unpacked."""

from __future__ import annotations

import hashlib
import stat
import struct
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from core.campus.bundle import Bundle
from core.campus.file_names import CAMPUS_JSON
from core.errors import BundleError
from edge.pack import unpack
from tests.hostile.sealed import manifest_of, refusal, sealed


def zipped(bundle: Path, out: Path, extra: dict[str | zipfile.ZipInfo, bytes] | None = None, skip: str = "") -> Path:
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(bundle.rglob("*")):
            if file.is_file() and file.name != skip:
                archive.write(file, file.relative_to(bundle).as_posix())
        for name, data in (extra or {}).items():
            archive.writestr(name, data)
    return out


def test_extra_entries_of_a_zip_are_neither_read_nor_unpacked(bundle: Path, tmp_path: Path) -> None:
    nested = zipped(bundle, tmp_path / "nested.zip").read_bytes()
    extra: dict[str | zipfile.ZipInfo, bytes] = {
        "../../evil.txt": b"x",
        "/tmp/evil.txt": b"x",
        "samples/": b"",
        "nested.zip": nested,
        "__main__.py": b"raise SystemExit",
        "bomb": bytes(50_000_000),
    }
    loaded = Bundle.load(zipped(bundle, tmp_path / "field.campus-edge", extra))
    unpack(loaded, tmp_path / "out" / "field")
    kept = {
        path.relative_to(tmp_path / "out" / "field").as_posix()
        for path in (tmp_path / "out").rglob("*")
        if path.is_file()
    }
    assert kept == {CAMPUS_JSON, *loaded.manifest.files}
    assert not list(tmp_path.rglob("evil.txt"))


def test_a_linked_entry_is_refused(bundle: Path, tmp_path: Path) -> None:
    link = zipfile.ZipInfo("gallery.npz")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    manifest = manifest_of(bundle)
    manifest["files"]["gallery.npz"] = hashlib.sha256(b"/etc/passwd").hexdigest()
    (bundle / CAMPUS_JSON).write_bytes(sealed(manifest))
    out = zipped(bundle, tmp_path / "field.campus", {link: b"/etc/passwd"}, skip="gallery.npz")
    assert "symbolic link" in refusal(lambda: Bundle.load(out))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_entries_of_one_name_are_refused(bundle: Path, tmp_path: Path) -> None:
    assert "one name" in refusal(lambda: Bundle.load(zipped(bundle, tmp_path / "field.campus", {CAMPUS_JSON: b"{}"})))


def bomb(bundle: Path, out: Path, size: int, compression: int = zipfile.ZIP_DEFLATED) -> Path:
    """A bundle with a map of zeros, its hash right."""
    manifest = manifest_of(bundle)
    manifest["files"]["map.geojson"] = hashlib.sha256(bytes(size)).hexdigest()
    (bundle / CAMPUS_JSON).write_bytes(sealed(manifest))
    zipped(bundle, out, skip="map.geojson")
    with zipfile.ZipFile(out, "a", compression) as archive:
        archive.writestr("map.geojson", bytes(size))
    return out


def test_a_zip_bomb_is_refused_before_it_is_unpacked(bundle: Path, tmp_path: Path) -> None:
    out = bomb(bundle, tmp_path / "field.campus", 200_000_000)
    started = time.process_time()
    assert "bomb" in refusal(lambda: Bundle.load(out))
    spent = time.process_time() - started
    started = time.process_time()
    hashlib.sha256(bytes(200_000_000)).hexdigest()  # the least that unpacking it would cost
    assert spent < (time.process_time() - started) / 2


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compressions_are_refused(bundle: Path, tmp_path: Path, compression: int) -> None:
    assert "deflate" in refusal(lambda: Bundle.load(bomb(bundle, tmp_path / "field.campus", 100, compression)))


def patched(path: Path, change: Callable[[bytearray], None]) -> Path:
    data = bytearray(path.read_bytes())
    change(data)
    path.write_bytes(bytes(data))
    return path


def central(data: bytearray, name: bytes) -> int:
    """Where the central entry of a name begins."""
    return data.rindex(name) - 46


@pytest.mark.parametrize("size", [0, 10, 0xFFFFFFFF])
def test_sizes_that_lie(bundle: Path, tmp_path: Path, size: int) -> None:
    out = zipped(bundle, tmp_path / "field.campus")

    def lie(data: bytearray) -> None:
        at = central(data, b"gallery.npz")
        data[at + 24 : at + 28] = struct.pack("<I", size)

    refusal(lambda: Bundle.load(patched(out, lie)))


def test_a_name_of_thousands_of_bytes_is_not_repeated(bundle: Path, tmp_path: Path) -> None:
    def change(data: bytearray) -> None:
        struct.pack_into("<H", data, 26, 4000)  # the length of the first entry's name, in the entry itself

    assert len(refusal(lambda: Bundle.load(patched(zipped(bundle, tmp_path / "a.campus"), change)))) < 500


def test_overlapping_entries(bundle: Path, tmp_path: Path) -> None:
    out = zipped(bundle, tmp_path / "field.campus")

    def overlap(data: bytearray) -> None:
        one, other = central(data, b"gallery.npz"), central(data, b"model.onnx")
        data[other + 42 : other + 46] = data[one + 42 : one + 46]

    refusal(lambda: Bundle.load(patched(out, overlap)))


def test_a_listing_of_millions_is_not_read(tmp_path: Path) -> None:
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 65_535, 65_535, 46_000_000, 0, 0)
    (tmp_path / "field.campus").write_bytes(bytes(46_000_000) + end)
    assert "more than 2000 files" in refusal(lambda: Bundle.load(tmp_path / "field.campus"))
    zip64 = b"PK\6\7" + bytes(16) + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1, 1, 46, 0, 0)
    (tmp_path / "field.campus").write_bytes(bytes(1000) + zip64)
    refusal(lambda: Bundle.load(tmp_path / "field.campus"))


def test_a_zip_cut_short_anywhere(bundle: Path, tmp_path: Path) -> None:
    whole = zipped(bundle, tmp_path / "field.campus").read_bytes()
    for keep in range(0, len(whole), len(whole) // 40):
        (tmp_path / "field.campus").write_bytes(whole[:keep])
        refusal(lambda: Bundle.load(tmp_path / "field.campus"))


def test_a_changed_byte_anywhere_in_a_zip(bundle: Path, tmp_path: Path) -> None:
    out = zipped(bundle, tmp_path / "field.campus")
    good, manifest = out.read_bytes(), Bundle.load(out).manifest
    refused = 0
    for at in range(0, len(good), len(good) // 250):
        bad = bytearray(good)
        bad[at] ^= 0x41
        out.write_bytes(bytes(bad))
        try:
            assert Bundle.load(out).manifest == manifest  # dates and permissions of entries are not data
        except BundleError:
            refused += 1
    assert refused > 150
