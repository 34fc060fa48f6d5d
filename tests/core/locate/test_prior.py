"""Where people stand, before any photo is seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from core.campus.frame import LocalFrame
from core.campus.fusion_parameters import FusionParams
from core.campus.grid import Grid
from core.locate.fusion import together
from core.locate.prior import closed_cells, standing_prior

GRID = Grid(-50.0, -30.0, 2.0, 30, 50)


def walkers(count: int = 200) -> np.ndarray:
    return np.stack([np.linspace(-40, 0, count), np.zeros(count)], axis=1)


def test_the_prior_is_a_map_that_is_highest_where_people_stood_and_nowhere_zero() -> None:
    prior = standing_prior(GRID, walkers(), 8.0, 1.0, 0.2).standing
    assert prior.sum(dtype=np.float64) == pytest.approx(1.0, abs=1e-5)
    assert prior.min() > 0
    assert prior[15, 15] > 5 * prior[15, 45]
    flatter = standing_prior(GRID, walkers(), 8.0, 0.3, 0.2).standing
    assert flatter[15, 15] / flatter[15, 45] < prior[15, 15] / prior[15, 45]


def test_what_says_nothing_of_a_place_knows_no_buildings() -> None:
    closed = np.zeros((30, 50), bool)
    closed[16:20, 5:25] = True
    prior = standing_prior(GRID, walkers(), 8.0, 1.0, 0.2, closed)
    plain = standing_prior(GRID, walkers(), 8.0, 1.0, 0.2)
    assert np.array_equal(prior.reference, plain.reference)
    assert np.array_equal(plain.standing, plain.reference)
    # Three photos that say nothing leave people where they stand, out of the building.
    fused = together([plain.reference * np.float32(1), prior.reference, prior.reference], prior, FusionParams())
    assert fused.mass[closed].sum() <= prior.reference[closed].sum() + 1e-6


def test_nobody_stands_in_a_building_unless_training_photos_were_taken_there() -> None:
    closed = np.zeros((30, 50), bool)
    closed[16:20, 5:25] = True  # just north of the path
    outdoors = standing_prior(GRID, walkers(), 8.0, 1.0, 0.2, closed).standing
    plain = standing_prior(GRID, walkers(), 8.0, 1.0, 0.2).standing
    assert outdoors[closed].sum() < 0.5 * plain[closed].sum()
    inside = np.concatenate([walkers(), np.stack([np.linspace(-35, -5, 300), np.full(300, 5.0)], axis=1)])
    assert standing_prior(GRID, inside, 8.0, 1.0, 0.2, closed).standing[closed].sum() > 0.2


def test_buildings_and_their_courtyards_are_read_off_the_map() -> None:
    frame = LocalFrame.of_points(np.array([31.2619, 31.2621]), np.array([34.8009, 34.8011]))

    def ring(west: float, south: float, east: float, north: float) -> list[list[float]]:
        corners = np.array([[west, south], [east, south], [east, north], [west, north], [west, south]])
        return [[lon, lat] for lat, lon in frame.to_latlon(corners)]

    def feature(kind: str, *rings: list[Any]) -> dict[str, Any]:
        return {"properties": {"kind": kind}, "geometry": {"type": "Polygon", "coordinates": list(rings)}}

    features = [
        feature("building", ring(-24, -4, -16, 4)),  # within the courtyard of the next
        feature("building", ring(-40, -20, 0, 20), ring(-30, -10, -10, 10)),
        feature("path", ring(10, -20, 40, 20)),
        {"properties": {"kind": "building"}, "geometry": {"type": "Point", "coordinates": [34.8, 31.26]}},
        {"properties": None, "geometry": {"type": "Point", "coordinates": [34.8, 31.26]}},
        {"properties": {"kind": "building"}, "geometry": None},
        {"properties": {"kind": "building"}, "geometry": {"type": "Polygon", "coordinates": 5}},
        {"properties": {"kind": "building"}, "geometry": {"type": "MultiPolygon", "coordinates": [34.8, 31.26]}},
        "no feature",
        feature("building", [["a", "b"]], [[1.0]], [[800.0, 95.0], [801.0, 95.0], [801.0, 96.0]]),
    ]
    closed = closed_cells(GRID, {"features": features}, frame)
    assert closed[6, 10]
    assert not closed[11, 11]  # the courtyard
    assert closed[15, 14]
    assert not closed[:, 30:].any()
    assert closed.sum() * 4 == pytest.approx(40 * 40 - 20 * 20 + 8 * 8, rel=0.15)
