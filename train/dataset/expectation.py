"""What so many photos of a campus can give, told before anything is trained."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.campus.frame import LocalFrame

Float = NDArray[np.float64]

PLACE_M = 5.0  # photos in one square of this size were taken at one place
EDGE_M = 15.0  # how far a campus reaches beyond its outermost photos
PER_PLACE = 4  # photos, turning, at each new place
# log(median error / sqrt(area)) = level + by_places log(places) + by_views log(photos / places), by least squares on
# two real campuses of equal weight: untrained features, centred, whole sessions or contributors held out, standpoints
# and photos at each thinned at random (`bgu`: 100 settings of 5 to 1,106 photos; `iiith`: 3 of 48 to 192). The medians
# of `bgu` scatter about it by a factor of 1.21; `iiith` is off by 1.09 at most.
LEVEL, BY_PLACES, BY_VIEWS = -0.369, -0.205, -0.345
WITHIN = 1.5  # the factor that a campus may be off by: `penn`, on which nothing was fitted, is off by 1.3
_THIN_M = 25.0  # from here on more photos are worth naming


@dataclass(frozen=True)
class Expectation:
    """How thickly a campus is photographed, and the median error to expect on photos of another day, in metres."""

    photos: int
    places: int
    width_m: float
    height_m: float
    area_m2: float

    @property
    def median_m(self) -> float:
        """Half of the photos taken on another walk should be located better than this."""
        log_share = LEVEL + BY_PLACES * math.log(self.places) + BY_VIEWS * math.log(self.photos / self.places)
        return math.exp(log_share) * math.sqrt(self.area_m2)

    def with_more(self, places: int) -> Expectation:
        """The same campus with PER_PLACE photos at each of so many more places."""
        photos = self.photos + places * PER_PLACE
        return Expectation(photos, self.places + places, self.width_m, self.height_m, self.area_m2)

    def lines(self) -> list[str]:
        """One line, and where photos are thin a second one: what more of them would give."""
        message = (
            f"{self.photos} photos at {self.places} places on {self.width_m:.0f} × {self.height_m:.0f} m: expect half "
            f"of another day's photos within about {_round(self.median_m)} m ({_round(self.median_m / WITHIN)} to "
            f"{_round(self.median_m * WITHIN)} m)"
        )
        if self.median_m <= _THIN_M:
            return [message]
        more = max(25, 25 * round(1.5 * self.places / 25))
        then_m = _round(self.with_more(more).median_m)
        if then_m >= _round(self.median_m):
            return [message]
        return [message, f"{more * PER_PLACE} more, {PER_PLACE} at each of {more} places in between: about {then_m} m"]


def expect(latlon: Float) -> Expectation:
    """What (N, 2) positions in degrees of training photos can give, N >= 1."""
    from shapely import MultiPoint

    local_m = LocalFrame.of_points(*latlon.T).to_local(*latlon.T)
    size = np.ptp(local_m, axis=0)
    places = len(np.unique(np.floor(local_m / PLACE_M), axis=0))
    area_m2 = float(MultiPoint(local_m).convex_hull.buffer(EDGE_M).area)
    return Expectation(len(latlon), places, float(size[0]), float(size[1]), area_m2)


def _round(metres: float) -> int:
    """As people say distances: to the metre below 20, to 5 m below 100, else to 10 m."""
    step = 1 if metres < 20 else 5 if metres < 100 else 10
    return int(step * round(metres / step))
