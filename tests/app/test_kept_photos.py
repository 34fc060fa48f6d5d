"""Photos stay in memory unless a folder is named for them; then each is kept whole, with its fix beside it."""

from __future__ import annotations

import errno
import json
import logging
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from app import kept_photos
from app.kept_photos import PhotoKeeper, photo_keeper
from app.settings import KEEP_PHOTOS
from app.sighting import Sighting
from core.locate.localizer import Localizer
from core.photo.blur.blur import Blur, process_blur
from core.photo.load import load_photo
from tests import REPOSITORY
from tests.app.harness import locate
from tests.blurring import FACE, is_flat, needs_detectors, portrait
from tests.bundles import photo
from tests.pictures import encoded


@pytest.fixture(scope="module")
def localizer(bundle: Path) -> Localizer:
    return Localizer.load(bundle)


@pytest.fixture
def given() -> bytes:
    return photo(east_m=-52, north_m=68, at=(47.0006, 8.3993))


@pytest.fixture
def sighting(localizer: Localizer, given: bytes) -> Sighting:
    return locate(localizer, given)


def test_nothing_is_kept_unless_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(KEEP_PHOTOS, raising=False)
    assert photo_keeper() is None
    monkeypatch.setenv(KEEP_PHOTOS, str(tmp_path / "kept"))
    keeper = photo_keeper()
    assert keeper is photo_keeper()
    assert keeper is not None
    assert keeper.folder == tmp_path / "kept"


def test_the_photo_and_its_fix_lie_side_by_side(tmp_path: Path, given: bytes, sighting: Sighting) -> None:
    folder = tmp_path / "new" / "kept"
    assert PhotoKeeper(folder).keep(given, sighting)
    assert folder.stat().st_mode & 0o077 == 0
    record, kept = sorted(folder.iterdir(), key=lambda path: path.suffix, reverse=True)
    assert [record.suffix, kept.suffix] == [".json", ".jpg"]
    assert record.stem == kept.stem
    assert kept.read_bytes() == given
    plain = json.loads(record.read_text("utf-8"))
    assert (plain["lat"], plain["radius68_m"]) == (sighting.fix.lat, sighting.fix.radius68_m)
    assert plain["zone"]["name"] == "Library"
    assert plain["truth"]["source"] == "photo"
    assert plain["truth"]["lat"] == pytest.approx(47.0006, abs=1e-6)
    assert plain["time_utc"].startswith(f"{sighting.time_utc:%Y-%m-%dT%H:%M}")


def test_each_kind_of_photo_keeps_its_own_ending(tmp_path: Path, localizer: Localizer) -> None:
    keeper = PhotoKeeper(tmp_path)
    for format in ("JPEG", "PNG", "WEBP", "HEIF"):
        data = photo(east_m=20, format=format)
        assert keeper.keep(data, locate(localizer, data))
    endings = {path.suffix for path in tmp_path.iterdir()}
    assert endings == {".jpg", ".png", ".webp", ".heic", ".json"}
    assert len(list(tmp_path.iterdir())) == 8


@pytest.mark.parametrize("fails_at", [1, 2], ids=["the fix", "the photo"])
def test_a_full_disk_leaves_nothing_half_and_says_so_once(
    tmp_path: Path,
    given: bytes,
    sighting: Sighting,
    fails_at: int,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    write, writes = Path.write_bytes, []

    def full(path: Path, data: Any) -> int:
        writes.append(path)
        if len(writes) % fails_at:
            return write(path, data)
        write(path, data[:100])
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    keeper = PhotoKeeper(tmp_path / "kept")
    monkeypatch.setattr(Path, "write_bytes", full)
    with caplog.at_level(logging.WARNING):
        assert not keeper.keep(given, sighting)
        assert not keeper.keep(given, sighting)
    assert list((tmp_path / "kept").iterdir()) == []
    assert len(caplog.records) == 1
    assert "No space left on device" in caplog.text
    monkeypatch.undo()
    assert keeper.keep(given, sighting)
    assert len(list((tmp_path / "kept").iterdir())) == 2


def test_the_folder_has_a_bound_that_outlives_a_start(
    tmp_path: Path, given: bytes, sighting: Sighting, caplog: pytest.LogCaptureFixture
) -> None:
    most = int(2.5 * len(given))
    with caplog.at_level(logging.WARNING):
        for keeper in (PhotoKeeper(tmp_path, most), PhotoKeeper(tmp_path, most)):
            for second in range(4):
                later = replace(sighting, time_utc=sighting.time_utc + timedelta(seconds=second))
                keeper.keep(given + bytes(second), later)
    assert 0 < sum(path.stat().st_size for path in tmp_path.iterdir()) <= most
    assert len(caplog.records) == 2, "once for each start"


def test_a_nearly_full_disk_is_left_alone(
    tmp_path: Path, given: bytes, sighting: Sighting, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(kept_photos, "LEAST_FREE_BYTES", shutil.disk_usage(tmp_path).total)
    assert not PhotoKeeper(tmp_path).keep(given, sighting)
    assert "are free" in caplog.text
    assert list(tmp_path.iterdir()) == []


@needs_detectors
def test_with_blur_no_face_is_kept_nor_a_photo_that_was_not_looked_through(
    tmp_path: Path, sighting: Sighting, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper = PhotoKeeper(tmp_path / "kept", blur=process_blur())
    assert keeper.keep(encoded(portrait(), "PNG"), sighting)
    (kept,) = (tmp_path / "kept").glob("*.jpg")
    assert is_flat(load_photo(kept).rgb, FACE)

    def fails(*_: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(Blur, "painted", fails)
    assert not keeper.keep(encoded(portrait(), "JPEG"), sighting)
    assert len(list((tmp_path / "kept").iterdir())) == 2


_SLOW = """
import sys, threading
from pathlib import Path
from app.kept_photos import PhotoKeeper
from core.locate.localizer import Localizer
from core.photo.blur.blur import Blur
from tests.app.harness import locate
from tests.bundles import photo

looked = threading.Event()

class Slow(Blur):
    def __init__(self):
        pass

    def photo(self, data):
        looked.wait()
        return data

data, folder = photo(east_m=20), Path(sys.argv[2])
sighting = locate(Localizer.load(Path(sys.argv[1])), data)
keeper = PhotoKeeper(folder, blur=Slow())
for number in range(3):
    keeper.keep_soon(data + bytes(number), sighting)
print(folder.exists())
looked.set()
"""


def test_an_answer_waits_for_no_blurring_and_a_program_that_ends_keeps_what_waits(bundle: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", _SLOW, str(bundle), str(tmp_path / "kept")]
    said = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=120).stdout
    assert said.split() == ["False"], "nothing was kept yet, and the program went on"
    assert len(list((tmp_path / "kept").glob("*.jpg"))) == 3
