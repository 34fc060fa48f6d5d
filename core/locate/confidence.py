"""How sure an answer is, in a word: what a page or a robot does with it depends on this before any metre."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from core.campus.frame import distance_m
from core.locate.probability_map import CANDIDATE_APART_M

if TYPE_CHECKING:
    from core.locate.fix import Candidate, Fix

Confidence = Literal["good", "likely", "wide", "split", "elsewhere"]

WIDE_M = CANDIDATE_APART_M  # a 68 % radius beyond what a person sees by looking around is no longer one place
# A clear answer has no long tail: people read it as "here", and 40 m is about as far as they look around for a place.
CLEAR95_M = 40.0
SPLIT_SHARE = 0.2  # the second place must hold this share of the probability for the answer to count as split


def confidence(fix: Fix) -> Confidence:
    """Not of this campus, several places, one wide place, one place with doubt left, or one clear place.

    Doubt is a long tail of the probability, or a campus that cannot tell other places from itself: there every photo of
    elsewhere would be a clear answer.
    """
    if fix.radii_m is None:
        return "elsewhere"
    radius68_m, radius95_m = fix.radii_m
    rival = fix.candidates[1].mass if len(fix.candidates) > 1 else 0.0
    if is_clear(radius68_m, radius95_m, rival, fix.on_campus is True):
        return "good"
    if rival >= SPLIT_SHARE:
        return "split"
    return "wide" if radius68_m > WIDE_M else "likely"


def is_clear(radius68_m: Any, radius95_m: Any, rival: Any, on_campus: Any) -> Any:
    """Whether an answer claims one clear place; numbers or arrays alike.

    Both radii are in metres, `rival` is the share of the probability that the second place holds, and `on_campus` is
    whether the photo is known to be of this campus: a refused one claims nothing.
    """
    return on_campus & (radius68_m <= WIDE_M) & (radius95_m <= CLEAR95_M) & (rival < SPLIT_SHARE)


def places_to_name(fix: Fix) -> list[Candidate]:
    """The candidates worth naming beside the fix: all of a split answer, else those that are not the fix itself."""
    if confidence(fix) == "split":
        return list(fix.candidates)
    apart = [float(distance_m(fix.lat, fix.lon, place.lat, place.lon)) for place in fix.candidates]
    return [place for place, metres in zip(fix.candidates, apart, strict=True) if metres > CANDIDATE_APART_M]
