"""What of a fix a map draws: its circles, a direction where it has one, all else where it is asked for or in doubt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from core.locate.confidence import confidence, places_to_name

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from core.campus.bundle import Bundle
    from core.locate.fix import Candidate, Fix

_CONE_HALF_DEG = 30.0  # half of a phone's horizontal field of view, where the model gives no spread of its own
_MOST_SPREAD_DEG = 90.0  # a view that may be towards half the horizon is no direction
_MOST_PHOTOS = 3000  # dots that are drawn; more would only lie on one another


@dataclass(frozen=True)
class Shown:
    """What a map draws only where it is asked for; `heat` is the likelihood, with the other places that fit."""

    zones: bool = False
    heat: bool = False
    photos: bool = False


NOTHING_MORE = Shown()


def known_heading(fix: Fix) -> tuple[float, float] | None:
    """(heading, its spread) in degrees; None without a heading, and where its spread reaches 90 degrees."""
    if fix.heading_deg is None:
        return None
    half = _CONE_HALF_DEG if fix.heading_spread_deg is None else fix.heading_spread_deg
    return (fix.heading_deg % 360, half) if half < _MOST_SPREAD_DEG else None


def view_cone(fix: Fix) -> tuple[float, float] | None:
    """(heading, half the cone's width) in degrees, or None where there is no direction to show.

    There is none between look-alike places, where nobody stands.
    """
    return None if confidence(fix) == "split" else known_heading(fix)


def radii_m(fix: Fix) -> tuple[float, float]:
    """The radii of a fix on the campus; no other is drawn."""
    if fix.radii_m is None:
        raise ValueError("a fix that is not of this campus has no circle")
    return fix.radii_m


def draws_heat(fix: Fix, shown: Shown) -> bool:
    """Whether the probability is drawn."""
    return fix.probability is not None and _tells_more(fix, shown)


def numbered_places(fix: Fix, shown: Shown) -> list[Candidate]:
    """The places that the map numbers, in the order of their numbers."""
    return places_to_name(fix) if _tells_more(fix, shown) else []


def _tells_more(fix: Fix, shown: Shown) -> bool:
    """Whether more than one place is drawn: where it is asked for, and between look-alikes, which no circle tells."""
    return shown.heat or confidence(fix) == "split"


def photos_m(bundle: Bundle) -> NDArray[np.floating]:
    """(N, 2) local metres of the training photos that the map draws as dots."""
    local_m = np.empty((0, 2)) if bundle.gallery is None else bundle.gallery.local_m
    return local_m[:: 1 + len(local_m) // _MOST_PHOTOS]
