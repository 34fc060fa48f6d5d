"""rosbags reads the recorded fixes and the path."""

from __future__ import annotations

import math
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from core.errors import OccupiedError
from core.locate.fix import Fix
from edge.device.sinks import mcap, open_sink
from edge.device.sinks.mcap import FIX_TOPIC, ORIGIN_TOPIC, PATH_TOPIC, McapSink
from tests.edge.device.sinks.receivers import START_S, frame

Float = NDArray[np.float64]


def test_rosbags_reads_fixes_with_covariance_and_the_path(fix: Fix, refused: Fix, tmp_path: Path) -> None:
    pytest.importorskip("rosbags")
    from rosbags.highlevel import AnyReader

    folder = tmp_path / "bag"
    sink = open_sink(f"mcap:{folder}")
    assert isinstance(sink, McapSink)
    with closing(sink):
        for second, one in enumerate((fix, refused, replace(fix, lat=fix.lat + 1e-4))):
            sink.put(frame(second), one)
    with AnyReader([folder]) as reader:
        read: list[tuple[str, Any]] = [(c.topic, reader.deserialize(raw, c.msgtype)) for c, _, raw in reader.messages()]
    fixes = [message for topic, message in read if topic == FIX_TOPIC]
    assert [message.status.status for message in fixes] == [0, -1, 0]
    assert (fixes[0].latitude, fixes[0].longitude) == (fix.lat, fix.lon)
    assert math.isnan(fixes[1].latitude)
    assert math.isnan(fixes[1].longitude)
    assert [message.header.stamp.sec for message in fixes] == [START_S + second for second in range(3)]
    assert [message.position_covariance_type for message in fixes] == [1, 0, 1]
    assert not fixes[1].position_covariance.any()
    covariance = fixes[0].position_covariance.reshape(3, 3)
    assert covariance.tolist() == np.diag(covariance.diagonal()).tolist()
    assert covariance[0, 0] == covariance[1, 1] < covariance[2, 2]
    sigma_m = math.sqrt(covariance[0, 0])
    assert sigma_m * math.sqrt(-2 * math.log(0.32)) == pytest.approx(fix.radius68_m, rel=1e-3)
    (path,) = [message for topic, message in read if topic == PATH_TOPIC]
    assert [round(pose.pose.position.y, 1) for pose in path.poses] == [0.0, pytest.approx(11.1, abs=0.1)]
    assert [pose.pose.position.x for pose in path.poses] == pytest.approx([0.0, 0.0], abs=0.01)  # true north
    assert [pose.header.stamp.sec for pose in path.poses] == [START_S, START_S + 2]


def enu_m(at: tuple[float, float], origin: tuple[float, float]) -> Float:
    """(2,) metres east and north of the origin on its tangent plane, by geocentric coordinates of WGS84."""
    axis_m, flattening = 6_378_137.0, 1 / 298.257223563
    squared = flattening * (2 - flattening)

    def geocentric_m(lat_deg: float, lon_deg: float) -> Float:
        lat, lon = np.radians([lat_deg, lon_deg])
        normal_m = axis_m / np.sqrt(1 - squared * np.sin(lat) ** 2)
        flat = np.cos(lat) * np.array([np.cos(lon), np.sin(lon)])
        return np.asarray(normal_m * np.array([*flat, (1 - squared) * np.sin(lat)]))

    lat, lon = np.radians(origin)
    east = np.array([-np.sin(lon), np.cos(lon), 0.0])
    north = np.array([-np.sin(lat) * np.cos(lon), -np.sin(lat) * np.sin(lon), np.cos(lat)])
    return np.array([east, north]) @ (geocentric_m(*at) - geocentric_m(*origin))


@pytest.mark.parametrize(
    "origin", [(31.2622, 34.8013), (60.0, 2.95), (60.0, 0.05), (-41.3, 174.9), (47.0, 9.0), (0.001, -179.99)]
)
def test_a_path_leads_true_east_and_north_of_the_place_that_it_names(
    origin: tuple[float, float], fix: Fix, tmp_path: Path
) -> None:
    """REP 103: x is east and y north, not those of a grid that is up to 3 degrees askew."""
    pytest.importorskip("rosbags")
    from rosbags.highlevel import AnyReader

    lat, lon = origin
    places = [origin, (lat + 0.009, lon), (lat, lon + 0.009), (lat - 0.004, lon - 0.003)]
    with closing(McapSink(tmp_path / "bag")) as sink:
        for second, (there_lat, there_lon) in enumerate(places):
            sink.put(frame(second), replace(fix, lat=there_lat, lon=there_lon))
    with AnyReader([tmp_path / "bag"]) as reader:
        read: list[tuple[str, Any]] = [(c.topic, reader.deserialize(raw, c.msgtype)) for c, _, raw in reader.messages()]
    (path,) = [message for topic, message in read if topic == PATH_TOPIC]
    points = np.array([[pose.pose.position.x, pose.pose.position.y] for pose in path.poses])
    assert points == pytest.approx(np.array([enu_m(place, origin) for place in places]), abs=0.2)
    (start,) = [message for topic, message in read if topic == ORIGIN_TOPIC]
    assert (start.latitude, start.longitude) == origin
    assert {path.header.frame_id, start.header.frame_id, *(pose.header.frame_id for pose in path.poses)} == {"map"}


def test_a_path_grows_no_further_than_memory_is_meant_for(
    fix: Fix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("rosbags")
    monkeypatch.setattr(mcap, "MOST_POSES", 2)
    sink = McapSink(tmp_path / "bag")
    with closing(sink):
        for second in range(4):
            sink.put(frame(second), fix)
    assert len(sink._poses) == 2


def test_a_service_that_starts_anew_keeps_its_bags(fix: Fix, tmp_path: Path) -> None:
    pytest.importorskip("rosbags")
    for run in range(3):
        sink = open_sink(f"mcap:{tmp_path / 'bag'}")
        sink.put(frame(run), fix)
        sink.close()
        if run == 0:
            (tmp_path / "bag" / "metadata.yaml").unlink()  # as after a kill
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bag", "bag-2", "bag-3"]
    assert all((tmp_path / name / "metadata.yaml").is_file() for name in ("bag-2", "bag-3"))


def test_a_bag_may_fill_an_empty_folder_and_no_other(tmp_path: Path) -> None:
    pytest.importorskip("rosbags")
    folder = tmp_path / "bag"
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    with pytest.raises(OccupiedError, match="no ROS 2 bag"):
        open_sink(f"mcap:{folder}")
    (folder / "thesis.txt").unlink()
    open_sink(f"mcap:{folder}").close()
    assert (folder / "metadata.yaml").is_file()
