"""The answer to "where was this photo taken?"."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from math import nan
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from core.locate.probability_map import ProbabilityMap


@dataclass(frozen=True)
class ZoneOdds:
    """A zone and the probability (0 to 1) that the photo was taken in it."""

    id: int
    name: str
    probability: float


@dataclass(frozen=True)
class Candidate:
    """One of several separate places that fit, and the share (0 to 1) of the probability near it."""

    lat: float
    lon: float
    mass: float


@dataclass(frozen=True)
class Fix:
    """Where a photo was taken, with its doubt; every part is read off one probability map.

    lat, lon: degrees, WGS84. radius68_m, radius95_m: metres; held-out photos lie within them 68 and 95 times in 100;
    None where the photo is refused, since nothing was recognised.
    zones: all with a probability of 1 % or more, likeliest first, at least one. candidates: likeliest first.
    ood_score: how far out of the campus's distribution the photo is: the share (0 to 1) of calibration photos that
    looked more like this campus; of several photos their lower median. on_campus: whether it looks like this campus at
    all, None where the campus has too few photos to tell. heading_deg: where the camera looked, clockwise from true
    north; it is within heading_spread_deg of that 68 times in 100. Both are None where the model has no such head.

    photos: how many photos it was read from, at least 1: near copies count once, a walk's photos of elsewhere not at
    all, and photos of one standpoint as far as they are trusted, rounded. outliers: the places, in the order given, of
    photos that contradict the others. course_deg: where a walk leads, clockwise from true north; speed_m_s: how fast;
    None for photos that are no walk, and while it is not known. map_radii_m: the map's calibrated 68 and 95 % radii, of
    a refused photo too; how well they hold is judged by them, and nobody is told them.
    """

    lat: float
    lon: float
    radius68_m: float | None
    radius95_m: float | None
    zones: tuple[ZoneOdds, ...]
    candidates: tuple[Candidate, ...]
    on_campus: bool | None
    ood_score: float
    campus: str
    timings_ms: dict[str, float]
    heading_deg: float | None = None
    heading_spread_deg: float | None = None
    photos: int = 1
    outliers: tuple[int, ...] = ()
    course_deg: float | None = None
    speed_m_s: float | None = None
    map_radii_m: tuple[float, float] = field(default=(nan, nan), repr=False, compare=False)
    probability: ProbabilityMap | None = field(default=None, repr=False, compare=False)

    @property
    def zone(self) -> ZoneOdds:
        """The likeliest zone."""
        return self.zones[0]

    @property
    def refused(self) -> bool:
        """Whether the photo is not of this campus; where that cannot be told, it is located."""
        return self.on_campus is False

    @property
    def radii_m(self) -> tuple[float, float] | None:
        """The 68 and 95 % radii, or None where the photo is refused."""
        if self.radius68_m is None or self.radius95_m is None:
            return None
        return self.radius68_m, self.radius95_m

    def as_dict(self) -> dict[str, Any]:
        """Everything but the map and its radii, ready for JSON."""
        inner = ("probability", "map_radii_m")
        plain = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in inner}
        plain["zone"] = asdict(self.zone)
        plain["zones"] = [asdict(zone) for zone in self.zones]
        plain["candidates"] = [asdict(candidate) for candidate in self.candidates]
        return plain
