"""The photos of one standpoint: each is read once, and what they say together is one answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING
from uuid import uuid4

from app.map.deck import Place
from app.places import near_campus
from app.sighting import Sighting, TruthSource, thumbnail
from core.locate.several import fix_together
from core.photo.capture import Capture
from core.photo.load import load_photo

if TYPE_CHECKING:
    from core.locate.localizer import Localizer
    from core.locate.reading import Reading

MOST_PHOTOS = 8  # of one standpoint; more of them show the same again
MOST_HELD_BYTES = 8 << 20  # of the photo that may yet be corrected: what phones write is smaller


@dataclass(frozen=True)
class Taken:
    """A photo in play: what was read from it, and what the page shows and logs of it.

    `photo` is its file, so that its place can be corrected; empty where it is too large to be held. `own`: it is the
    visitor's, no sample of the campus.
    """

    reading: Reading = field(repr=False)
    thumbnail: str = field(repr=False)
    truth: Place | None
    truth_source: TruthSource
    name: str
    photo: bytes = field(default=b"", repr=False)
    own: bool = True
    key: str = field(default_factory=lambda: uuid4().hex, compare=False)  # by which the page knows it


def read(
    localizer: Localizer,
    photo: bytes,
    *,
    recorded: Capture | None = None,
    phone: Place | None = None,
    name: str = "",
) -> Taken:
    """Read the bytes of a photo file. Raises PhotoError.

    `recorded` is what the camera wrote where the bytes no longer hold it; `phone` the browser's own position, the truth
    only where the photo has none. `name` is a browser's word: control characters go, 80 characters stay.
    """
    loaded = load_photo(photo, min_side=localizer.least_side)
    capture = loaded.capture if recorded is None or loaded.capture.has_position else recorded
    truth = None
    if capture.lat_deg is not None and capture.lon_deg is not None:
        truth = Place(capture.lat_deg, capture.lon_deg, capture.error_m)
    return Taken(
        localizer.read(replace(loaded, capture=capture)),
        thumbnail(loaded.rgb),
        truth if truth is not None else phone,
        "phone" if truth is None and phone is not None else "photo",
        "".join(char for char in name if char.isprintable())[-80:],
        photo if len(photo) <= MOST_HELD_BYTES else b"",
    )


def sighted(localizer: Localizer, taken: Sequence[Taken]) -> Sighting:
    """The answer that N >= 1 photos of one standpoint give; the last one's picture and truth stand beside it."""
    last = taken[-1]
    fix = fix_together(localizer, [photo.reading for photo in taken])
    return Sighting(
        fix=fix,
        time_utc=datetime.now(timezone.utc).replace(microsecond=0),
        thumbnail=last.thumbnail,
        truth=last.truth,
        truth_source=last.truth_source,
        truth_on_campus=last.truth is None or near_campus(last.truth, localizer.bundle),
        own=all(photo.own for photo in taken),
        name=", ".join(photo.name for photo in taken if photo.name)[:200],
        key=last.key,
    )
