"""Where people stand with a camera, before any photo is seen: the training positions, blurred, as a map."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw

from core.campus.basemap import drawable
from core.errors import CampusError
from core.locate.motion import Band

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from core.campus.frame import LocalFrame
    from core.campus.fusion_parameters import FusionParams
    from core.campus.grid import Grid
    from core.campus.parameters import PosteriorParams

    Float32 = NDArray[np.float32]

LEAST_ANYWHERE = 0.2  # of the prior at least so much lies evenly over the grid: no place is impossible
CLOSED_KINDS = ("building", "water")  # of the offline basemap: nobody stands there unless training photos say so


@dataclass(frozen=True)
class Prior:
    """Two maps, (rows, columns) float32, nowhere 0, that sum to 1.

    standing: where people stand. reference: what a photo's map looks like that says nothing of its place. They differ
    in buildings and water, of which the network knows nothing: a photo's map spread over a building is no evidence
    that its walker is in there.
    """

    standing: Float32 = field(repr=False)
    reference: Float32 = field(repr=False)

    @classmethod
    def even(cls, grid: Grid) -> Prior:
        """Nothing is known."""
        mass = np.full((grid.rows, grid.columns), 1 / (grid.rows * grid.columns), np.float32)
        return cls(mass, mass)


def standing_prior(
    grid: Grid,
    local_m: NDArray[Any],
    width_m: float,
    exponent: float,
    anywhere: float,
    closed: NDArray[np.bool_] | None = None,
) -> Prior:
    """The prior of (N, 2) training positions in local metres, blurred by `width_m`, to the power `exponent`.

    `anywhere` (0 to 1) of it lies evenly over the grid. `closed` (rows, columns) marks buildings and water. Their share
    is that of the training photos in them, at most what the blur alone gives: so a campus with indoor photos keeps its
    rooms, and one without loses them.
    """
    counts, at_m = np.zeros((grid.rows, grid.columns), np.float32), np.asarray(local_m, np.float64)
    column = ((at_m[:, 0] - grid.west_m) / grid.cell_m).astype(int).clip(0, grid.columns - 1)
    row = ((at_m[:, 1] - grid.south_m) / grid.cell_m).astype(int).clip(0, grid.rows - 1)
    np.add.at(counts, (row, column), 1.0 / len(at_m))
    width = width_m / grid.cell_m
    north, east = (Band(count, width, whole=False) for count in counts.shape)
    density = north.times(east.times(counts.T).T).astype(np.float64)
    even = max(anywhere, LEAST_ANYWHERE)
    reference = ((1 - even) * density / density.sum() + even / density.size) ** exponent
    reference /= reference.sum()
    standing = reference.copy()
    if closed is not None and closed.any() and not closed.all():
        held, photos = float(standing[closed].sum()), float(counts[closed].sum())
        # Some always stays: a map may be wrong, and a phone's position too.
        standing[closed] *= max(min(photos / held, 1.0), 0.05)
        standing /= standing.sum()
    return Prior(standing.astype(np.float32), reference.astype(np.float32))


def prior_of(
    grid: Grid,
    local_m: NDArray[Any],
    posterior: PosteriorParams,
    fusion: FusionParams,
    closed: NDArray[np.bool_] | None = None,
) -> Prior:
    """The prior that goes with a posterior: what of its maps does not come from gallery photos may lie anywhere."""
    if not len(local_m):
        return Prior.even(grid)
    anywhere = posterior.regression_weight + posterior.zone_weight + posterior.floor_weight
    # Narrower than the photos' own kernels, it would make their tails look like evidence.
    width_m = max(fusion.prior_width_m, posterior.retrieval_width_m)
    return standing_prior(grid, local_m, width_m, fusion.prior_exponent, anywhere, closed)


def closed_cells(grid: Grid, campus_map: dict[str, Any], frame: LocalFrame) -> NDArray[np.bool_]:
    """(rows, columns) the cells whose centre lies in a building or water of a GeoJSON map."""
    picture = Image.new("1", (grid.columns, grid.rows))
    for feature in drawable(campus_map):
        if feature["properties"]["kind"] in CLOSED_KINDS:
            for rings in _polygons(feature["geometry"]):
                _close(picture, [corners for ring in rings if (corners := _cells(grid, ring, frame)) is not None])
    return np.asarray(picture, bool)


def _close(picture: Image.Image, rings: list[NDArray[np.float64]]) -> None:
    """Fill an outline but for its holes, and leave what lies in these as it was: a courtyard may hold a building."""
    if not rings:
        return
    size = np.array(picture.size)
    low = np.clip(np.floor(rings[0].min(axis=0)), 0, size).astype(int)
    high = np.clip(np.ceil(rings[0].max(axis=0)) + 1, low, size).astype(int)
    if (high == low).any():
        return
    polygon = Image.new("1", tuple((high - low).tolist()))
    draw = ImageDraw.Draw(polygon)
    for number, ring in enumerate(rings):
        draw.polygon([(east, north) for east, north in (ring - low).tolist()], fill=1 if number == 0 else 0)
    picture.paste(1, tuple(low.tolist()), polygon)


def _polygons(geometry: dict[str, Any]) -> list[Any]:
    """The polygons of a geometry, each a list of rings: the outline, then its holes."""
    coordinates, kind = geometry["coordinates"], geometry["type"]
    polygons = [coordinates] if kind == "Polygon" else coordinates if kind == "MultiPolygon" else []
    return [polygon for polygon in polygons if isinstance(polygon, list)]


def _cells(grid: Grid, ring: Any, frame: LocalFrame) -> NDArray[np.float64] | None:
    """A ring's corners as (N, 2) column and row; None for what is no ring, as a stranger's map may hold."""
    try:
        lon, lat = np.asarray(ring, np.float64)[:, :2].T
        at = (frame.to_local(lat, lon) - (grid.west_m, grid.south_m)) / grid.cell_m - 0.5
    except (ValueError, TypeError, IndexError, CampusError):
        return None
    return at if len(at) > 2 else None
