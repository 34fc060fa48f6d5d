"""WGS84 <-> UTM <-> metres about the campus centre."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from core.errors import CampusError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Float = NDArray[np.float64]

LEAST_LAT, MOST_LAT = -80.0, 84.0  # degrees: where UTM ends
EARTH_RADIUS_M = 6_371_008.8  # mean radius of WGS84, Moritz (2000), Geodetic Reference System 1980
_UTM_FALSE_NORTHING_M = 10_000_000.0
_UTM_FALSE_EASTING_M, _UTM_SCALE = 500_000.0, 0.9996  # the scale along a zone's middle


def _forward(lat_deg: Float, lon_deg: Float, zone: int) -> tuple[Float, Float]:
    """UTM easting and *signed* northing in `zone`: continuous across the equator and the zone's borders."""
    import utm

    # `utm` decides the hemisphere of a whole array by one point and jumps by 10 000 km at the equator, so northern
    # and southern points are projected apart and the false northing is taken off.
    south = lat_deg < 0
    northing = np.empty_like(lat_deg)
    easting = np.empty_like(lat_deg)
    for mask, letter, false_northing in ((south, "M", _UTM_FALSE_NORTHING_M), (~south, "N", 0.0)):
        if mask.any():
            east, north, _, _ = utm.from_latlon(lat_deg[mask], lon_deg[mask], zone, letter)
            easting[mask], northing[mask] = east, north - false_northing
    return easting, northing


def utm_zone(lat_deg: float, lon_deg: float) -> int:
    """The standard UTM zone number (1 to 60) of a point, with the exceptions of Norway and Svalbard."""
    import utm

    return int(utm.latlon_to_zone_number(lat_deg, (lon_deg + 180.0) % 360.0 - 180.0))


def check_latlon(lat_deg: ArrayLike, lon_deg: ArrayLike) -> tuple[Float, Float]:
    """Return both as float64 arrays of one shape, or raise CampusError outside UTM's range (80 S to 84 N)."""
    lat, lon = np.broadcast_arrays(np.asarray(lat_deg, np.float64), np.asarray(lon_deg, np.float64))
    if lat.size and not (np.isfinite(lat).all() and np.isfinite(lon).all()):
        raise CampusError("a latitude or longitude is not a finite number")
    if lat.size and (lat.min() < LEAST_LAT or lat.max() > MOST_LAT or np.abs(lon).max() > 180):
        raise CampusError(
            f"latitude {lat.min():.5f}..{lat.max():.5f}, longitude {lon.min():.5f}..{lon.max():.5f} is outside UTM "
            f"(latitude {LEAST_LAT:g} to {MOST_LAT:g}, longitude -180 to 180)"
        )
    return lat, lon


@dataclass(frozen=True)
class LocalFrame:
    """Metres east and north of a campus centre, in one UTM zone wherever the campus lies.

    `northing_m` is signed: negative south of the equator, without UTM's false northing of 10 000 km, so a campus
    across the equator, or across a zone's border, is one continuous plane.
    """

    zone: int
    easting_m: float
    northing_m: float

    @classmethod
    def about(cls, lat_deg: float, lon_deg: float) -> LocalFrame:
        """The frame centred on a point, in that point's UTM zone."""
        zone = utm_zone(lat_deg, lon_deg)
        lat, lon = check_latlon([lat_deg], [lon_deg])
        east, north = _forward(lat, lon, zone)
        return cls(zone, float(east[0]), float(north[0]))

    @classmethod
    def of_points(cls, lat_deg: ArrayLike, lon_deg: ArrayLike) -> LocalFrame:
        """The frame centred on the mean of points, given as (N,) degrees; correct across the 180th meridian."""
        lat, lon = check_latlon(lat_deg, lon_deg)
        if not lat.size:
            raise CampusError("a campus frame needs at least one position")
        radians = np.radians(lon)
        mean_lon = float(np.degrees(np.arctan2(np.sin(radians).mean(), np.cos(radians).mean())))
        return cls.about(float(lat.mean()), mean_lon)

    def to_local(self, lat_deg: ArrayLike, lon_deg: ArrayLike) -> Float:
        """(...,) degrees -> (..., 2) float64 metres east and north of the centre. Raises CampusError outside UTM."""
        lat, lon = check_latlon(lat_deg, lon_deg)
        east, north = _forward(np.atleast_1d(lat), np.atleast_1d(lon), self.zone)
        local = np.stack([east - self.easting_m, north - self.northing_m], axis=-1)
        return local.reshape(*lat.shape, 2)

    def to_latlon(self, local_m: ArrayLike) -> Float:
        """(..., 2) metres east and north of the centre -> (..., 2) float64 degrees (lat, lon)."""
        import utm

        local = np.asarray(local_m, np.float64)
        flat = local.reshape(-1, 2)
        easting, northing = flat[:, 0] + self.easting_m, flat[:, 1] + self.northing_m
        out = np.empty_like(flat)
        for mask, letter, false_northing in (
            (northing < 0, "M", _UTM_FALSE_NORTHING_M),
            (northing >= 0, "N", 0.0),
        ):
            if mask.any():
                # strict=False: a campus over a zone's border has eastings that UTM would otherwise refuse.
                lat, lon = utm.to_latlon(
                    easting[mask], northing[mask] + false_northing, self.zone, letter, strict=False
                )
                out[mask] = np.stack([lat, (lon + 180.0) % 360.0 - 180.0], axis=-1)
        return out.reshape(local.shape)

    @cached_property
    def convergence_deg(self) -> float:
        """How far the grid's north lies clockwise of true north at the centre: this and a course on the grid make a
        true course.

        Snyder (1987), Map Projections: A Working Manual, USGS Professional Paper 1395, of the sphere: its tangent is
        that of the longitude from the zone's middle, times the sine of the latitude. The ellipsoid's differs by less
        than 0.01 degrees within a zone.
        """
        lat, lon = np.radians(self.to_latlon([0.0, 0.0]))
        middle = np.radians(6 * self.zone - 183)
        return float(np.degrees(np.arctan(np.tan(lon - middle) * np.sin(lat))))

    def to_enu(self, lat_deg: ArrayLike, lon_deg: ArrayLike) -> Float:
        """(...,) degrees -> (..., 2) float64 metres true east and true north of the centre, on its tangent plane.

        The grid is turned by its convergence at the centre, and its scale there (Snyder 1987, of the
        sphere) is taken off: right to 0.2 m within a kilometre. Raises CampusError outside UTM.
        """
        turn, off_middle = np.radians(self.convergence_deg), (self.easting_m - _UTM_FALSE_EASTING_M) / EARTH_RADIUS_M
        scale = _UTM_SCALE + off_middle**2 / (2 * _UTM_SCALE)
        rows = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
        return np.asarray(self.to_local(lat_deg, lon_deg) @ rows.T / scale)

    def utm(self, local_m: ArrayLike) -> Float:
        """(..., 2) local metres -> (..., 2) UTM easting and northing as they are written (false northing added)."""
        absolute = np.asarray(local_m, np.float64) + (self.easting_m, self.northing_m)
        absolute[..., 1] += np.where(absolute[..., 1] < 0, _UTM_FALSE_NORTHING_M, 0.0)
        return absolute


def distance_m(lat1_deg: ArrayLike, lon1_deg: ArrayLike, lat2_deg: ArrayLike, lon2_deg: ArrayLike) -> Float:
    """Great-circle distance in metres between (...,) degrees, by the haversine formula.

    The sphere of mean radius is within 0.6 % of the WGS84 ellipsoid anywhere, which is centimetres over an error of
    metres.
    """
    lat1, lon1, lat2, lon2 = (np.radians(np.asarray(x, np.float64)) for x in (lat1_deg, lon1_deg, lat2_deg, lon2_deg))
    half = np.sin((lat2 - lat1) / 2) ** 2 + np.cos(lat1) * np.cos(lat2) * np.sin((lon2 - lon1) / 2) ** 2
    return np.asarray(2 * EARTH_RADIUS_M * np.arcsin(np.sqrt(np.clip(half, 0, 1))))
