"""The inbox: each photo once, whole or not at all, within its quota, and read by `train refresh` as it stands."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest
from pydantic import ValidationError

from app.collect import inbox as module
from app.collect.inbox import Held, Inbox, InboxFull
from core.campus.frame import LocalFrame
from core.campus.inbox import Sidecar, read_sidecar
from core.errors import CampusError, PhotoError
from core.io.files import written_atomically
from core.photo.blur.blur import process_blur
from core.photo.blur.faces import FaceDetector
from core.photo.capture import Capture
from core.photo.geotag import exif_of
from core.photo.load import load_photo
from tests.blurring import FACE, is_flat, needs_detectors, portrait
from tests.bundles import photo
from tests.killed import killed_at
from tests.pictures import encoded
from train.grow.arrivals import read_arrivals

HERE = photo(east_m=20.0)
FRAME = LocalFrame.about(47.0, 8.4)
PLACED = Sidecar.model_validate(
    {"lat": 47.0001, "lon": 8.4002, "error_m": 6.0, "source": "gps", "time_utc": "2026-11-02T09:00:00Z", "who": "Ada"}
)


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    return Inbox(tmp_path / "inbox")


def test_a_photo_is_stored_once_under_its_hash_and_for_this_user_alone(inbox: Inbox) -> None:
    entry, new = inbox.add(HERE, PLACED)
    assert new
    assert entry.id == hashlib.sha256(HERE).hexdigest()
    assert entry.path.read_bytes() == HERE
    assert read_sidecar(entry.path.with_suffix(".json")) == PLACED
    assert inbox.folder.stat().st_mode & 0o077 == 0
    inbox.change(entry.id, review="accepted")
    again, new = inbox.add(HERE, PLACED.changed(who="someone else"))
    assert not new
    assert (again.sidecar.who, again.sidecar.review) == ("Ada", "accepted")
    assert len(list(inbox.folder.iterdir())) == 2


def test_a_photo_that_nobody_placed_takes_its_own_position_and_else_waits_for_one(inbox: Inbox) -> None:
    own, _ = inbox.add(photo(east_m=30.0, frame=FRAME), Sidecar())
    assert own.sidecar.source == "photo"
    assert own.sidecar.lat is not None
    waiting, _ = inbox.add(HERE, Sidecar())
    assert not waiting.sidecar.placed
    with pytest.raises(ValidationError, match="without a place"):
        inbox.change(waiting.id, review="accepted")
    placed = inbox.change(waiting.id, lat=47.0, lon=8.4, source="tap", review="accepted")
    assert placed is not None
    assert inbox.find(waiting.id) == placed
    assert inbox.change("0" * 64, review="accepted") is None


def test_a_position_where_no_campus_lies_is_none(inbox: Inbox) -> None:
    exif = exif_of(Capture(lat_deg=86.0, lon_deg=20.0)).tobytes()
    entry, _ = inbox.add(encoded(portrait(), "JPEG", exif=exif), Sidecar())
    assert load_photo(entry.path).capture.lat_deg == 86.0
    assert not entry.sidecar.placed


def test_what_is_being_written_or_taken_out_is_not_counted(inbox: Inbox) -> None:
    inbox.add(HERE, PLACED)
    held = inbox.held_bytes()
    assert held == sum(file.stat().st_size for file in inbox.folder.iterdir())
    with written_atomically(inbox.folder / f"{'0' * 64}.jpg") as temporary:
        temporary.write_bytes(HERE)
        (inbox.folder / "gone.jpg").symlink_to("nowhere")  # listed, and not there
        assert inbox.held_bytes() == held


@pytest.mark.parametrize("call", [1, 2])
def test_a_disk_that_refuses_leaves_no_photo_without_its_sidecar(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    replace, calls = os.replace, []

    def refusing(source: object, target: object) -> None:
        calls.append(target)
        if len(calls) == call:
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(source, target)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "replace", refusing)
    with pytest.raises(OSError, match="No space"):
        inbox.add(HERE, PLACED)
    assert inbox.entries() == []
    assert not list(inbox.folder.glob("*.jpg"))  # one without a sidecar would be a photo that nobody reviewed
    entry, new = inbox.add(HERE, PLACED)
    assert new
    assert inbox.entries() == [entry]


def take_and_accept(folder: Path) -> None:
    inbox = Inbox(folder)
    entry, _ = inbox.add(HERE, PLACED)
    inbox.change(entry.id, review="accepted")


def test_a_server_killed_at_any_step_has_a_photo_whole_or_not_at_all(tmp_path: Path) -> None:
    step, found = 0, set()
    while killed_at(step := step + 1, take_and_accept, tmp_path / str(step)):
        inbox = Inbox(tmp_path / str(step))
        held = inbox.held()
        found.add("".join(entry.sidecar.review or "new" for entry in held.entries))
        for entry in held.entries:
            assert entry.path.read_bytes() == HERE
            assert entry.sidecar.changed(review="") == PLACED
        assert held.damaged == 0
        take_and_accept(inbox.folder)  # the phone sends it again, and the reviewer presses once more
        (entry,) = inbox.entries()
        assert entry.sidecar == PLACED.changed(review="accepted")
    assert found == {"", "new", "accepted"}


def test_what_is_no_photo_or_too_much_is_refused(inbox: Inbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PhotoError):
        inbox.add(b"no photo", PLACED)
    assert not inbox.folder.exists()
    small = Inbox(tmp_path / "small", most_bytes=len(HERE) + 1000)
    small.add(HERE, PLACED)
    with pytest.raises(InboxFull, match="holds its"):
        small.add(photo(east_m=21.0), PLACED)
    monkeypatch.setattr(module, "LEAST_FREE_BYTES", 10**18)
    with pytest.raises(InboxFull, match="are free on its disk"):
        inbox.add(HERE, PLACED)


def test_two_that_are_sent_at_once_do_not_both_take_the_last_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox, write = Inbox(tmp_path / "inbox", most_bytes=len(HERE) + 1000), module._write
    writes, other_is_in = Event(), Event()

    def slowly(path: Path, data: bytes) -> None:
        writes.set()
        other_is_in.wait(0.2)  # which it is not while this one is being written
        write(path, data)

    def other() -> None:
        assert writes.wait(60)
        try:
            inbox.add(photo(east_m=21.0), PLACED)
        finally:
            other_is_in.set()

    monkeypatch.setattr(module, "_write", slowly)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(other)
        entry, _ = inbox.add(HERE, PLACED)
        with pytest.raises(InboxFull, match="holds its"):
            asked.result()
    assert inbox.entries() == [entry]


def test_a_photo_that_is_sent_again_while_it_is_blurred_stays_as_it_was_reviewed(tmp_path: Path) -> None:
    folder = tmp_path / "inbox"

    class Slow:
        def photo(self, data: bytes) -> bytes:
            take_and_accept(folder)
            return data

    entry, new = Inbox(folder, blur=Slow()).add(HERE, PLACED.changed(who="someone else"))  # type: ignore[arg-type]
    assert not new
    assert Inbox(folder).entries() == [entry]
    assert (entry.sidecar.who, entry.sidecar.review) == ("Ada", "accepted")


def test_a_sidecar_says_nothing_impossible() -> None:
    for wrong in ({"lat": 47.0}, {"lat": 95.0, "lon": 8.0}, {"lat": -82.0, "lon": 8.0},
                  {"heading_deg": 360.0}, {"error_m": float("nan")},
                  {"review": "accepted"}, {"time_utc": "noon"}, {"source": "hearsay"}):  # fmt: skip
        with pytest.raises(ValidationError):
            Sidecar.model_validate(wrong)
    named = Sidecar.model_validate({"who": "A\x00da\n" + "x" * 100, "time_utc": "2026-11-02T09:00:00"})
    assert named.who == "A da " + "x" * 35
    assert named.time_utc is not None
    assert named.time_utc.tzinfo is not None


def test_a_damaged_sidecar_is_named_and_another_programs_is_passed_over(
    inbox: Inbox, caplog: pytest.LogCaptureFixture
) -> None:
    entry, _ = inbox.add(HERE, PLACED)
    other, _ = inbox.add(photo(east_m=21.0), PLACED)
    sidecar = entry.path.with_suffix(".json")
    for text, said in (("{", "is no JSON"), (json.dumps({"review": "", "lat": 200, "lon": 8.4}), "lat")):
        sidecar.write_text(text)
        with pytest.raises(CampusError, match=said):
            inbox.find(entry.id)
        caplog.clear()
        assert inbox.held() == Held([other], 1)
        assert str(sidecar) in caplog.text
        assert said in caplog.text
    sidecar.write_text(json.dumps({"title": "of some album"}))
    assert inbox.held() == Held([other], 0)


def test_refresh_reads_what_was_accepted(inbox: Inbox) -> None:
    kept = []
    for index, review in enumerate(("accepted", "rejected", "")):
        lat, lon = FRAME.to_latlon([10.0 * index, 20.0]).tolist()
        entry, _ = inbox.add(
            photo(east_m=10.0 * index, north_m=20.0), PLACED.changed(lat=lat, lon=lon, heading_deg=90.0)
        )
        inbox.change(entry.id, review=review)
        kept.append((lat, lon))
    arrivals = read_arrivals(inbox.folder, 64)
    assert arrivals.latlon.tolist() == [pytest.approx(kept[0])]
    assert arrivals.heading_deg.tolist() == [90.0]
    assert arrivals.walk == ("Ada 2026-11-02",)


@needs_detectors
@pytest.mark.parametrize("kind", ["JPEG", "HEIF"])
def test_with_blur_no_face_is_stored_and_the_photo_is_known_again(tmp_path: Path, kind: str) -> None:
    inbox = Inbox(tmp_path / "inbox", blur=process_blur())
    exif = exif_of(load_photo(photo(east_m=30.0, frame=FRAME)).capture)
    sent = encoded(portrait(), kind, exif=exif.tobytes())
    entry, new = inbox.add(sent, Sidecar())
    assert new
    assert entry.id == hashlib.sha256(sent).hexdigest()
    assert entry.sidecar.source == "photo"
    assert sorted(path.suffix for path in inbox.folder.iterdir()) == [".jpg", ".json"]
    stored = load_photo(entry.path)
    assert is_flat(stored.rgb, FACE)
    assert stored.capture.lat_deg == pytest.approx(entry.sidecar.lat, abs=1e-7)
    assert inbox.add(sent, Sidecar()) == (entry, False)


@needs_detectors
def test_with_blur_a_photo_that_was_not_looked_through_is_not_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("out of memory")

    inbox = Inbox(tmp_path / "inbox", blur=process_blur())
    monkeypatch.setattr(FaceDetector, "boxes", fails)
    with pytest.raises(PhotoError, match="could not be looked for"):
        inbox.add(HERE, PLACED)
    assert not inbox.folder.exists()
