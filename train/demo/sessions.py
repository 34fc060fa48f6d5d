"""The capture sessions of the demo campus as data, and the plan of every photo, made from one seed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from shapely import prepare
from shapely.geometry import LineString, Point
from shapely.geometry.base import BaseGeometry

from train.demo.world import World, wall_ahead_m

Split = Literal["train", "calibration", "test"]
BESIDE_M = 4.0  # standpoints lie at most this far from a path's centre line or inside the plaza
BETWEEN_PHOTOS_S = 4.0  # at one standpoint, while turning
PACE_M_S, SETTLING_S = 1.3, 14.0  # from one standpoint to the next: walking, then stopping and raising the phone
SIGMA_PER_R68 = 1.51  # radius holding 68 % of a round 2-D normal distribution, in standard deviations per axis


@dataclass(frozen=True)
class Session:
    """One walk with one phone.

    `start` is local time with its UTC offset; `sky` is clear, overcast or night; `exposure_ev` is added to
    the phone's own metering (stops); `white` are gains of red, green and blue; `hfov_deg` is the horizontal
    angle of view; `noise` the sensor noise (fraction of full scale at mid-grey).
    """

    name: str
    split: Split
    start: datetime
    photos: int
    sky: Literal["clear", "overcast", "night"]
    turbidity: float
    exposure_ev: float
    white: tuple[float, float, float]
    hfov_deg: float
    camera_m: float
    noise: float
    device: tuple[str, str]
    per_standpoint: float
    gps_noise: bool

    @property
    def is_night(self) -> bool:
        """True where lamps and lit windows are the light."""
        return self.sky == "night"


@dataclass(frozen=True)
class Shot:
    """One photo to take: true pose, time, and what the phone's GPS will claim.

    East and north are metres about the campus centre; heading is degrees clockwise from true north; pitch is
    degrees up; roll is degrees clockwise. The GPS claim is truth plus noise; `error_m` is its 68 % radius.
    """

    session: str
    name: str
    east_m: float
    north_m: float
    height_m: float
    heading_deg: float
    pitch_deg: float
    roll_deg: float
    time_utc: datetime
    noise_east_m: float
    noise_north_m: float
    error_m: float


def _at(year: int, month: int, day: int, hour: int, minute: int, offset_h: int) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=timezone(timedelta(hours=offset_h)))


SESSIONS: tuple[Session, ...] = (
    Session("spring-morning", "train", _at(2024, 4, 9, 8, 10, 3), 680, "clear", 3.0, 0.0, (1.03, 1.0, 0.96),
            66.0, 1.62, 0.010, ("Aldebaran", "A5"), 3.4, True),
    Session("summer-noon", "train", _at(2024, 7, 16, 12, 5, 3), 680, "clear", 5.0, 0.15, (1.0, 1.0, 1.0),
            70.0, 1.52, 0.008, ("Borealis", "Note 12"), 3.4, True),
    Session("autumn-overcast", "train", _at(2024, 11, 12, 10, 0, 2), 660, "overcast", 8.0, -0.1,
            (0.97, 1.0, 1.05), 61.0, 1.70, 0.013, ("Corvus", "X2"), 3.4, True),
    Session("winter-night", "train", _at(2025, 1, 20, 19, 30, 2), 500, "night", 3.0, 0.0, (1.04, 1.0, 0.92),
            68.0, 1.58, 0.036, ("Aldebaran", "A7 Pro"), 3.0, True),
    Session("calibration-afternoon", "calibration", _at(2025, 3, 4, 15, 0, 2), 300, "clear", 4.0, 0.0,
            (1.02, 1.0, 0.97), 64.0, 1.66, 0.011, ("Dorado", "S1"), 1.6, False),
    Session("calibration-night", "calibration", _at(2025, 3, 4, 20, 0, 2), 100, "night", 3.0, 0.1,
            (1.0, 1.0, 0.97), 64.0, 1.66, 0.040, ("Dorado", "S1"), 1.6, False),
    Session("test-evening", "test", _at(2025, 5, 6, 18, 5, 3), 300, "clear", 3.5, -0.05, (1.05, 1.0, 0.93),
            67.0, 1.55, 0.012, ("Eridanus", "Mini"), 1.5, False),
    Session("test-night", "test", _at(2025, 5, 6, 21, 0, 3), 100, "night", 3.0, 0.0, (1.02, 1.0, 0.95),
            67.0, 1.55, 0.038, ("Eridanus", "Mini"), 1.5, False),
    Session("calibration-walk", "calibration", _at(2025, 3, 5, 11, 0, 2), 160, "overcast", 6.0, 0.0,
            (0.99, 1.0, 1.02), 64.0, 1.66, 0.012, ("Dorado", "S1"), 4.0, False),
    Session("test-walk", "test", _at(2025, 5, 7, 9, 30, 3), 160, "clear", 4.0, 0.05, (1.02, 1.0, 0.98),
            67.0, 1.55, 0.011, ("Eridanus", "Mini"), 4.0, False),
)  # fmt: skip


def session_named(name: str) -> Session:
    """The session of that name; KeyError where there is none."""
    for session in SESSIONS:
        if session.name == name:
            return session
    raise KeyError(f"no session {name!r}; there are {', '.join(s.name for s in SESSIONS)}")


def sun_direction(time: datetime, lat_deg: float, lon_deg: float) -> tuple[float, float]:
    """Azimuth (degrees clockwise from north) and elevation (degrees) of the sun at an aware time."""
    from astral import Observer
    from astral.sun import azimuth, elevation

    observer = Observer(lat_deg, lon_deg)
    return float(azimuth(observer, time)), float(elevation(observer, time, with_refraction=False))


def plan_shots(world: World, seed: int) -> list[Shot]:
    """Every photo of every session, the same for the same seed; no two sessions share a standpoint."""
    blocked = world.obstacles()
    prepare(blocked)
    shots: list[Shot] = []
    for index, session in enumerate(SESSIONS):
        rng = np.random.default_rng([seed, index])
        shots += _plan_session(world, blocked, session, rng)
    return shots


def _plan_session(world: World, blocked: BaseGeometry, session: Session, rng: np.random.Generator) -> list[Shot]:
    count = math.ceil(session.photos / session.per_standpoint)
    standpoints = _standpoints(world, blocked, count, rng)
    turns = np.full(count, session.photos // count)
    turns[rng.permutation(count)[: session.photos - int(turns.sum())]] += 1
    poses = [
        (east, north, heading)
        for (east, north), headings in zip(standpoints, turns, strict=True)
        for heading in _headings(world, east, north, int(headings), rng)
    ]
    after_s = _clock(standpoints, turns)
    noise, error_m = _gps_noise(len(poses), rng)
    if not session.gps_noise:
        noise, error_m = np.zeros_like(noise), np.full(len(poses), 0.1)
    shots = []
    for number, (east, north, heading) in enumerate(poses):
        shots.append(
            Shot(
                session.name, f"IMG_{number + 1:05d}.jpg", east, north,
                float(np.clip(session.camera_m + rng.normal(0, 0.05), 1.4, 1.75)), heading,
                float(np.clip(rng.normal(2.5, 2.5), -3, 8)), float(np.clip(rng.normal(0, 0.9), -2, 2)),
                (session.start + timedelta(seconds=int(after_s[number]))).astimezone(timezone.utc),
                float(noise[number, 0]), float(noise[number, 1]), float(error_m[number]),
            )
        )  # fmt: skip
    return shots


def _clock(standpoints: list[tuple[float, float]], turns: NDArray[np.int_]) -> NDArray[np.float64]:
    """Seconds from the start of the session to each photo: some at a standpoint, then a walk to the next."""
    walked_m = np.linalg.norm(np.diff(np.array(standpoints), axis=0), axis=1)
    gaps_s = np.full(int(turns.sum()), BETWEEN_PHOTOS_S)
    gaps_s[np.cumsum(turns)[:-1]] = SETTLING_S + walked_m / PACE_M_S
    gaps_s[0] = 0.0
    return np.cumsum(gaps_s)


def _standpoints(
    world: World, blocked: BaseGeometry, count: int, rng: np.random.Generator
) -> list[tuple[float, float]]:
    """Points spread evenly (with jitter) along all paths and over the plaza, in walking order; metres."""
    plaza = next(a.polygon for a in world.areas if a.kind == "plaza")
    lines = [p.line for p in world.paths]
    weights = np.array([line.length for line in lines] + [plaza.area / 12.0])
    ends = np.cumsum(weights) / weights.sum()
    phase = float(rng.random())
    points: list[tuple[float, float]] = []
    for index in range(count):
        for attempt in range(200):
            place = (index + phase + float(rng.uniform(-0.45, 0.45)) * (1 + attempt / 20)) / count % 1.0
            which = int(np.searchsorted(ends, place))
            point = _on_plaza(plaza.bounds, rng) if which == len(lines) else None
            if point is None:
                start = ends[which - 1] if which else 0.0
                along_m = (place - start) / (ends[which] - start) * lines[which].length
                point = _beside(lines[which], along_m, rng)
            if not blocked.contains(Point(point)):
                points.append(point)
                break
        else:
            raise RuntimeError(f"found no free standpoint near {place:.3f} of the path network")
    return points


def _on_plaza(bounds: tuple[float, float, float, float], rng: np.random.Generator) -> tuple[float, float]:
    low_e, low_n, high_e, high_n = bounds
    return float(rng.uniform(low_e, high_e)), float(rng.uniform(low_n, high_n))


def _beside(line: LineString, along_m: float, rng: np.random.Generator) -> tuple[float, float]:
    """A point near a path: mostly on it, at most BESIDE_M from its centre line."""
    here, ahead = line.interpolate(along_m - 0.3), line.interpolate(along_m + 0.3)
    bearing = math.atan2(ahead.x - here.x, ahead.y - here.y)
    shift = float(np.clip(rng.normal(0, 1.5), -BESIDE_M + 0.2, BESIDE_M - 0.2))
    return here.x + shift * math.cos(bearing), here.y - shift * math.sin(bearing)


def _headings(world: World, east_m: float, north_m: float, count: int, rng: np.random.Generator) -> list[float]:
    """`count` headings spread over the circle, seldom straight into a wall nearer than 4 m; degrees."""
    first = float(rng.uniform(0, 360))
    chosen = []
    for index in range(count):
        heading = first + 360.0 * index / count
        for _ in range(12):
            turned = (heading + float(rng.normal(0, 15))) % 360.0
            if wall_ahead_m(world, east_m, north_m, turned) > 4.0 or rng.random() < 0.1:
                break
            heading += float(rng.choice([-40, 40]))
        chosen.append(turned)
    return chosen


def _gps_noise(count: int, rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Noise of a phone that walks: (n, 2) metres east/north, and the (n,) 68 % radius it reports, 2..6 m.

    Two thirds of the variance is a slow first-order walk (time constant 25 photos), a third is white.
    """
    keep = math.exp(-1 / 25)
    slow, level = np.zeros((count, 2)), np.zeros(count)
    slow_now, level_now = rng.normal(size=2), float(rng.normal())
    for index in range(count):
        slow_now = keep * slow_now + math.sqrt(1 - keep**2) * rng.normal(size=2)
        level_now = keep * level_now + math.sqrt(1 - keep**2) * float(rng.normal())
        slow[index], level[index] = slow_now, level_now
    error_m = np.clip(4.0 + 1.2 * level, 2.0, 6.0)
    unit = math.sqrt(2 / 3) * slow + math.sqrt(1 / 3) * rng.normal(size=(count, 2))
    return unit * error_m[:, None] / SIGMA_PER_R68, error_m
