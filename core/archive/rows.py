"""A located photo as one flat row, and a photo that could not be located as a row with its reason."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from core.errors import PhotoError
from core.locate.fix import Fix
from core.photo.names import as_text


@dataclass(frozen=True)
class Row:
    """Degrees and metres of a fix, as `Fix` has them; `error` alone where the photo could not be located.

    A photo that shows no place of this campus has a position but no radius.
    """

    photo: str
    lat: float | None = None
    lon: float | None = None
    radius68_m: float | None = None
    radius95_m: float | None = None
    on_campus: bool | None = None
    ood_score: float | None = None
    zone: str | None = None
    zone_probability: float | None = None
    heading_deg: float | None = None
    heading_spread_deg: float | None = None
    campus: str | None = None
    error: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """By column, in order; texts as any file takes them."""
        values = {name: getattr(self, name) for name in COLUMNS}
        return {name: as_text(value) if isinstance(value, str) else value for name, value in values.items()}


COLUMNS = tuple(field.name for field in fields(Row))
_NUMBERS = frozenset(
    {"lat", "lon", "radius68_m", "radius95_m", "ood_score", "zone_probability", "heading_deg", "heading_spread_deg"}
)


@dataclass(frozen=True)
class ArchiveTally:
    """How many photos of an archive were located, how many could not be, and how many had rows before."""

    located: int
    failed: int
    before: int


def row_of(photo: str, fix: Fix | PhotoError) -> Row:
    """The row of a fix, or of why there is none."""
    if isinstance(fix, PhotoError):
        return Row(photo, error=str(fix))
    return Row(
        photo=photo,
        lat=fix.lat,
        lon=fix.lon,
        radius68_m=fix.radius68_m,
        radius95_m=fix.radius95_m,
        on_campus=fix.on_campus,
        ood_score=fix.ood_score,
        zone=fix.zone.name,
        zone_probability=fix.zone.probability,
        heading_deg=fix.heading_deg,
        heading_spread_deg=fix.heading_spread_deg,
        campus=fix.campus,
    )


def schema() -> Any:
    """The columns of a row as Arrow has them, a pyarrow.Schema."""
    import pyarrow

    kinds = {name: pyarrow.float64() if name in _NUMBERS else pyarrow.string() for name in COLUMNS}
    return pyarrow.schema(list((kinds | {"on_campus": pyarrow.bool_()}).items()))
