"""The campus bundle: the one artifact that joins training and run time. Schema, load, save, integrity."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, BinaryIO, Literal, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator, model_validator

from core.campus.frame import LocalFrame
from core.campus.gallery import Gallery
from core.campus.zones import Zone, Zones
from core.engines.engine_key import ENGINE, KEY
from core.errors import BundleError, reason_of
from core.io.arrays import read_npz
from core.io.files import check_replaceable, written_aside
from core.locate.posterior import Grid, PosteriorParams

SCHEMA_VERSION = 1
CARD = "campus.json"
MAX_FILE_BYTES = 1 << 30  # a ResNet50 in FP32 is 0.1 GB; more than 1 GB in one file is an attack or a mistake
MAX_BUNDLE_BYTES = 2 << 30
MAX_FILES = 2_000
MAX_JSON_BYTES = 16 << 20  # campus.json and map.geojson: a map of 10,000 buildings has about 5 MB
MAX_RATIO = 200  # how much smaller a file of a zip may be than it says: text shrinks 10 times, a bomb 1,000 times
# A bundle may be a stranger's, and sizes the map and the work of every fix: 20 km² at 2 m, and zones as large as rooms.
MAX_CELLS, MAX_ZONES, MAX_CELLS_TIMES_ZONES = 5_000_000, 10_000, 5_000_000_000
MAX_REACH_M = 100_000.0  # how far from its centre anything of a campus may be; UTM is no plane beyond
_MAX_CORNERS = 100_000
_MAX_JSON_DEPTH = 16  # GeoJSON needs 9
_CHUNK = 1 << 20
_UNIT_TOLERANCE = 0.01  # half precision rounds a length by less than 0.001

# Whatever a damaged zip makes zipfile and zlib raise.
_ZIP_DAMAGE = (
    zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, struct.error, NotImplementedError, RuntimeError, EOFError,
    ValueError, OverflowError,
)  # fmt: skip

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Checked = TypeVar("Checked")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Metrics(_Frozen):
    """Errors of held-out photos in metres, shares as fractions; the JSON keys of `python -m train evaluate`."""

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


class Calibration(_Frozen):
    """Split-conformal factors of the radii, and how novel held-out photos of this campus look to the network.

    Factors differ with the doubt itself: `radius68_factors` and `radius95_factors` hold where the map's own 68 % radius
    is `radius_at_m` (ascending), and are interpolated between. `novelty` holds the calibration photos' novelty as 101
    quantiles from 0 % to 100 %; a photo more novel than all but the share `off_campus_share` of them is not taken to be
    of this campus. `heading_factor` makes the network's own spread of its heading hold 68 % of the photos; None where
    no calibration photo has a heading.
    """

    photos: int
    radius_at_m: tuple[float, ...] = Field(min_length=1, max_length=10_000)
    radius68_factors: tuple[Annotated[float, Field(gt=0, le=1e6)], ...]
    radius95_factors: tuple[Annotated[float, Field(gt=0, le=1e6)], ...]
    heading_factor: float | None = Field(default=None, gt=0, le=1e6)
    novelty: tuple[float, ...] = Field(default=(), max_length=10_000)
    off_campus_share: float = Field(default=0.02, ge=0, le=1)

    @model_validator(mode="after")
    def _one_factor_for_each_radius(self) -> Calibration:
        if not len(self.radius_at_m) == len(self.radius68_factors) == len(self.radius95_factors):
            raise ValueError("radius_at_m and both lists of factors must be of one length")
        if sorted(self.radius_at_m) != list(self.radius_at_m):
            raise ValueError("radius_at_m must ascend")
        return self

    def radii_m(self, raw_m: tuple[float, ...]) -> tuple[float, float]:
        """The map's own radii for 68 and 95 % of its mass -> those that hold as many held-out photos."""
        factor68, factor95 = (
            float(np.interp(raw_m[0], self.radius_at_m, factors))
            for factors in (self.radius68_factors, self.radius95_factors)
        )
        radius68_m = raw_m[0] * factor68
        return radius68_m, max(raw_m[1] * factor95, radius68_m)


class Parity(_Frozen):
    """Mean errors of FP32 and INT8 on the calibration split, and the mean distance between their fixes, in metres."""

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


class CampusCard(_Frozen):
    """campus.json. `rendered` is true where the photos were drawn by a computer and show no real place."""

    schema_version: Literal[1] = 1
    name: str = Field(max_length=200)
    description: str = Field(default="", max_length=10_000)
    rendered: bool = False
    created_utc: datetime
    frame: LocalFrame
    scale_m: float = Field(gt=0, le=MAX_REACH_M)
    image_size: int = Field(ge=32, le=1024)
    grid: Grid
    zones: tuple[Zone, ...] = Field(max_length=MAX_ZONES)
    posterior: PosteriorParams
    calibration: Calibration
    parity: Parity | None = None
    training: Training
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
            _if(near and len(zone.name) <= 200, zones, f"number {index} is no cell of a campus")
        return zones

    @field_validator("posterior")
    @classmethod
    def _a_mixture(cls, params: PosteriorParams) -> PosteriorParams:
        weights = [value for name, value in vars(params).items() if name.endswith("_weight")]
        others = (
            params.regression_width_m, params.zone_temperature, params.zone_width, params.retrieval_temperature,
            params.retrieval_width_m, params.neighbours,
        )  # fmt: skip
        _if(min(weights) >= 0 and abs(sum(weights) - 1) < 1e-3, params, "has weights that do not sum to 1")
        _if(params.floor_weight > 0, params, "has no floor, so that a map may hold nothing")
        return _if(all(1e-9 < value <= MAX_REACH_M for value in others), params, "has absurd widths or temperatures")

    @model_validator(mode="after")
    def _bounded_work(self) -> CampusCard:
        work = self.grid.rows * self.grid.columns * len(self.zones)
        return _if(work <= MAX_CELLS_TIMES_ZONES, self, f"the grid and {len(self.zones)} zones are too many together")

    def sealed(self, files: Mapping[str, str]) -> CampusCard:
        """This card with the hashes of `files` and its own digest filled in."""
        card = self.model_copy(update={"files": dict(sorted(files.items())), "digest": ""})
        return card.model_copy(update={"digest": _digest(card.model_dump(mode="json"))})


def _if(sane: bool, value: Checked, wrong: str) -> Checked:
    """The value, where it is sane; ValueError, which pydantic gives the field's name, where it is not."""
    if not sane:
        raise ValueError(wrong)
    return value


def _digest(card: dict[str, Any]) -> str:
    plain = {key: value for key, value in card.items() if key != "digest"}
    return hashlib.sha256(json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


class Bundle:
    """A checked campus bundle, a folder or the same folder zipped as `NAME.campus`.

    Nothing in it is ever executed or unpickled, and a zip is never unpacked: files are read in memory.
    """

    def __init__(self, path: Path, card: CampusCard) -> None:
        self.path, self.card = path, card

    @classmethod
    def load(cls, path: str | Path) -> Bundle:
        """Read and check a bundle: schema, version, every file's hash. Raises BundleError naming the file."""
        path = Path(path)
        if not os.path.exists(path):  # Path.exists raises for a path that cannot be one
            raise BundleError(f"{path}: no such campus bundle (a folder with {CARD}, or NAME.campus)")
        data = _json(path, CARD, b"".join(_chunks(path, CARD, MAX_JSON_BYTES)))
        if not isinstance(data, dict) or "schema_version" not in data:
            raise BundleError(f"{path}: {CARD} is damaged: copy the bundle again")
        if data["schema_version"] != SCHEMA_VERSION:
            raise BundleError(
                f"{path}: {CARD} has schema version {repr(data['schema_version'])[:40]}, this program reads "
                f"{SCHEMA_VERSION}: update the program or make the bundle again"
            )
        if data.get("digest") != _digest(data):
            raise BundleError(f"{path}: {CARD} does not match its own digest: copy the bundle again")
        try:
            card = CampusCard.model_validate(data)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])[:100]
            raise BundleError(f"{path}: {CARD}: {where or 'campus'}: {first['msg']}: make the bundle again") from error
        bundle = cls(path, card)
        bundle._check_files()
        return bundle

    def _check_files(self) -> None:
        if "model.onnx" not in self.card.files:
            raise BundleError(f"{self.path}: model.onnx is not listed in {CARD}: make the bundle again")
        left = MAX_BUNDLE_BYTES
        for name, wanted in self.card.files.items():
            if name in (ENGINE, KEY):  # machine code, which each device builds for itself
                raise BundleError(f"{self.path}: {name} may not travel with a campus: make the bundle again")
            hashed = hashlib.sha256()
            for chunk in _chunks(self.path, name):
                hashed.update(chunk)
                left -= len(chunk)
                if left < 0:
                    raise BundleError(f"{self.path}: is larger than {MAX_BUNDLE_BYTES >> 20} MB unpacked")
            if hashed.hexdigest() != wanted:
                raise BundleError(f"{self.path}: {name} is damaged (its sha256 differs): copy the bundle again")

    def read(self, name: str) -> bytes:
        """The bytes of a file of this bundle. Raises BundleError when it has none of that name."""
        if name not in self.card.files:
            raise BundleError(f"{self.path}: has no file {name}")
        return b"".join(_chunks(self.path, name))

    @property
    def zones(self) -> Zones:
        return Zones(self.card.zones)

    @cached_property
    def gallery(self) -> Gallery | None:
        """The training photos' embeddings and positions, or None where the bundle has none."""
        if "gallery.npz" not in self.card.files:
            return None
        again = "make the bundle again"
        try:
            arrays = read_npz(self.read("gallery.npz"), ("embedding", "local_m"))
        except ValueError as error:
            raise BundleError(f"{self.path}: gallery.npz cannot be read ({error}): {again}") from error
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows is infinite, and refused below
            embedding, local_m = (arrays[name].astype(np.float32) for name in ("embedding", "local_m"))
            if embedding.ndim != 2 or local_m.shape != (len(embedding), 2) or not embedding.size:
                raise BundleError(
                    f"{self.path}: gallery.npz holds embeddings {embedding.shape} and positions {local_m.shape}, "
                    f"not (N, D) and (N, 2): {again}"
                )
            # Written so that NaN is refused too.
            unit = bool((np.abs(np.linalg.norm(embedding, axis=1) - 1) <= _UNIT_TOLERANCE).all())
            near = bool((np.abs(local_m) <= MAX_REACH_M).all())
        if not unit or not near:
            what = "embeddings that are not of unit length" if near else "positions that are not on a campus"
            raise BundleError(f"{self.path}: gallery.npz has {what}: {again}")
        return Gallery(embedding, local_m)

    @cached_property
    def campus_map(self) -> dict[str, Any]:
        """The offline basemap as a GeoJSON FeatureCollection; empty where the bundle has none."""
        if "map.geojson" not in self.card.files:
            return {"type": "FeatureCollection", "features": []}
        data = _json(self.path, "map.geojson", b"".join(_chunks(self.path, "map.geojson", MAX_JSON_BYTES)))
        if not isinstance(data, dict) or not isinstance(data.get("features"), list):
            raise BundleError(f"{self.path}: map.geojson is no GeoJSON FeatureCollection: make the bundle again")
        return data

    @property
    def samples(self) -> list[str]:
        """Names of the sample photos, for `read`."""
        return sorted(name for name in self.card.files if name.startswith("samples/"))


def _json(bundle: Path, name: str, data: bytes) -> Any:
    """Parsed JSON that no later code can trip over: not nested deeper than _MAX_JSON_DEPTH, every number finite."""
    try:
        parsed = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{bundle}: {name} is damaged: copy the bundle again") from error
    level = [parsed]
    for _ in range(_MAX_JSON_DEPTH):
        if any(isinstance(value, (int, float)) and not abs(value) <= 1e15 for value in level):
            raise BundleError(f"{bundle}: {name} holds a number that is none: make the bundle again")
        level = [
            inner
            for value in level
            if isinstance(value, (dict, list))
            for inner in (value.values() if isinstance(value, dict) else value)
        ]
        if not level:
            return parsed
    raise BundleError(f"{bundle}: {name} is nested too deep: make the bundle again")


def _chunks(bundle: Path, name: str, limit: int = MAX_FILE_BYTES) -> Iterator[bytes]:
    """The bytes of a file of a bundle, a piece at a time. Raises BundleError naming the file."""
    path = PurePosixPath(name)
    odd = path.is_absolute() or ".." in path.parts or not name.isprintable() or set(name) & set("\\:")
    if odd or name != str(path) or not path.parts or len(name) > 200:
        raise BundleError(f"{bundle}: {name[:100]!r} is not a file name a bundle may hold")
    too_large = BundleError(f"{bundle}: {name} is larger than {limit >> 20} MB")
    try:
        with _opened(bundle, name) as (stream, size):
            if size > limit:
                raise too_large
            read = 0
            while chunk := stream.read(_CHUNK):
                read += len(chunk)
                if read > limit:  # the size that a zip declares may be a lie
                    raise too_large
                yield chunk
    except (FileNotFoundError, NotADirectoryError, KeyError) as error:
        raise BundleError(f"{bundle}: {name} is missing: copy the bundle again") from error
    except OSError as error:
        raise BundleError(f"{bundle}: {name} cannot be read ({error.strerror}): copy the bundle again") from error
    except _ZIP_DAMAGE as error:
        raise BundleError(f"{bundle}: not a readable .campus file ({reason_of(error)}): copy it again") from error


@contextmanager
def _opened(bundle: Path, name: str) -> Iterator[tuple[BinaryIO, int]]:
    """A file of a bundle, and the size it says it has. Links are refused, and whatever is no regular file."""
    if bundle.is_dir():
        file = bundle / name
        if file.is_symlink() or any((bundle / parent).is_symlink() for parent in PurePosixPath(name).parents):
            raise BundleError(f"{bundle}: {name} is a symbolic link: copy the bundle again with its real files")
        if not stat.S_ISREG(file.stat().st_mode):  # a pipe would never end
            raise BundleError(f"{bundle}: {name} is not a regular file: copy the bundle again")
        with file.open("rb") as stream:
            yield stream, file.stat().st_size
        return
    _check_directory(bundle)
    with zipfile.ZipFile(bundle) as archive:
        names = archive.namelist()
        if len(set(names)) != len(names):
            raise BundleError(f"{bundle}: holds two files of one name: make the bundle again")
        entry = archive.getinfo(name)
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise BundleError(f"{bundle}: {name} is a symbolic link: make the bundle again")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise BundleError(f"{bundle}: {name} is compressed in another way than deflate: make the bundle again")
        if entry.file_size > MAX_RATIO * entry.compress_size + _CHUNK:
            raise BundleError(f"{bundle}: {name} claims {entry.file_size} bytes, which is no file but a bomb")
        with archive.open(name) as stream:
            yield stream, entry.file_size  # type: ignore[misc]


def _check_directory(bundle: Path) -> None:
    """Raise BundleError where a zip is none, or lists more than a bundle's files: zipfile reads all of a listing.

    Its last 22 bytes are the end record (PKWARE's APPNOTE, 4.3.16), since bundles carry no comment; before it may stand
    a ZIP64 locator, which only files of more than 4 GB need.
    """
    with bundle.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - 42))
        tail = file.read()
    signature, *_, entries, listing, _, comment = struct.unpack("<4s4H2IH", tail[-22:].rjust(22, b"\0"))
    if signature != b"PK\5\6" or comment or tail[:4] == b"PK\6\7":
        raise BundleError(f"{bundle}: not a readable .campus file (no zip of a bundle): copy it again")
    if entries > MAX_FILES or listing > 512 * MAX_FILES:
        raise BundleError(f"{bundle}: holds more than {MAX_FILES} files, which no campus bundle does")


def check_may_save(out: Path, force: bool) -> None:
    """Raise CampusError where `save_bundle` would not write to `out`."""
    check_replaceable(out, force, "campus bundle", None if out.suffix == ".campus" else CARD)


def save_bundle(out: Path, card: CampusCard, files: Mapping[str, bytes], force: bool = False) -> Bundle:
    """Write a bundle, a folder or (`out` ending in .campus) a zip, whole or not at all.

    `files` are the bytes by name beside campus.json, whose hashes this fills in. Raises CampusError when `out`
    exists and `force` is not given, or when it is something else.
    """
    check_may_save(out, force)
    card = card.sealed({name: hashlib.sha256(data).hexdigest() for name, data in files.items()})
    text = json.dumps(card.model_dump(mode="json"), indent=1, ensure_ascii=False) + "\n"
    everything = {CARD: text.encode(), **files}
    with written_aside(out) as aside:
        if out.suffix == ".campus":
            with zipfile.ZipFile(aside, "w", zipfile.ZIP_DEFLATED) as archive:
                for name, data in everything.items():
                    archive.writestr(name, data)
        else:
            for name, data in everything.items():
                target = aside / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data)
    return Bundle.load(out)
