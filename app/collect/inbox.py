"""The server's inbox: photos with their sidecars, written whole or not at all, each once, within a quota."""

from __future__ import annotations

import hashlib
import logging
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from threading import Lock

from app.collect.recorded import by_recorded
from app.settings import settings
from core.campus.inbox import Sidecar, read_sidecar
from core.errors import CampusError
from core.io.files import written_atomically
from core.photo.blur.blur import Blur, process_blur
from core.photo.capture import Capture
from core.photo.load import load_photo
from core.photo.names import is_photo
from core.photo.sniff import ending_of

log = logging.getLogger(__name__)

MAX_INBOX_BYTES = 5 * 10**9  # 10,000 photos or so
LEAST_FREE_BYTES = 2 * 10**8
_ID = re.compile(r"[0-9a-f]{64}")
_LOOK_PX = 64  # decoded this small, a photo shows whether it can be read at all


class InboxFull(CampusError):
    """The inbox holds as much as it may, or its disk is nearly full."""


@dataclass(frozen=True)
class Entry:
    """A photo in the inbox; `id` is the sha256 of the file that was sent, in hexadecimal."""

    id: str
    path: Path
    sidecar: Sidecar


@dataclass(frozen=True)
class Held:
    """What an inbox holds, the newest first and those without a time last, and how many more have a damaged sidecar."""

    entries: list[Entry]
    damaged: int


class Inbox:
    """A folder of photos and sidecars, up to `most_bytes`; made, for this user alone, with its first photo.

    With `blur` no photo is stored but as it leaves it.
    """

    def __init__(self, folder: Path, most_bytes: int = MAX_INBOX_BYTES, blur: Blur | None = None) -> None:
        self.folder, self.most_bytes, self.blur = folder, most_bytes, blur
        self._lock = Lock()

    def add(
        self, photo: bytes, sidecar: Sidecar, recorded: Capture | None = None, clock_ahead: timedelta | None = None
    ) -> tuple[Entry, bool]:
        """Store a photo unless it is there already; the entry as it stands, and whether it is new.

        `recorded` is what the camera wrote where the bytes no longer hold it; see `by_recorded` for what of it counts.
        Raises PhotoError where the photo cannot be read, or cannot be blurred and should be, InboxFull where there is
        no room, OSError where the disk refuses.
        """
        seen = load_photo(photo, min_side=_LOOK_PX).capture
        sidecar = by_recorded(sidecar, seen if recorded is None else recorded, clock_ahead)
        name = hashlib.sha256(photo).hexdigest()  # before it is blurred: so it is known when it is sent again
        if (known := self.find(name)) is not None:
            return known, False
        if self.blur is not None:
            photo = self.blur.photo(photo)
        path = self.folder / f"{name}{ending_of('photo', photo)}"
        with self._lock:
            if (known := self._entry(path)) is not None:
                return known, False
            self._check_room(len(photo))
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            # The photo comes last: whoever sees one finds its sidecar, and a sidecar alone is written again.
            _write(path.with_suffix(".json"), _json(sidecar))
            _write(path, photo)
        return Entry(name, path, sidecar), True

    def entries(self) -> list[Entry]:
        """All photos that can be read, the newest first; those without a time last."""
        return self.held().entries

    def held(self) -> Held:
        """All photos; one whose sidecar is damaged is named in the log, and hides no other."""
        found, damaged = [], 0
        for path in self._photos():
            try:
                entry = self._entry(path)
            except CampusError as error:
                log.warning("a photo of the inbox is left out: %s", error)
                damaged += 1
            else:
                found += [] if entry is None else [entry]
        return Held(sorted(found, key=lambda entry: (-_seconds(entry.sidecar), entry.id)), damaged)

    def find(self, name: str) -> Entry | None:
        """The photo of an id, or None."""
        if not _ID.fullmatch(name) or not self.folder.is_dir():
            return None
        photos = (path for path in self.folder.glob(f"{name}.*") if is_photo(path))
        return next((entry for path in photos if (entry := self._entry(path)) is not None), None)

    def change(self, name: str, **changes: object) -> Entry | None:
        """Give a photo another place or another review; None where there is no such photo.

        Raises pydantic's ValidationError where no sidecar says that, as of an accepted photo without a place.
        """
        with self._lock:
            entry = self.find(name)
            if entry is None:
                return None
            sidecar = entry.sidecar.changed(**changes)
            _write(entry.path.with_suffix(".json"), _json(sidecar))
            return Entry(entry.id, entry.path, sidecar)

    def held_bytes(self) -> int:
        """How much the folder holds, but for what is just being written."""
        held = 0
        for file in self.folder.iterdir() if self.folder.is_dir() else ():
            with suppress(FileNotFoundError):  # taken out meanwhile
                held += 0 if file.name.startswith(".") else file.stat().st_size
        return held

    def _photos(self) -> Iterator[Path]:
        if self.folder.is_dir():
            yield from (path for path in self.folder.iterdir() if is_photo(path) and _ID.fullmatch(path.stem))

    def _entry(self, path: Path) -> Entry | None:
        """The photo at a path with its sidecar; None where either is missing."""
        if not path.is_file() or (sidecar := read_sidecar(path.with_suffix(".json"))) is None:
            return None
        return Entry(path.stem, path, sidecar)

    def _check_room(self, more: int) -> None:
        if self.held_bytes() + more > self.most_bytes:
            told = f"holds its {self.most_bytes / 1e9:g} GB"
            raise InboxFull(told, path=self.folder, remedy="move photos out of it", kind="full")
        at = next(folder for folder in (self.folder, *self.folder.absolute().parents) if folder.exists())
        if shutil.disk_usage(at).free < LEAST_FREE_BYTES + more:
            raise InboxFull(
                f"less than {LEAST_FREE_BYTES / 1e6:.0f} MB are free on its disk", path=self.folder,
                remedy="make room there", kind="disk",
            )  # fmt: skip


def _write(path: Path, data: bytes) -> None:
    with written_atomically(path) as temporary:
        temporary.write_bytes(data)


def _json(sidecar: Sidecar) -> bytes:
    return sidecar.model_dump_json(indent=1).encode() + b"\n"


def _seconds(sidecar: Sidecar) -> float:
    return sidecar.time_utc.timestamp() if sidecar.time_utc else 0.0


def process_inbox() -> Inbox | None:
    """The inbox of this process, or None where it takes no photos."""
    told = settings()
    return _inbox(told.inbox, told.blur) if told.inbox else None


@lru_cache(maxsize=1)
def _inbox(folder: Path, blur: bool) -> Inbox:
    return Inbox(folder, blur=process_blur() if blur else None)
