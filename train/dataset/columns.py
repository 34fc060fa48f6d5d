"""What a dataset's columns are derived from: night, sessions, file names."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import PurePosixPath

from core.campus import daylight

# The original's night, for photos with a clock but no date. It had no photo from before dawn; a sun up before
# five is rarer than a photo taken in the small hours.
NIGHT_FROM_HOUR, NIGHT_BEFORE_HOUR = 17, 5
SESSION_GAP = timedelta(minutes=30)


def is_night(lat_deg: float, lon_deg: float, time_utc: datetime | None, clock: str = "") -> bool:
    """Whether it was dark: by the sun's elevation at the place and time, else by the hour of `clock` (HH:MM).

    Without either, day: most photos are.
    """
    if time_utc is not None:
        return daylight.is_night(lat_deg, lon_deg, time_utc)
    match = re.match(r"\s*(\d{1,2})[:.h]\d{2}", clock)
    if match is None or int(match[1]) > 24:
        return False
    return int(match[1]) >= NIGHT_FROM_HOUR or int(match[1]) < NIGHT_BEFORE_HOUR


def sessions(
    sources: Sequence[str], devices: Sequence[str], times: Sequence[datetime | None], root_name: str
) -> list[str]:
    """(N) the session of each photo, "" where nothing tells.

    The subfolder's name where the photos lie in more than one folder (`root_name` for those beside the
    subfolders). Else, as a phone's one folder of all its days, by device and start of the walk, a walk ending with a
    pause of more than 30 minutes.
    """
    folders = [str(PurePosixPath(source).parent) for source in sources]
    if len(set(folders)) > 1:
        return [root_name if folder == "." else folder for folder in folders]
    walks: dict[str, list[tuple[datetime, int]]] = defaultdict(list)
    for row, time in enumerate(times):
        if time is not None:
            walks[devices[row]].append((time, row))
    named = list(devices)
    for device, photos in walks.items():
        photos.sort()
        start = last = photos[0][0]
        for time, row in photos:
            if time - last > SESSION_GAP:
                start = time
            last = time
            named[row] = f"{device} {start:%Y-%m-%d %H:%M}".strip()
    return named


def image_names(sources: Sequence[str]) -> list[str]:
    """(N) a name in `images/` for each photo, unique whatever the file system: from its path, the same every
    time.

    `walk/IMG_1.HEIC` becomes `walk__IMG_1.jpg`; where two photos would share a name, both also keep their
    ending (`IMG_1_png.jpg`), and a number if need be.
    """
    plain = [_safe("__".join(PurePosixPath(source).with_suffix("").parts)) for source in sources]
    count: dict[str, int] = defaultdict(int)
    for stem in plain:
        count[stem.casefold()] += 1
    taken: set[str] = set()
    names = []
    for source, stem in zip(sources, plain, strict=True):
        if count[stem.casefold()] > 1:
            stem = f"{stem}_{_safe(PurePosixPath(source).suffix[1:])}"
        unique, number = stem, 2
        while unique.casefold() in taken:
            unique, number = f"{stem}_{number}", number + 1
        taken.add(unique.casefold())
        names.append(f"{unique}.jpg")
    return names


def _safe(text: str) -> str:
    """Letters, digits and `-_.()` of any script; anything else, which some file system or CSV reader trips
    over, `_`. At most 180 bytes: file systems take 255, and an ending and a number follow.
    """
    plain = re.sub(r"[^\w\-.()]", "_", text)
    return plain.encode()[:180].decode(errors="ignore").lstrip(".-") or "photo"
