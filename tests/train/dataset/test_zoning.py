from __future__ import annotations

import numpy as np
import pytest

from core.campus.frame import LocalFrame
from core.campus.zones import Zone, Zones, nearest
from train.dataset.zoning import MAX_ZONES, fit_zones, name_zones, original_labels, zone_count

FRAME = LocalFrame.about(47.0, 8.4)


def square(name: str, east: float, north: float, half: float, kind: str = "building") -> dict[str, object]:
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1)]) * half + (east, north)
    ring = [[lon, lat] for lat, lon in FRAME.to_latlon(corners).tolist()]
    return {
        "type": "Feature",
        "properties": {"kind": kind, "name": name},
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    }


@pytest.mark.parametrize(
    ("photos", "distinct", "zones"), [(1, 1, 1), (7, 7, 1), (80, 80, 10), (80, 6, 3), (100_000, 100_000, MAX_ZONES)]
)
def test_never_more_zones_than_the_data_can_carry(photos: int, distinct: int, zones: int) -> None:
    spots = np.random.default_rng(0).uniform(-300, 300, (distinct, 2))
    assert zone_count(spots[np.arange(photos) % distinct]) == zones


def test_zones_cover_every_training_photo_with_its_own_cell() -> None:
    from shapely import Point, Polygon, union_all

    points = np.random.default_rng(1).uniform(-120, 120, (400, 2))
    zones = fit_zones(points, seed=0)
    polygons = [Polygon(zone.outline_m) for zone in zones.zones]
    assert len(zones) == 50
    for point, zone in zip(points, zones.assign(points), strict=True):
        assert polygons[zone].buffer(0.05).contains(Point(point))
    assert sum(polygon.area for polygon in polygons) == pytest.approx(union_all(polygons).area, rel=1e-3)


def test_the_same_seed_gives_the_same_zones() -> None:
    points = np.random.default_rng(2).uniform(-50, 50, (100, 2))
    assert fit_zones(points, seed=3) == fit_zones(points, seed=3)


def test_all_photos_in_one_place_are_one_zone() -> None:
    zones = fit_zones(np.zeros((20, 2)), seed=0)
    assert len(zones) == 1
    assert zones[0].spread_m > 0
    assert len(zones[0].outline_m) >= 4


def test_zones_are_named_after_what_stands_nearest_and_on_which_side() -> None:
    zones = Zones(tuple(Zone("", at, 5.0, ()) for at in ((0.0, 30.0), (80.0, 0.0), (1.0, 0.0))))
    campus_map = {"features": [square("Library", 0, 0, 20), square("Gym", 90, 0, 5), square("", 0, 40, 2)]}
    names = [zone.name for zone in name_zones(zones, campus_map, FRAME).zones]
    assert names == ["Library, north side", "Gym, west side", "Library"]


@pytest.mark.parametrize(
    "changes",
    [
        {"properties": None},
        {"geometry": None},
        {"geometry": {"type": "Polygon"}},
        {"geometry": {"type": "Polygon", "coordinates": []}},
        {"geometry": {"type": "Blob", "coordinates": [1]}},
    ],
)
def test_a_feature_without_a_name_or_a_place_names_no_zone(changes: dict[str, object]) -> None:
    zones = Zones((Zone("", (0.0, 30.0), 5.0, ()),))
    campus_map = {"features": [square("Gym", 0, 30, 5) | changes, square("Library", 0, 0, 20)]}
    assert [zone.name for zone in name_zones(zones, campus_map, FRAME).zones] == ["Library, north side"]


def test_without_a_map_zones_have_numbers() -> None:
    zones = fit_zones(np.random.default_rng(0).uniform(-50, 50, (20, 2)), seed=0)
    assert name_zones(zones, {"features": []}, FRAME) == zones
    assert [zone.name for zone in zones.zones] == ["Zone 1", "Zone 2"]


def test_nearest_and_assign_on_nothing() -> None:
    assert nearest(np.zeros((0, 2)), np.zeros((3, 2))).shape == (0,)
    assert Zones(()).centres_m.shape == (0, 2)


@pytest.mark.parametrize(("count", "zones"), [(1, 1), (3, 1), (8, 2), (40, 10)])
def test_original_labels_are_few_and_the_same_each_time(count: int, zones: int) -> None:
    local_m = np.random.default_rng(0).uniform(0, 100, (count, 2))
    found = original_labels(local_m)
    assert len(set(found.tolist())) == zones
    np.testing.assert_array_equal(found, original_labels(local_m))
    assert set(original_labels(np.zeros((count, 2))).tolist()) == {0}
