"""Where more training photos would help most: large errors where training photos are thin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from core.campus.needs import MOST_NEEDS, Light, PlaceNeed

Float = NDArray[np.float64]

NEAR_M = 15.0  # a photo taken within a few steps shows much of what the next one does
_BY = ", by "
PRIOR_PHOTOS = 3.0  # how many average photos each place's score is blended with: one bad photo is no place


@dataclass(frozen=True)
class Need:
    """A place, in one light where the data tells them apart, and what its `n` photos show.

    `near` is the mean number of training photos within NEAR_M of them: of that light where `evaluate` counts by the
    dataset, of any where `health` counts by the gallery, which tells none. `at_m` is where the most central of them was
    taken, in metres east and north of the campus centre, `score` what the list is ranked by.
    """

    place: str
    n: int
    mean_m: float
    near: float
    score: float
    at_m: tuple[float, float]

    @property
    def light(self) -> Light:
        """The light that the place's name ends with, "" where it names none."""
        light = self.place.rpartition(_BY)[2]
        return "night" if light == "night" else "day" if light == "day" else ""


def by_light(place: str, light: str) -> str:
    """The name of a place in one light."""
    return f"{place}{_BY}{light}"


def place_needs(needs: Sequence[Need], gallery_m: Float) -> list[PlaceNeed]:
    """What a bundle carries of its needs; `gallery_m` (G, 2) are the photos that it has."""
    return [
        PlaceNeed(
            east_m=round(need.at_m[0], 1), north_m=round(need.at_m[1], 1), light=need.light,
            mean_m=round(need.mean_m, 1), n=need.n, near=int(photos_near(np.array([need.at_m]), gallery_m)[0]),
        )
        for need in needs[:MOST_NEEDS]
    ]  # fmt: skip


def photos_near(at_m: Float, training_m: Float) -> NDArray[np.int64]:
    """(N, 2) and (T, 2) local metres -> (N,) how many training photos lie within NEAR_M."""
    if not len(training_m):
        return np.zeros(len(at_m), np.int64)
    return np.asarray(cKDTree(training_m).query_ball_point(at_m, NEAR_M, return_length=True), np.int64)


def photo_needs(places: NDArray[np.str_], at_m: Float, error_m: Float, near: NDArray[np.int64]) -> tuple[Need, ...]:
    """(N,) places of photos, (N, 2) where, (N,) errors and training photos near -> the places, neediest first.

    A photo's score is error / (1 + near): if the error falls with the square root of the density, that is (twice) what
    one more photo there would take off it. A place's score is the mean of its photos'.
    """
    gain = error_m / (1.0 + near)
    found = []
    for place in np.unique(places):
        chosen = places == place
        n = int(chosen.sum())
        score = (gain[chosen].sum() + PRIOR_PHOTOS * gain.mean()) / (n + PRIOR_PHOTOS)
        spots = at_m[chosen]
        east, north = spots[np.linalg.norm(spots - spots[:, None], axis=2).sum(axis=1).argmin()].tolist()
        found.append(
            Need(str(place), n, float(error_m[chosen].mean()), float(near[chosen].mean()), float(score), (east, north))
        )
    return tuple(sorted(found, key=lambda need: (-need.score, need.place)))
