"""campus.json: the schema of a bundle's manifest, and what no campus may hold."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)  # fmt: skip

from core.campus.frame import LocalFrame
from core.campus.fusion_parameters import Fusion, RadiusCurve
from core.campus.grid import Grid
from core.campus.parameters import PosteriorParams
from core.campus.zones import Zone

SCHEMA_VERSION = 1

MAX_FILES = 2_000
MAX_CAMPUS_NAME, MAX_DESCRIPTION, MAX_ZONE_NAME = 200, 10_000, 200  # letters


# A bundle may be a stranger's, and sizes the map and the work of every fix: 20 km² at 2 m, and zones as large as rooms.
MAX_CELLS, MAX_ZONES, MAX_CELLS_TIMES_ZONES = 5_000_000, 10_000, 5_000_000_000

MAX_REACH_M = 100_000.0  # how far from its centre anything of a campus may be; UTM is no plane beyond

_MAX_CORNERS = 100_000


Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]

Checked = TypeVar("Checked")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True)


def _a_mixture(params: PosteriorParams) -> PosteriorParams:
    weights = [value for name, value in vars(params).items() if name.endswith("_weight")]
    others = (
        params.regression_width_m, params.zone_temperature, params.zone_width, params.retrieval_temperature,
        params.retrieval_width_m, params.neighbours, params.sharpness,
    )  # fmt: skip
    _if(min(weights) >= 0 and abs(sum(weights) - 1) < 1e-3, params, "has weights that do not sum to 1")
    _if(params.floor_weight > 0, params, "has no floor, so that a map may hold nothing")
    return _if(all(1e-9 < value <= MAX_REACH_M for value in others), params, "has absurd widths or temperatures")


Mixture = Annotated[PosteriorParams, AfterValidator(_a_mixture)]


class AcceptedErrors(_Frozen):
    """Errors in metres of those of the photos that were not refused, the only ones whose fix anybody is shown."""

    n: int
    mean_m: float
    median_m: float


class Metrics(_Frozen):
    """Errors of held-out photos in metres, shares as fractions; the JSON keys of `python -m train evaluate`.

    All are of all photos, refused ones included, but `accepted`: None where it was not measured (bundles of earlier
    versions, a refresh) or every photo was refused.
    """

    n: int
    mean_m: float
    median_m: float
    p90_m: float
    p95_m: float
    max_m: float
    within_5m: float
    within_10m: float
    within_25m: float
    coverage68: float
    coverage95: float
    mean_radius68_m: float
    baselines: dict[str, dict[str, float]] = Field(default_factory=dict)
    accepted: AcceptedErrors | None = None


# Of fewer, no threshold holds: a share of 2 % is less than one photo.
LEAST_TO_TELL = 50


class Calibration(RadiusCurve):
    """Split-conformal factors of the radii, and the out-of-distribution (OOD) scores of held-out photos of this campus.

    Factors differ with the doubt itself: `radius68_factors` and `radius95_factors` hold where the map's own 68 % radius
    is `radius_at_m` (ascending), and are interpolated between. `ood_quantiles` holds the calibration photos' OOD
    scores (the network's output `ood_score`) as 101 quantiles from 0 % to 100 %; a photo whose score is above all but
    the share `off_campus_share` of them is not taken to be of this campus. `heading_factor` makes the network's own
    spread of its heading hold 68 % of the photos; None where no calibration photo has a heading. `session_gain` is what
    one more session in the gallery makes of 68 % radii; `radius68_factors` hold it already.
    """

    model_config = ConfigDict(populate_by_name=True)

    photos: int
    heading_factor: float | None = Field(default=None, gt=0, le=1e6)
    session_gain: float = Field(default=1.0, gt=0, le=1)
    # Bundles made before 0.2.0 call these `novelty`.
    ood_quantiles: tuple[float, ...] = Field(
        default=(), max_length=10_000, validation_alias=AliasChoices("ood_quantiles", "novelty")
    )
    off_campus_share: float = Field(default=0.02, ge=0, le=1)

    @property
    def can_tell_ood(self) -> bool:
        """Whether there are photos enough to tell this campus from other places."""
        return bool(self.ood_quantiles) and self.photos >= LEAST_TO_TELL

    def on_campus(self, ood_score: float) -> bool | None:
        """Whether a photo of this OOD score, 0 to 1, looks like this campus; None where that cannot be told."""
        if ood_score > 1 - self.off_campus_share:
            return False
        return True if self.can_tell_ood else None


class SecondLook(_Frozen):
    """How photos are matched with the gallery by local features (`core/locate/verification.py`), and when.

    Photos are fitted into a canvas of height × width pixels and have `keypoints` descriptors at most; `candidates`
    gallery photos are matched. `match_weight` times a match strength is a log-likelihood ratio; `posterior` and
    `calibration` are those of photos so matched. It is used where the first look's 68 % radius is above
    `beyond_radius68_m`, its OOD score is above `beyond_ood_score`, or it is split between places. `strength_weight` is
    what a photo's best match strength takes off the network's own OOD score; the calibration's `ood_quantiles` are of
    the difference.
    """

    height: int = Field(ge=64, le=1024, multiple_of=32)
    width: int = Field(ge=64, le=1024, multiple_of=32)
    keypoints: int = Field(ge=16, le=1024)
    candidates: int = Field(ge=2, le=200)
    match_weight: float = Field(gt=0, le=100)
    posterior: Mixture
    calibration: Calibration
    beyond_radius68_m: float = Field(ge=0, le=MAX_REACH_M)
    beyond_ood_score: float = Field(default=0.8, ge=0, le=1)
    strength_weight: float = Field(ge=0, le=1e6)

    def wanted(self, radius68_m: Any, split: Any, ood_score: Any) -> Any:
        """Whether a first look leaves such doubt that a second is worth it; numbers or arrays alike."""
        return (radius68_m > self.beyond_radius68_m) | split | (ood_score > self.beyond_ood_score)

    def ood_statistic(self, own: Any, strength: Any) -> Any:
        """How strange photos are by the network's own OOD score and their best match; numbers or arrays alike."""
        return own - self.strength_weight * strength


class Parity(_Frozen):
    """Mean errors of FP32 and INT8 on calibration photos that neither has seen, and the mean distance between their
    fixes, in metres.
    """

    fp32_mean_m: float
    int8_mean_m: float
    apart_mean_m: float


class Training(_Frozen):
    """What the model was trained on and how; `split` says what the held-out groups were.

    `epochs` and `seed` are None where a checkpoint from elsewhere does not say.
    """

    recipe: str
    backbone: str
    weights: str
    trained_utc: datetime
    epochs: int | None
    seed: int | None
    split: str
    split_sha256: str
    photos: dict[str, int]  # split -> count


class Refresh(_Frozen):
    """Photos that joined a bundle without training: when, how many of how many walks, and from which bundle on.

    `photos_sha256` is of their files' digests, sorted; `bundle_digest` that of the bundle as it was before.
    """

    refreshed_utc: datetime
    photos: int = Field(ge=1)
    walks: int = Field(ge=1)
    photos_sha256: Sha256
    bundle_digest: Sha256


class CampusManifest(_Frozen):
    """campus.json. `rendered` is true where the photos were drawn by a computer and show no real place."""

    schema_version: Literal[1] = 1
    name: str = Field(max_length=MAX_CAMPUS_NAME)
    description: str = Field(default="", max_length=MAX_DESCRIPTION)
    rendered: bool = False
    created_utc: datetime
    frame: LocalFrame
    scale_m: float = Field(gt=0, le=MAX_REACH_M)
    image_size: int = Field(ge=32, le=1024)
    grid: Grid
    zones: tuple[Zone, ...] = Field(max_length=MAX_ZONES)
    posterior: Mixture
    calibration: Calibration
    fusion: Fusion = Field(default_factory=Fusion)
    second_look: SecondLook | None = None
    parity: Parity | None = None
    training: Training
    refreshes: tuple[Refresh, ...] = Field(default=(), max_length=10_000)  # oldest first
    metrics: dict[str, Metrics] = Field(default_factory=dict)  # split -> metrics
    cpu_model: Literal["model.onnx", "model.int8.onnx"]
    files: dict[str, Sha256] = Field(default_factory=dict, max_length=MAX_FILES)  # name -> sha256
    digest: str = ""  # sha256 of all the above, so that a changed byte anywhere is noticed

    @field_validator("frame")
    @classmethod
    def _on_earth(cls, frame: LocalFrame) -> LocalFrame:
        sane = 1 <= frame.zone <= 60 and abs(frame.easting_m) <= 2e6 and abs(frame.northing_m) <= 1e7  # false for NaN
        return _if(sane, frame, "is no place in UTM")

    @field_validator("grid")
    @classmethod
    def _of_a_campus(cls, grid: Grid) -> Grid:
        _if(grid.rows > 0 and grid.columns > 0, grid, "has no cells")
        _if(grid.rows * grid.columns <= MAX_CELLS, grid, f"has more than {MAX_CELLS} cells")
        far = max(abs(grid.west_m), abs(grid.south_m)) + max(grid.rows, grid.columns) * grid.cell_m
        return _if(grid.cell_m >= 0.01 and far <= MAX_REACH_M, grid, "is no grid over a campus")

    @field_validator("zones")
    @classmethod
    def _cells_of_a_campus(cls, zones: tuple[Zone, ...]) -> tuple[Zone, ...]:
        _if(sum(len(zone.outline_m) for zone in zones) <= _MAX_CORNERS, zones, f"have more than {_MAX_CORNERS} corners")
        for index, zone in enumerate(zones):
            metres = [zone.spread_m, *zone.centre_m, *(metre for corner in zone.outline_m for metre in corner)]
            near = zone.spread_m >= 0 and all(abs(metre) <= MAX_REACH_M for metre in metres)
            _if(near and len(zone.name) <= MAX_ZONE_NAME, zones, f"number {index} is no cell of a campus")
        return zones

    @model_validator(mode="after")
    def _bounded_work(self) -> CampusManifest:
        work = self.grid.rows * self.grid.columns * len(self.zones)
        return _if(work <= MAX_CELLS_TIMES_ZONES, self, f"the grid and {len(self.zones)} zones are too many together")

    @property
    def made_of(self) -> int:
        """How many photos the campus was made of: calibration photos too, and all that joined it later."""
        photos = self.training.photos
        return photos.get("train", 0) + photos.get("calibration", 0) + sum(refresh.photos for refresh in self.refreshes)

    def sealed(self, files: Mapping[str, str]) -> CampusManifest:
        """This manifest with the hashes of `files` and its own digest filled in."""
        manifest = self.model_copy(update={"files": dict(sorted(files.items())), "digest": ""})
        return manifest.model_copy(update={"digest": manifest_digest(manifest.model_dump(mode="json"))})


def _if(sane: bool, value: Checked, wrong: str) -> Checked:
    """The value, where it is sane; ValueError, which pydantic gives the field's name, where it is not."""
    if not sane:
        raise ValueError(wrong)
    return value


def manifest_digest(manifest: dict[str, Any]) -> str:
    """SHA-256, in hexadecimal, of all that campus.json says but its own `digest`."""
    plain = {key: value for key, value in manifest.items() if key != "digest"}
    return hashlib.sha256(json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
