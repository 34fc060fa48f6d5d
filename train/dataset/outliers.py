"""Which positions look wrong, from nothing but the positions, times and who took the photos.

Two degrees: a *certain* one cannot be on this campus (it lies off by itself, farther from every photo of the
campus than the campus is large); a *doubtful* one may well be right, and stays with its reason beside it.
Every threshold scales with the data's own spacing and extent, so a quad and a whole town judge alike.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from core.campus.frame import EARTH_RADIUS_M

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Float = NDArray[np.float64]
    Int = NDArray[np.int64]

MIN_PHOTOS = 8  # with fewer, which ones are the campus and which the strays is anyone's guess
SAME_PLACE_M = 1.0  # nearer than this is the same standpoint: phones write positions to about 0.1 to 1 m
# Photos strewn at random over an area hang together when each is linked to those within 2.6 times the median
# distance to the nearest one (continuum percolation); three times that also bridges lawns and car parks.
LINK_SPACINGS = 8.0
MIN_LINK_M = 100.0  # a playing field, with the GPS error on either side of it, never splits a campus
# A separate group is a site of its own, not a mistake, when it holds this share of the photos and this many.
SITE_SHARE, SITE_PHOTOS = 0.10, 5
# Doubtful: twice as far from the campus as its photos hang together. Certainly wrong: farther off the campus
# than its own radius (holding 95 % of the photos), and than three links.
RADIUS_PERCENTILE = 95.0
DOUBT_LINKS, CERTAIN_LINKS = 2.0, 3.0
# Jumps: faster than anyone runs with a camera, after allowing each of the two fixes 25 m of error.
MAX_SPEED_MPS = 5.0
JUMP_ALLOWANCE_M = 50.0
MAX_JUMP_GAP_S = 1800.0  # after half an hour anyone can be anywhere on a campus
# Nobody photographs one standpoint for longer, and a phone that still measures gives other digits each time.
FROZEN_S = 60.0
# Without times, only the photo's name orders a sequence: a photo off by many steps from both neighbours,
# which are close to each other. Fewer than five photos have no usual step.
SPIKE_STEPS, SPIKE_M, MIN_SEQUENCE = 8.0, 100.0, 5
POOR_ERROR_M = 50.0  # the phone itself says that its fix was poor (68 %); a usual outdoor fix is 3 to 15 m


@dataclass(frozen=True)
class Outlier:
    """Row `row` looks wrong for `reason`; `certain` when it cannot be on the campus."""

    row: int
    certain: bool
    reason: str


def find_outliers(
    latlon: ArrayLike,
    *,
    time_s: ArrayLike | None = None,
    sequences: Sequence[str] | None = None,
    contributors: Sequence[str] | None = None,
    error_m: ArrayLike | None = None,
) -> list[Outlier]:
    """Name the rows whose position looks wrong, in row order, at most once each.

    `latlon`: (N, 2) degrees. `time_s`: (N,) seconds since any epoch, NaN where unknown. `sequences`: (N,) the
    key of the walk that each photo belongs to, in the order of the rows where times are unknown; "" for none.
    `contributors`: (N,) who took it, "" for unknown; used to say more, never to accuse. `error_m`: (N,) the
    phone's own estimate, NaN where unknown.
    """
    points = sphere_points(latlon)
    found: dict[int, list[Outlier]] = defaultdict(list)
    for outlier in _strays(points, contributors):
        found[outlier.row].append(outlier)
    strays = {row for row, outliers in found.items() if any(s.certain for s in outliers)}
    if sequences is not None:
        seconds = np.full(len(points), np.nan) if time_s is None else np.asarray(time_s, np.float64)
        for rows in _walks(sequences, seconds, leave_out=strays):
            for outlier in (*_jumps(points, rows, seconds), *_frozen(points, rows, seconds)):
                found[outlier.row].append(outlier)
    if error_m is not None:
        for row in np.flatnonzero(np.asarray(error_m, np.float64) > POOR_ERROR_M):
            error = float(np.asarray(error_m, np.float64)[row])
            found[int(row)].append(Outlier(int(row), False, f"the phone gave its own error as {error:.0f} m"))
    return [
        Outlier(row, any(s.certain for s in found[row]), "; ".join(s.reason for s in found[row]))
        for row in sorted(found)
    ]


def sphere_points(latlon: ArrayLike) -> Float:
    """(N, 2) degrees -> (N, 3) metres on a sphere: straight distances hold anywhere, poles and 180th meridian
    too.
    """
    lat, lon = np.radians(np.asarray(latlon, np.float64).reshape(-1, 2)).T
    return EARTH_RADIUS_M * np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)


def shared_positions(latlon: ArrayLike) -> list[list[int]]:
    """Groups of two or more rows with exactly the same coordinates: a frozen GPS, or one standpoint, several
    views.
    """
    groups: dict[tuple[float, float], list[int]] = defaultdict(list)
    for row, (lat, lon) in enumerate(np.asarray(latlon, np.float64).reshape(-1, 2)):
        groups[float(lat), float(lon)].append(row)
    return [rows for rows in groups.values() if len(rows) > 1]


def sites(latlon: ArrayLike) -> list[list[int]]:
    """The rows of each separate place with a real share of the photos, the largest first; [] for too few
    photos.
    """
    points = sphere_points(latlon)
    if len(points) < MIN_PHOTOS:
        return []
    return [rows.tolist() for rows in _sites(points, _link_m(points))]


def _link_m(points: Float) -> float:
    """How near two photos must be to hang together: a multiple of the usual distance between standpoints."""
    from scipy.spatial import cKDTree

    standpoints = np.unique(np.round(points / SAME_PLACE_M), axis=0) * SAME_PLACE_M
    if len(standpoints) < 2:
        return MIN_LINK_M
    nearest = np.asarray(cKDTree(standpoints).query(standpoints, k=2)[0])[:, 1]
    return max(MIN_LINK_M, LINK_SPACINGS * float(np.median(nearest)))


def _groups(points: Float, link_m: float) -> Int:
    """(N,) the number of the single-linkage group of each point; linked through cells of a quarter link."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    # One point per cell keeps the number of links proportional to the area, not to the square of the photos.
    _, first, cell = np.unique(np.round(points / (link_m / 4)), axis=0, return_index=True, return_inverse=True)
    pairs = cKDTree(points[first]).query_pairs(link_m, output_type="ndarray")
    links = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(first), len(first)))
    _, group = connected_components(links, directed=False)
    return np.asarray(group, np.int64)[cell.reshape(-1)]


def _sites(points: Float, link_m: float) -> list[Int]:
    group = _groups(points, link_m)
    sizes = np.bincount(group)
    needed = max(SITE_PHOTOS, SITE_SHARE * len(points))
    order = sorted(np.flatnonzero(sizes >= needed), key=lambda number: -sizes[number])
    return [np.flatnonzero(group == number) for number in order]


def _strays(points: Float, contributors: Sequence[str] | None) -> list[Outlier]:
    """Photos off every site. None, unless the sites hold most of the photos: else there is no campus to be
    off.
    """
    from scipy.spatial import cKDTree

    if len(points) < MIN_PHOTOS:
        return []
    link_m = _link_m(points)
    places = _sites(points, link_m)
    on_campus = np.zeros(len(points), bool)
    for rows in places:
        on_campus[rows] = True
    if on_campus.mean() < 0.5 or on_campus.all():
        return []
    main = points[places[0]]
    reach = np.linalg.norm(main - np.median(main, axis=0), axis=1)
    certain_m = max(float(np.percentile(reach, RADIUS_PERCENTILE)), CERTAIN_LINKS * link_m)
    away = np.flatnonzero(~on_campus)
    gap_m = np.asarray(cKDTree(points[on_campus]).query(points[away])[0])
    outliers = []
    for row, gap in zip(away.tolist(), gap_m.tolist(), strict=True):
        if gap <= DOUBT_LINKS * link_m:
            continue
        reason = f"{_metres(gap)} from the nearest photo of the campus"
        own = _own_distance(points, row, on_campus, contributors)
        if own > certain_m:
            reason += f", {_metres(own)} from the same contributor's other photos"
        outliers.append(Outlier(row, gap > certain_m, reason))
    return outliers


def _own_distance(points: Float, row: int, on_campus: NDArray[np.bool_], contributors: Sequence[str] | None) -> float:
    """Metres from a photo to the nearest campus photo of the same contributor; 0 where there is none."""
    if contributors is None or not contributors[row]:
        return 0.0
    own = np.array([name == contributors[row] for name in contributors]) & on_campus
    return float(np.linalg.norm(points[own] - points[row], axis=1).min()) if own.any() else 0.0


def _walks(sequences: Sequence[str], seconds: Float, leave_out: set[int]) -> list[list[int]]:
    """The rows of each sequence, in order of time where all have one, else as they come."""
    walks: dict[str, list[int]] = defaultdict(list)
    for row, key in enumerate(sequences):
        if key and row not in leave_out:
            walks[key].append(row)
    return [
        sorted(rows, key=lambda row: seconds[row]) if np.isfinite(seconds[rows]).all() else rows
        for rows in walks.values()
    ]


def _jumps(points: Float, rows: list[int], seconds: Float) -> list[Outlier]:
    """Photos that a walk jumps to and back from: without them it would be a plausible walk."""
    timed = bool(np.isfinite(seconds[rows]).all())
    if len(rows) < (3 if timed else MIN_SEQUENCE):
        return []
    step_m = np.linalg.norm(np.diff(points[rows], axis=0), axis=1)
    usual_m = max(SPIKE_M, SPIKE_STEPS * float(np.median(step_m)))

    def impossible(a: int, b: int) -> bool:
        """Whether nobody gets from the a-th to the b-th photo of the walk."""
        distance = float(np.linalg.norm(points[rows[b]] - points[rows[a]]))
        if not timed:
            return distance > usual_m
        gap_s = float(seconds[rows[b]] - seconds[rows[a]])
        return gap_s <= MAX_JUMP_GAP_S and distance > JUMP_ALLOWANCE_M + MAX_SPEED_MPS * gap_s

    outliers = []
    last = len(rows) - 1
    for at, row in enumerate(rows):
        if at in (0, last):
            # At an end only one step can be seen; it accuses the end if the next photos agree with each
            # other.
            inner, beyond = (1, 2) if at == 0 else (last - 1, last - 2)
            jump = impossible(*sorted((at, inner))) and not impossible(*sorted((inner, beyond))) and timed
            distance = step_m[0 if at == 0 else -1]
        else:
            jump = impossible(at - 1, at) and impossible(at, at + 1) and not impossible(at - 1, at + 1)
            distance = min(step_m[at - 1], step_m[at])
        if jump:
            outliers.append(Outlier(row, False, f"a jump of {_metres(float(distance))} in its own sequence"))
    return outliers


def _frozen(points: Float, rows: list[int], seconds: Float) -> list[Outlier]:
    """Photos of a walk whose position stays the same to the last digit for longer than a standpoint takes."""
    if not np.isfinite(seconds[rows]).all():
        return []
    moved = np.flatnonzero((np.diff(points[rows], axis=0) != 0).any(axis=1)) + 1
    outliers = []
    for run in np.split(np.array(rows), moved):
        if (lasted_s := float(seconds[run[-1]] - seconds[run[0]])) > FROZEN_S:
            reason = f"the phone's position did not change for {lasted_s:.0f} s"
            outliers += [Outlier(int(row), False, reason) for row in run]
    return outliers


def _metres(distance_m: float) -> str:
    return f"{distance_m:.0f} m" if distance_m < 10_000 else f"{distance_m / 1000:.1f} km"
