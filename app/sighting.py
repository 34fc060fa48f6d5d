"""One photo located: the fix and all that the app shows and logs beside it."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Literal
from uuid import uuid4

import numpy as np

from app.map.deck import Place
from core.campus.frame import distance_m
from core.locate.fix import Fix

if TYPE_CHECKING:
    from numpy.typing import NDArray


TruthSource = Literal["photo", "phone", "person"]

THUMBNAIL_PX = 144
MAX_TITLE, MAX_NOTE = 60, 500  # letters that a visitor may write beside a photo


@dataclass(frozen=True)
class Sighting:
    """A located photo. `truth` is the position that photo, phone or person gave: shown, never used to predict.

    `name` is the photo's file name, or of several each, with ", " between them; empty where there is none.
    `truth_on_campus`: whether the truth lies on the campus. `own`: it is the
    visitor's, no sample of the campus. `walked` is where the session's walk was then, by its
    earlier photos too; None for a sample. `title` and `note` are what the visitor wrote beside it.
    """

    fix: Fix
    time_utc: datetime
    thumbnail: str  # a small JPEG in a data URL
    truth: Place | None = None
    truth_source: TruthSource = "photo"
    truth_on_campus: bool = True
    own: bool = True
    name: str = ""
    walked: Place | None = None
    title: str = ""
    note: str = ""
    key: str = field(default_factory=lambda: uuid4().hex, compare=False)  # by which the browser's log knows it

    @property
    def radii_m(self) -> tuple[float, float] | None:
        """The 68 and 95 % radii, or None where the photo was refused: then the fix is no place."""
        return self.fix.radii_m

    @property
    def place(self) -> Place | None:
        """Where it was taken, or None where the photo was refused."""
        radii_m = self.radii_m
        return None if radii_m is None else Place(self.fix.lat, self.fix.lon, radii_m[0])

    @property
    def on_track(self) -> Place | None:
        """Its place on the session's track; None where it was refused, and for a sample."""
        return None if self.place is None else self.walked

    @property
    def error_m(self) -> float | None:
        """Distance in metres from the fix to the truth, where there are both."""
        if self.truth is None or self.place is None:
            return None
        return float(distance_m(self.fix.lat, self.fix.lon, self.truth.lat, self.truth.lon))

    def in_place_of(self, former: Sighting) -> Sighting:
        """The same, with what the visitor said of a former answer about this standpoint: name, note and true place."""
        said = replace(self, title=former.title, note=former.note)
        if former.truth_source != "person":
            return said
        return replace(
            said, truth=former.truth, truth_source=former.truth_source, truth_on_campus=former.truth_on_campus
        )


def thumbnail(rgb: NDArray[np.uint8], side_px: int = THUMBNAIL_PX) -> str:
    """(H, W, 3) uint8 RGB -> a JPEG no larger than `side_px` on a side, in a data URL."""
    return "data:image/jpeg;base64," + base64.b64encode(small_jpeg(rgb, side_px)).decode()


def small_jpeg(rgb: NDArray[np.uint8], side_px: int, quality: int = 72) -> bytes:
    """(H, W, 3) uint8 RGB -> a JPEG no larger than `side_px` on a side."""
    from PIL import Image

    image = Image.fromarray(rgb)
    image.thumbnail((side_px, side_px), reducing_gap=2.0)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()
