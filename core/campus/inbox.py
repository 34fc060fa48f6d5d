"""The inbox of a campus: a folder of photos that people sent, each with a sidecar that says where it was taken."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from core.campus.frame import LEAST_LAT, MOST_LAT
from core.errors import CampusError, in_a_line
from core.io.files import read_regular

Review = Literal["", "accepted", "rejected"]
Source = Literal["gps", "tap", "photo", "none"]

MAX_SIDECAR_BYTES = 65_536
_MAX_NAME = 40


def _plain(text: Any) -> Any:
    """A person's or campus's name without control characters, at most 40 of it."""
    if not isinstance(text, str):
        return text
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())[:_MAX_NAME]


def _aware(time: datetime) -> datetime:
    """A time that names no zone is in UTC."""
    return time if time.tzinfo else time.replace(tzinfo=timezone.utc)


_Time = Annotated[datetime, AfterValidator(_aware)]
_Lat = Annotated[float, Field(ge=LEAST_LAT, le=MOST_LAT)]
_Lon = Annotated[float, Field(ge=-180, le=180)]
_Metres = Annotated[float, Field(ge=0, le=100_000)]
_Words = Annotated[str, BeforeValidator(_plain)]


class Answered(BaseModel):
    """The fix that a person corrected: degrees, and metres, None where the photo was refused."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    lat: _Lat
    lon: _Lon
    radius68_m: _Metres | None = None


class Sidecar(BaseModel):
    """What is known of a photo beside its pixels; NAME.json beside NAME.jpg.

    `lat`, `lon` are WGS84 and stand both or neither, `error_m` is the receiver's own word (68 %), `source` says who
    knew the position: the phone's GPS, a person by a tap on the map, the photo's EXIF, or nobody yet. `heading_deg` is
    where the camera looked, clockwise from north. `fix` is the answer that a person corrected. `review` is "" until
    someone decided.
    """

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    lat: _Lat | None = None
    lon: _Lon | None = None
    error_m: _Metres | None = None
    source: Source = "none"
    time_utc: _Time | None = None
    heading_deg: Annotated[float, Field(ge=0, lt=360)] | None = None
    who: _Words = ""
    campus: _Words = ""
    fix: Answered | None = None
    review: Review = ""

    @model_validator(mode="after")
    def _both_or_neither(self) -> Sidecar:
        if (self.lat is None) != (self.lon is None):
            raise ValueError("lat and lon stand both or neither")
        if self.lat is None and self.review == "accepted":
            raise ValueError("a photo without a place cannot be accepted")
        return self

    @property
    def placed(self) -> bool:
        """Whether anybody knows where the photo was taken."""
        return self.lat is not None

    def is_of(self, campus: str) -> bool:
        """Whether the photo is of the campus of this name, or of none that it names."""
        return self.campus in ("", _plain(campus))

    def changed(self, **changes: Any) -> Sidecar:
        """The same with other values, checked. Raises ValidationError."""
        return Sidecar.model_validate(self.model_dump() | changes)


def read_sidecar(path: Path) -> Sidecar | None:
    """The sidecar in a file; None where there is none, or JSON of another program.

    Raises CampusError where it is no JSON, or holds what no photo has.
    """
    try:
        data = read_regular(path, MAX_SIDECAR_BYTES)
    except FileNotFoundError:
        return None
    try:
        told = json.loads(data)
    except ValueError as error:
        raise CampusError("is no JSON", path=path, remedy="remove it and its photo, or mend it") from error
    if not isinstance(told, dict) or "review" not in told:
        return None
    try:
        return Sidecar.model_validate({key: value for key, value in told.items() if value != ""})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise CampusError(f"{where}: {in_a_line(first['msg'])}".lstrip(": "), path=path, remedy="mend it") from error
