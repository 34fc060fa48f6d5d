"""Photos kept on purpose: each located one as a file in a folder of the operator's choice, its fix as JSON beside it.

Without that choice nothing is written anywhere: `$CAMPUS_KEEP_PHOTOS` names the folder, and `python -m app.serve
--keep-photos DIR` sets it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from threading import Lock, Semaphore

from app.settings import settings
from app.sighting import Sighting
from core.errors import PhotoError
from core.io.files import written_atomically
from core.photo.blur.blur import Blur, process_blur
from core.photo.sniff import ending_of

log = logging.getLogger(__name__)

MAX_KEPT_BYTES = 5 * 10**9  # 10,000 photos or so: a forgotten option must not fill the disk
LEAST_FREE_BYTES = 2 * 10**8
MOST_WAITING = 16  # photos in memory that are still to be blurred


class PhotoKeeper:
    """Keeps photos in one folder, up to `most_bytes`; what it cannot keep it says once, and the answer stands.

    With `blur` no photo is kept but as it leaves it.
    """

    def __init__(self, folder: Path, most_bytes: int = MAX_KEPT_BYTES, blur: Blur | None = None) -> None:
        self.folder, self._most, self._blur = folder, most_bytes, blur
        self._lock = Lock()
        self._held: int | None = None  # bytes in the folder, once counted
        self._said = ""
        self._room, self._later = Semaphore(MOST_WAITING), ThreadPoolExecutor(1, "kept-photos")

    def keep_soon(self, photo: bytes, sighting: Sighting) -> None:
        """`keep`, where the photo is blurred in a thread of its own: that takes seconds, and an answer waits for none.

        Only where MOST_WAITING photos wait it waits for one of them. A program that ends keeps those that wait first.
        """
        if self._blur is None:
            self.keep(photo, sighting)
            return
        self._room.acquire()
        self._later.submit(self.keep, photo, sighting).add_done_callback(self._one_kept)

    def _one_kept(self, work: Future[bool]) -> None:
        self._room.release()
        if (error := work.exception()) is not None:
            log.error("%s: a photo is not kept: %s", self.folder, error)

    def keep(self, photo: bytes, sighting: Sighting) -> bool:
        """Write a located photo and its fix, both whole or neither, and tell whether they were.

        The name is the time in UTC and the photo's own hash, so nothing that a visitor sends becomes part of it.
        """
        with self._lock:
            try:
                trouble = self._written(photo if self._blur is None else self._blur.photo(photo), sighting)
            except PhotoError as error:
                trouble = error.reason
            except OSError as error:
                trouble = error.strerror or str(error)
            if trouble and trouble != self._said:
                log.warning("%s: photos are not kept now: %s", self.folder, trouble)
            self._said = trouble
        return not trouble

    def _written(self, photo: bytes, sighting: Sighting) -> str:
        """Write both files; gives why not, where a bound is reached."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        record = _record(sighting)
        more = len(photo) + len(record)
        if self._held is None:
            self._held = sum(file.stat().st_size for file in self.folder.iterdir() if file.is_file())
        if self._held + more > self._most:
            return f"the folder holds its {self._most / 1e9:g} GB; empty it and start again"
        if shutil.disk_usage(self.folder).free < LEAST_FREE_BYTES + more:
            return f"less than {LEAST_FREE_BYTES / 1e6:.0f} MB are free on its disk"
        stem = f"{sighting.time_utc:%Y%m%dT%H%M%SZ}-{hashlib.sha256(photo).hexdigest()[:16]}"
        fix_file, photo_file = self.folder / f"{stem}.json", self.folder / f"{stem}{ending_of('photo', photo)}"
        try:
            # The photo comes last: whoever sees one finds its fix.
            for path, data in ((fix_file, record), (photo_file, photo)):
                with written_atomically(path) as temporary:
                    temporary.write_bytes(data)
        except OSError:
            if not photo_file.exists():
                fix_file.unlink(missing_ok=True)
            raise
        self._held += more
        return ""


def _record(sighting: Sighting) -> bytes:
    """The answer as JSON: the fix, the time, and the GPS position that it was compared with."""
    truth = sighting.truth
    plain = {
        "time_utc": sighting.time_utc.isoformat(),
        **sighting.fix.as_dict(),
        "truth": None
        if truth is None
        else {"lat": truth.lat, "lon": truth.lon, "error_m": truth.error_m, "source": sighting.truth_source},
    }
    return json.dumps(plain, ensure_ascii=False, indent=1).encode() + b"\n"


def photo_keeper() -> PhotoKeeper | None:
    """The keeper of this process, or None where photos stay in memory."""
    told = settings()
    return _keeper(told.keep_photos, told.blur) if told.keep_photos else None


@lru_cache(maxsize=1)
def _keeper(folder: Path, blur: bool) -> PhotoKeeper:
    return PhotoKeeper(folder, blur=process_blur() if blur else None)
