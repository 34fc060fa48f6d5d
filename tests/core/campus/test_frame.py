from __future__ import annotations

import numpy as np
import pytest

from core.campus.frame import LocalFrame, check_latlon, distance_m, utm_zone
from core.errors import CampusError


def dms(degrees: int, minutes: int, seconds: float) -> float:
    return degrees + minutes / 60 + seconds / 3600


# Geoscience Australia, Geocentric Datum of Australia Technical Manual v2.4: Flinders Peak and Buninyong.
FLINDERS = (-dms(37, 57, 3.72030), dms(144, 25, 29.52440))
BUNINYONG = (-dms(37, 39, 10.15610), dms(143, 55, 35.38390))


@pytest.mark.parametrize(
    ("a", "b", "geodesic_m"),
    [
        (FLINDERS, BUNINYONG, 54_972.271),  # the same manual
        ((40.6, -73.8), (51.6, -0.5), 5_551_759.400),  # GeographicLib's GeodSolve documentation, JFK to LHR
        ((31.0, 34.0), (31.0, 34.0), 0.0),
    ],
)
def test_distance_is_within_the_sphere_s_error_of_published_geodesics(
    a: tuple[float, float], b: tuple[float, float], geodesic_m: float
) -> None:
    assert float(distance_m(*a, *b)) == pytest.approx(geodesic_m, rel=0.006)


@pytest.mark.parametrize(
    ("point", "easting", "northing"),
    [(FLINDERS, 273_741.297, 5_796_489.777), (BUNINYONG, 228_854.052, 5_828_259.038)],
)
def test_utm_equals_the_published_grid_coordinates(point: tuple[float, float], easting: float, northing: float) -> None:
    frame = LocalFrame.about(*FLINDERS)
    assert frame.zone == 55
    assert frame.utm(frame.to_local(*point)) == pytest.approx([easting, northing], abs=0.01)


def test_a_course_on_the_grid_and_the_convergence_make_a_published_azimuth() -> None:
    """Of the Geocentric Datum of Australia's technical manual, to the two points' arc against their chord."""
    frame = LocalFrame.about(*FLINDERS)
    east, north = frame.to_local(*BUNINYONG)
    course_deg = float(np.degrees(np.arctan2(east, north)))
    assert (course_deg + frame.convergence_deg) % 360 == pytest.approx(306 + 52 / 60 + 5.37 / 3600, abs=0.01)


@pytest.mark.parametrize(("lat", "lon"), [(31.26, 34.80), (0.0, 36.0), (-33.9, 18.4), (60.0, 5.99), (47.0, 12.0)])
def test_true_north_lies_the_convergence_from_the_grid_s(lat: float, lon: float) -> None:
    frame = LocalFrame.about(lat, lon)
    (south_deg, west_deg), (north_deg, east_deg) = frame.to_latlon([[0.0, -500.0], [0.0, 500.0]])
    east = (east_deg - west_deg) * np.cos(np.radians(lat))
    # Metres of a degree east and north differ on the ellipsoid (WGS84's eccentricity).
    scale = (1 - 0.00669438) / (1 - 0.00669438 * np.sin(np.radians(lat)) ** 2)
    true_deg = np.degrees(np.arctan2(east, (north_deg - south_deg) * scale))
    assert frame.convergence_deg == pytest.approx(true_deg, abs=0.01)


@pytest.mark.parametrize(
    ("lat", "lon"),
    [
        (31.26, 34.80),
        (0.0, 36.0),
        (0.0005, 33.0),
        (-33.9, 18.4),
        (60.0, 5.99),
        (47.0, 12.0),
        (1.0, 179.999),
        (-79.9, 3.0),
    ],
)
def test_there_and_back_is_the_same_place_anywhere(lat: float, lon: float) -> None:
    frame = LocalFrame.about(lat, lon)
    local = np.random.default_rng(0).uniform(-600, 600, (50, 2))
    assert frame.to_local(*frame.to_latlon(local).T) == pytest.approx(local, abs=0.01)


@pytest.mark.parametrize("centre", [(0.0, 36.0), (31.0, 36.0), (48.0, 12.0), (0.0, -180.0)], ids=str)
def test_a_campus_over_the_equator_or_a_zone_border_is_one_plane(centre: tuple[float, float]) -> None:
    frame = LocalFrame.about(*centre)
    steps = np.linspace(-0.002, 0.002, 41)
    north_south = frame.to_local(centre[0] + steps, np.full(41, centre[1]))
    east_west = frame.to_local(np.full(41, centre[0]), (centre[1] + steps + 180) % 360 - 180)
    for line in (north_south, east_west):
        stride = np.linalg.norm(np.diff(line, axis=0), axis=1)
        assert stride.max() < 1.01 * stride.min()
        assert 7 < stride.mean() < 12  # 1e-4 degree is 11.1 m of latitude and less of longitude


def test_local_distances_agree_with_the_sphere_s() -> None:
    frame = LocalFrame.about(31.2620, 34.8030)
    latlon = frame.to_latlon(np.random.default_rng(1).uniform(-400, 400, (200, 2)))
    local = frame.to_local(*latlon.T)
    sphere = distance_m(latlon[0, 0], latlon[0, 1], latlon[:, 0], latlon[:, 1])
    assert sphere == pytest.approx(np.linalg.norm(local - local[0], axis=1), rel=0.01, abs=0.01)


def test_the_mean_of_points_about_the_180th_meridian_is_there() -> None:
    frame = LocalFrame.of_points([0.0, 0.0], [179.9999, -179.9999])
    assert np.abs(frame.to_local(0.0, 180.0)).max() < 5


def test_shapes_follow_the_input() -> None:
    frame = LocalFrame.about(31.0, 34.0)
    assert frame.to_local(31.0, 34.0).shape == (2,)
    assert frame.to_local(np.zeros((0,)), np.zeros((0,))).shape == (0, 2)
    assert frame.to_local(np.full((2, 3), 31.0), np.full((2, 3), 34.0)).shape == (2, 3, 2)
    assert frame.to_latlon(np.zeros((0, 2))).shape == (0, 2)


@pytest.mark.parametrize(("lat", "lon"), [(np.nan, 0.0), (0.0, np.inf), (91.0, 0.0), (-85.0, 0.0), (0.0, 181.0)])
def test_a_place_outside_utm_is_refused(lat: float, lon: float) -> None:
    with pytest.raises(CampusError):
        check_latlon(lat, lon)


def test_no_points_make_no_frame() -> None:
    with pytest.raises(CampusError, match="at least one"):
        LocalFrame.of_points([], [])


@pytest.mark.parametrize(
    ("lat", "lon", "zone"), [(31.26, 34.8, 36), (60.0, 5.0, 32), (0.0, 180.0, 1), (0.0, -180.0, 1)]
)
def test_utm_zone(lat: float, lon: float, zone: int) -> None:
    assert utm_zone(lat, lon) == zone
