"""What the HTTP interface takes and gives as JSON, with the units and ranges that its OpenAPI description shows."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field

from core.campus.manifest import CampusManifest
from core.locate.fix import Fix

Latitude = Annotated[float, Field(ge=-90, le=90, description="degrees north, WGS84")]
Longitude = Annotated[float, Field(ge=-180, le=180, description="degrees east, WGS84")]
Share = Annotated[float, Field(ge=0, le=1)]
Metres = Annotated[float, Field(ge=0)]


class ZoneDocument(BaseModel):
    """A zone and the probability that the photo was taken in it."""

    id: int
    name: str
    probability: Annotated[float, Field(ge=0, le=1.001)]


class CandidateDocument(BaseModel):
    """One of several separate places that fit, and the share of the probability near it."""

    lat: Latitude
    lon: Longitude
    mass: Annotated[float, Field(ge=0, le=1.001)]


class FixDocument(BaseModel):
    """Where a photo was taken. No radius is given where `on_campus` is false: nothing was recognised."""

    lat: Latitude
    lon: Longitude
    radius68_m: Metres | None = Field(description="metres; held-out photos lie within it 68 times in 100")
    radius95_m: Metres | None = Field(description="metres; held-out photos lie within it 95 times in 100")
    on_campus: bool | None = Field(description="null where the campus has too few photos to tell")
    ood_score: Share = Field(description="0 looks like this campus, 1 unlike it")
    zone: ZoneDocument
    zones: list[ZoneDocument]
    candidates: list[CandidateDocument]
    heading_deg: float | None = Field(description="where the camera looked, clockwise from true north")
    heading_spread_deg: float | None = Field(description="half angle that holds it 68 times in 100")
    photos: int = Field(ge=1, description="how many photos the fix was read from")
    outliers: list[int] = Field(description="the places, from 0, of photos that contradict the others")
    course_deg: float | None = Field(description="where a walk leads, clockwise from true north")
    speed_m_s: float | None = Field(description="how fast a walk goes")
    campus: str
    timings_ms: dict[str, float]

    @classmethod
    def of(cls, fix: Fix) -> FixDocument:
        """The document of a fix."""
        return cls.model_validate(fix.as_dict())


class CampusDocument(BaseModel):
    """The public part of the campus's manifest."""

    name: str
    description: str
    rendered: bool = Field(description="true where the photos were drawn by a computer")
    created_utc: datetime
    digest: str
    south: Latitude
    west: Longitude
    north: Latitude
    east: Longitude
    zones: list[str]
    training_photos: int = Field(description="how many photos the campus was made of, calibration photos too")
    held_out: dict[str, Any] | None = Field(description="errors in metres and coverage of held-out photos")

    @classmethod
    def of(cls, manifest: CampusManifest) -> CampusDocument:
        grid = manifest.grid
        corners = [
            (grid.west_m, grid.south_m),
            (grid.west_m + grid.columns * grid.cell_m, grid.south_m + grid.rows * grid.cell_m),
        ]
        (south, west), (north, east) = manifest.frame.to_latlon(corners)
        held_out = manifest.metrics.get("test")
        return cls(
            name=manifest.name,
            description=manifest.description,
            rendered=manifest.rendered,
            created_utc=manifest.created_utc,
            digest=manifest.digest,
            south=south,
            west=west,
            north=north,
            east=east,
            zones=sorted({zone.name for zone in manifest.zones}),
            training_photos=manifest.made_of,
            held_out=None if held_out is None else held_out.model_dump(),
        )


class ProblemDocument(BaseModel):
    """An RFC 9457 problem."""

    type: str
    title: str
    status: int
    detail: str
    kind: str | None = Field(None, description="of a photo in the inbox that cannot be read: what sort of problem")


class CameraReading(BaseModel):
    """A photo of OpenArCloud's GeoPoseProtocol; other fields of a reading are taken and not used."""

    imageBytes: Annotated[str, Field(min_length=1, description="a photo file in base64")]  # noqa: N815 - the protocol's


class SensorReadings(BaseModel):
    """The readings of a request that are used: cameras'."""

    cameraReadings: Annotated[list[CameraReading], Field(min_length=1, max_length=16)]  # noqa: N815 - the protocol's


class GeoPoseRequest(BaseModel):
    """A request of OpenArCloud's GeoPoseProtocol."""

    id: Annotated[str, Field(max_length=200)]
    sensorReadings: SensorReadings  # noqa: N815 - the protocol's


class PositionDocument(BaseModel):
    """A place of OGC GeoPose."""

    lat: Latitude
    lon: Longitude
    h: float = Field(description="metres above the ellipsoid: the request's")


class QuaternionDocument(BaseModel):
    """A turn of unit length: of the x axis, in the frame of east, north and up, into the viewing direction."""

    x: float
    y: float
    z: float
    w: float


class GeoPoseDocument(BaseModel):
    """OGC GeoPose 1.0 Basic-Quaternion."""

    position: PositionDocument
    quaternion: QuaternionDocument


class AccuracyDocument(BaseModel):
    """68 % bounds of a GeoPose."""

    position: Metres | None = Field(description="metres")
    orientation: float = Field(ge=0, le=180, description="degrees; 180 where no heading is known")


class GeoPoseAnswer(BaseModel):
    """An answer of OpenArCloud's GeoPoseProtocol."""

    id: str = Field(description="the request's")
    timestamp: int = Field(description="milliseconds since 1970")
    type: str = Field(description="geopose")
    accuracy: AccuracyDocument
    geopose: GeoPoseDocument
