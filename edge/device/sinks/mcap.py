"""Fixes as a ROS 2 bag in MCAP: sensor_msgs/NavSatFix for each, and nav_msgs/Path of the whole way.

The path is in the frame `map`, metres true east (x) and true north (y) of the first fix (REP 103 and 105). Where that
frame's origin lies on Earth a NavSatFix of its own tells.
"""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from core.campus.frame import LocalFrame
from core.errors import MissingDependency
from core.io.files import check_replaceable
from core.locate.fix import Fix
from edge.device.nmea_sentences import RADIUS68_PER_SIGMA
from edge.device.sink import SinkOptions
from edge.device.sources import Frame

ADDRESSES = "mcap:FOLDER"
FIX_TOPIC, PATH_TOPIC, ORIGIN_TOPIC = "/campus_gps/fix", "/campus_gps/path", "/campus_gps/origin"
FRAME_ID, MAP_ID = "camera", "map"
MOST_POSES = 100_000  # of the path: a day at one a second
FORMAT_VERSION = 9  # of rosbag2's metadata
UNKNOWN_M2 = 1e6  # the variance of a height that no photo tells
METADATA = "metadata.yaml"  # by which a bag is known


class McapSink:
    """Writes a bag folder; it is whole once the run has ended.

    Where an earlier run's bag is, the next goes beside it: FOLDER-2, FOLDER-3 and so on, since a bag cannot be gone on
    with, and a service that starts anew must not lose what it wrote.
    """

    standstill_s = 60.0  # the path of a day is written at the end: 100,000 poses took 3 s on a server's core

    def __init__(self, folder: Path) -> None:
        """Raises OccupiedError where something else than a bag lies there, and MissingDependency without rosbags."""
        try:
            rosbag2, typesys = import_module("rosbags.rosbag2"), import_module("rosbags.typesys")
        except ImportError as error:
            raise MissingDependency("rosbags", "requirements-receivers.txt") from error
        folder = _beside_bags(folder)
        check_replaceable(folder, False, "ROS 2 bag", METADATA)
        with suppress(FileNotFoundError):
            folder.rmdir()  # an empty one: the writer makes it itself
        self._store = typesys.get_typestore(typesys.Stores.ROS2_HUMBLE)
        self._writer = rosbag2.Writer(folder, version=FORMAT_VERSION, storage_plugin=rosbag2.StoragePlugin.MCAP)
        self._writer.open()
        self._fixes = self._writer.add_connection(FIX_TOPIC, "sensor_msgs/msg/NavSatFix", typestore=self._store)
        self._frame: LocalFrame | None = None
        self._origin: Any = None  # the message of the first fix that has a place
        self._poses: list[tuple[float, float, float]] = []  # seconds, true east and north of the first fix in metres

    def put(self, frame: Frame, fix: Fix) -> None:
        self._write(self._fixes, self._nav_sat_fix(frame, fix), frame.taken_s)
        if not fix.refused and len(self._poses) < MOST_POSES:
            if self._frame is None:
                self._frame = LocalFrame.about(fix.lat, fix.lon)
                self._origin = self._nav_sat_fix(frame, fix, MAP_ID)
            east_m, north_m = self._frame.to_enu(fix.lat, fix.lon)
            self._poses.append((frame.taken_s, float(east_m), float(north_m)))

    def close(self) -> None:
        if self._poses:
            origin = self._writer.add_connection(ORIGIN_TOPIC, "sensor_msgs/msg/NavSatFix", typestore=self._store)
            path = self._writer.add_connection(PATH_TOPIC, "nav_msgs/msg/Path", typestore=self._store)
            self._write(origin, self._origin, self._poses[0][0])
            self._write(path, self._path(), self._poses[-1][0])
        self._writer.close()

    def _write(self, connection: Any, message: Any, taken_s: float) -> None:
        data = self._store.serialize_cdr(message, connection.msgtype)
        self._writer.write(connection, int(taken_s * 1e9), data)

    def _type(self, name: str) -> Any:
        return self._store.types[name]

    def _header(self, taken_s: float, frame_id: str) -> Any:
        second, rest = divmod(int(taken_s * 1e9), 10**9)
        stamp = self._type("builtin_interfaces/msg/Time")(sec=second, nanosec=rest)
        return self._type("std_msgs/msg/Header")(stamp=stamp, frame_id=frame_id)

    def _nav_sat_fix(self, frame: Frame, fix: Fix, frame_id: str = FRAME_ID) -> Any:
        """A refused photo has status NO_FIX, no position and no covariance."""
        kind, status = self._type("sensor_msgs/msg/NavSatFix"), self._type("sensor_msgs/msg/NavSatStatus")
        held = not fix.refused
        variance = ((fix.radius68_m or 0.0) / RADIUS68_PER_SIGMA) ** 2
        return kind(
            header=self._header(frame.taken_s, frame_id),
            status=status(status=status.STATUS_FIX if held else status.STATUS_NO_FIX, service=status.SERVICE_GPS),
            latitude=fix.lat if held else float("nan"),
            longitude=fix.lon if held else float("nan"),
            altitude=float("nan"),
            position_covariance=np.diag([variance, variance, UNKNOWN_M2]).ravel() if held else np.zeros(9),
            position_covariance_type=kind.COVARIANCE_TYPE_APPROXIMATED if held else kind.COVARIANCE_TYPE_UNKNOWN,
        )

    def _path(self) -> Any:
        point, pose = self._type("geometry_msgs/msg/Point"), self._type("geometry_msgs/msg/Pose")
        quaternion, stamped = self._type("geometry_msgs/msg/Quaternion"), self._type("geometry_msgs/msg/PoseStamped")
        level = quaternion(x=0.0, y=0.0, z=0.0, w=1.0)
        poses = [
            stamped(header=self._header(taken_s, MAP_ID), pose=pose(point(x=east_m, y=north_m, z=0.0), level))
            for taken_s, east_m, north_m in self._poses
        ]
        return self._type("nav_msgs/msg/Path")(header=self._header(self._poses[-1][0], MAP_ID), poses=poses)


def _beside_bags(folder: Path) -> Path:
    """The folder itself, or the first beside it that holds no bag; one that was killed left no metadata."""
    name, number = folder.name, 1
    while (folder / METADATA).is_file() or (folder / f"{folder.name}.mcap").is_file():
        number += 1
        folder = folder.with_name(f"{name}-{number}")
    return folder


def open_sink(rest: str, _options: SinkOptions) -> McapSink | None:
    """A folder -> the sink. Raises OccupiedError and MissingDependency."""
    return McapSink(Path(rest)) if rest else None
