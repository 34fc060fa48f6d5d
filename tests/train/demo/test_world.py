"""The demo campus without its renderer: geometry, plan of the photos, map, and the EXIF that is written."""

from __future__ import annotations

import io
import itertools
import math
from datetime import datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.ExifTags import GPS, IFD, Base
from shapely import prepare
from shapely.geometry import Point, shape

from train.demo.develop import DESCRIPTION, jpeg
from train.demo.facades import wall
from train.demo.layout import demo_world
from train.demo.make import sample_shots
from train.demo.sessions import SESSIONS, SIGMA_PER_R68, Shot, plan_shots, session_named, sun_direction
from train.demo.world import World, campus_map, wall_ahead_m
from train.evaluate.sequences import BURST_GAP_S


@pytest.fixture(scope="module")
def world() -> World:
    return demo_world()


@pytest.fixture(scope="module")
def shots(world: World) -> list[Shot]:
    return plan_shots(world, 1)


def test_names_are_unique_and_counts_are_those_of_a_campus(world: World) -> None:
    for names in (
        [b.name for b in world.buildings],
        [p.name for p in world.paths],
        [a.name for a in world.areas],
    ):
        assert len(set(names)) == len(names)
    assert 15 <= len(world.buildings) <= 25
    assert 80 <= len(world.trees) <= 120


def test_buildings_stand_apart_from_each_other_and_from_paths(world: World) -> None:
    for index, first in enumerate(world.buildings):
        for second in world.buildings[index + 1 :]:
            assert first.footprint.distance(second.footprint) > 2.0, (first.name, second.name)
        for path in world.paths:
            assert first.footprint.distance(path.line) > path.width_m / 2, (first.name, path.name)


def test_look_alikes_share_a_look_and_differ_in_accent_and_sign(world: World) -> None:
    by_name = {b.name: b for b in world.buildings}
    assert any(len(group) >= 3 for group in world.look_alikes)
    for group in world.look_alikes:
        members = [by_name[name] for name in group]
        assert len({(m.material, m.wall_rgb, m.window, m.height_m, m.look) for m in members}) == 1
        assert len({m.accent_rgb for m in members}) == len(members)
        assert len({m.sign for m in members}) == len(members)


def test_walls_of_look_alikes_are_alike_but_not_the_same(world: World) -> None:
    acacia, olive = (b for b in world.buildings if b.name in ("Acacia Hall", "Olive Hall"))
    library = next(b for b in world.buildings if b.name == "Library")
    first, second, other = (wall(b, 0, "S", 36, 13).albedo.astype(float) for b in (acacia, olive, library))
    assert 0 < np.abs(first - second).mean() < np.abs(first - other).mean()


def test_plan_is_the_same_for_the_same_seed_only(world: World, shots: list[Shot]) -> None:
    assert plan_shots(world, 1) == shots
    assert plan_shots(world, 2) != shots


def test_plan_has_the_sessions_and_sizes_asked_for(shots: list[Shot]) -> None:
    counts = {s.name: sum(shot.session == s.name for shot in shots) for s in SESSIONS}
    assert counts == {s.name: s.photos for s in SESSIONS}
    by_split = {k: sum(s.photos for s in SESSIONS if s.split == k) for k in ("train", "calibration", "test")}
    assert by_split["train"] == pytest.approx(2500, rel=0.05)
    assert (by_split["calibration"], by_split["test"]) == (560, 560)
    assert len({(s.session, s.name) for s in shots}) == len(shots)


def test_nobody_stands_in_a_building_a_tree_or_a_bench(world: World, shots: list[Shot]) -> None:
    blocked = world.obstacles(margin_m=0.3)
    prepare(blocked)
    assert not [s for s in shots if blocked.contains(Point(s.east_m, s.north_m))]


def test_standpoints_lie_beside_paths_or_on_the_plaza(world: World, shots: list[Shot]) -> None:
    plaza = next(a.polygon for a in world.areas if a.kind == "plaza")
    for shot in shots:
        here = Point(shot.east_m, shot.north_m)
        assert plaza.covers(here) or min(p.line.distance(here) for p in world.paths) <= 4.0
        assert -3 <= shot.pitch_deg <= 8
        assert -2 <= shot.roll_deg <= 2
        assert 1.4 <= shot.height_m <= 1.75


def test_photos_of_a_standpoint_are_a_burst_and_nobody_runs_to_the_next(shots: list[Shot]) -> None:
    for before, after in itertools.pairwise(shots):
        if before.session != after.session:
            continue
        waited_s = (after.time_utc - before.time_utc).total_seconds()
        walked_m = math.dist((before.east_m, before.north_m), (after.east_m, after.north_m))
        assert waited_s == 4 if walked_m == 0 else waited_s > max(BURST_GAP_S, walked_m / 1.5)


def test_samples_hold_whole_bursts(shots: list[Shot]) -> None:
    samples = sample_shots(shots)
    walk = [shot for shot in samples if shot.session == "test-walk"]
    assert len(samples) == 16
    assert len(walk) == 8
    assert len({(shot.east_m, shot.north_m) for shot in walk}) == 2
    for place in {(shot.east_m, shot.north_m) for shot in walk}:
        assert [s for s in shots if (s.east_m, s.north_m) == place] == [
            s for s in walk if (s.east_m, s.north_m) == place
        ]


def test_sessions_share_no_standpoint(shots: list[Shot]) -> None:
    owner: dict[tuple[float, float], str] = {}
    for shot in shots:
        assert owner.setdefault((shot.east_m, shot.north_m), shot.session) == shot.session


def test_training_standpoints_cover_the_paths(shots: list[Shot]) -> None:
    train = {s.name for s in SESSIONS if s.split == "train"}
    places = np.array(sorted({(s.east_m, s.north_m) for s in shots if s.session in train}))
    tests = np.array([(s.east_m, s.north_m) for s in shots if session_named(s.session).split == "test"])
    nearest = np.linalg.norm(tests[:, None] - places[None], axis=2).min(axis=1)
    assert np.median(nearest) < 3.0
    assert nearest.max() < 12.0


def test_headings_cover_the_circle_and_seldom_stare_at_a_wall(world: World, shots: list[Shot]) -> None:
    quarters = np.bincount([int(s.heading_deg // 90) for s in shots], minlength=4)
    assert quarters.min() > 0.2 * len(shots)
    close = [wall_ahead_m(world, s.east_m, s.north_m, s.heading_deg) < 4.0 for s in shots[::5]]
    assert np.mean(close) < 0.05


def test_gps_noise_is_what_the_phone_says(shots: list[Shot]) -> None:
    train = {s.name for s in SESSIONS if s.gps_noise}
    noisy = [s for s in shots if s.session in train]
    error_m = np.array([s.error_m for s in noisy])
    assert error_m.min() >= 2.0
    assert error_m.max() <= 6.0
    scaled = np.array([(s.noise_east_m, s.noise_north_m) for s in noisy]) / error_m[:, None] * SIGMA_PER_R68
    assert scaled.std() == pytest.approx(1.0, abs=0.25)
    step = np.array([a.session == b.session for a, b in itertools.pairwise(noisy)])
    assert np.corrcoef(scaled[:-1, 0][step], scaled[1:, 0][step])[0, 1] > 0.3
    for shot in shots:
        if shot.session not in train:
            assert (shot.noise_east_m, shot.noise_north_m) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("time", "lat", "lon", "azimuth", "elevation"),
    [  # equinox noon on the equator; NOAA's calculator for Boulder on a summer morning
        (datetime(2024, 3, 20, 12, 7, tzinfo=timezone.utc), 0.0, 0.0, None, 89.8),
        (datetime(2024, 6, 21, 12, 0, tzinfo=timezone(timedelta(hours=-7))), 40.0, -105.0, 176.5, 73.4),
    ],
)
def test_sun_stands_where_the_almanac_says(
    time: datetime, lat: float, lon: float, azimuth: float | None, elevation: float
) -> None:
    found_azimuth, found_elevation = sun_direction(time, lat, lon)
    assert found_elevation == pytest.approx(elevation, abs=0.4)
    if azimuth is not None:
        assert found_azimuth == pytest.approx(azimuth, abs=2.0)


def test_sun_is_up_by_day_and_down_by_night(world: World) -> None:
    for session in SESSIONS:
        elevation = sun_direction(session.start, *world.centre)[1]
        assert elevation < -6 if session.is_night else elevation > 5, session.name


def test_map_is_geojson_within_three_hundred_metres(world: World) -> None:
    collection = campus_map(world)
    assert collection["type"] == "FeatureCollection"
    kinds = {f["properties"]["kind"] for f in collection["features"]}
    assert kinds == {"building", "path", "lawn", "plaza", "tree", "tower", "water"}
    for feature in collection["features"]:
        assert set(feature["properties"]) == {"kind", "name", "height_m"}
        outline: Any = shape(feature["geometry"])
        assert outline.is_valid
        assert not outline.is_empty
        points = [outline.coords[0]] if outline.geom_type == "Point" else list(outline.exterior.coords)
        assert all(math.hypot(*world.frame.to_local(lat, lon)) < 300 for lon, lat in points)
        assert outline.geom_type == "Point" or outline.exterior.is_ccw


def test_metres_and_degrees_invert_each_other(world: World) -> None:
    lat, lon = world.to_latlon(-87.5, 131.25)
    assert world.frame.to_local(lat, lon) == pytest.approx((-87.5, 131.25), abs=1e-3)


def test_exif_says_where_when_and_that_it_is_rendered(world: World, shots: list[Shot]) -> None:
    shot = next(s for s in shots if s.session == "spring-morning")
    session = session_named(shot.session)
    image = Image.open(io.BytesIO(jpeg(np.full((6, 8, 3), 90, np.uint8), world, session, shot)))
    exif = image.getexif()
    detail, gps = exif.get_ifd(IFD.Exif), exif.get_ifd(IFD.GPSInfo)
    assert exif[Base.ImageDescription] == DESCRIPTION
    assert "not a real place" in DESCRIPTION
    assert (exif[Base.Make], exif[Base.Model]) == session.device
    lat, lon = (sum(float(v) / 60**i for i, v in enumerate(gps[tag])) for tag in (GPS.GPSLatitude, GPS.GPSLongitude))
    claimed = (shot.east_m + shot.noise_east_m, shot.north_m + shot.noise_north_m)
    assert world.frame.to_local(lat, lon) == pytest.approx(claimed, abs=0.01)
    assert (gps[GPS.GPSLatitudeRef], gps[GPS.GPSLongitudeRef], gps[GPS.GPSImgDirectionRef]) == ("N", "E", "T")
    assert float(gps[GPS.GPSImgDirection]) == pytest.approx(shot.heading_deg, abs=0.01)
    assert float(gps[GPS.GPSHPositioningError]) == pytest.approx(shot.error_m, abs=0.01)
    stamp = f"{gps[GPS.GPSDateStamp]} " + ":".join(f"{int(v):02d}" for v in gps[GPS.GPSTimeStamp])
    utc = datetime.strptime(stamp, "%Y:%m:%d %H:%M:%S").replace(tzinfo=timezone.utc)
    written = detail[Base.DateTimeOriginal] + detail[Base.OffsetTimeOriginal].replace(":", "")
    assert utc == shot.time_utc == datetime.strptime(written, "%Y:%m:%d %H:%M:%S%z")
