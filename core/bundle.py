"""The campus bundle: the one artifact that joins training and run time. Schema, load, save, integrity."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from core.errors import BundleError
from core.files import check_replaceable, written_aside
from core.geo import LocalFrame
from core.posterior import Grid, PosteriorParams
from core.similar import Gallery
from core.zones import Zone, Zones

SCHEMA_VERSION = 1
CARD = "campus.json"
MAX_FILE_BYTES = 1 << 30  # a ResNet50 in FP32 is 0.1 GB; more than 1 GB in one file is an attack or a mistake
MAX_FILES = 2_000


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
    radius_at_m: tuple[float, ...] = Field(min_length=1)
    radius68_factors: tuple[Annotated[float, Field(gt=0)], ...]
    radius95_factors: tuple[Annotated[float, Field(gt=0)], ...]
    heading_factor: float | None = Field(None, gt=0)
    novelty: tuple[float, ...] = ()
    off_campus_share: float = 0.02

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
    """What the model was trained on and how; `split` says what the held-out groups were."""

    recipe: str
    backbone: str
    weights: str
    trained_utc: datetime
    epochs: int
    seed: int
    split: str
    split_sha256: str
    photos: dict[str, int]  # split -> count


class CampusCard(_Frozen):
    """campus.json. `rendered` is true where the photos were drawn by a computer and show no real place."""

    schema_version: Literal[1] = 1
    name: str
    description: str = ""
    rendered: bool = False
    created_utc: datetime
    frame: LocalFrame
    scale_m: float = Field(gt=0)
    image_size: int = Field(ge=32, le=1024)
    grid: Grid
    zones: tuple[Zone, ...]
    posterior: PosteriorParams
    calibration: Calibration
    parity: Parity | None = None
    training: Training
    metrics: dict[str, Metrics] = Field(default_factory=dict)  # split -> metrics
    cpu_model: Literal["model.onnx", "model.int8.onnx"]
    files: dict[str, str] = Field(default_factory=dict)  # name -> sha256
    digest: str = ""  # sha256 of all the above, so that a changed byte anywhere is noticed

    def sealed(self, files: Mapping[str, str]) -> CampusCard:
        """This card with the hashes of `files` and its own digest filled in."""
        card = self.model_copy(update={"files": dict(sorted(files.items())), "digest": ""})
        return card.model_copy(update={"digest": _digest(card.model_dump(mode="json"))})


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
        if not path.exists():
            raise BundleError(f"{path}: no such campus bundle (a folder with {CARD}, or NAME.campus)")
        raw = _read(path, CARD)
        try:
            data = json.loads(raw)
            version = data["schema_version"]
        except (ValueError, KeyError, TypeError) as error:
            raise BundleError(f"{path}: {CARD} is damaged: copy the bundle again") from error
        if version != SCHEMA_VERSION:
            raise BundleError(
                f"{path}: {CARD} has schema version {version!r}, this program reads {SCHEMA_VERSION}: "
                "update the program or make the bundle again"
            )
        if not isinstance(data, dict) or data.get("digest") != _digest(data):
            raise BundleError(f"{path}: {CARD} does not match its own digest: copy the bundle again")
        try:
            card = CampusCard.model_validate(data)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise BundleError(f"{path}: {CARD}: {where}: {first['msg']}: make the bundle again") from error
        bundle = cls(path, card)
        bundle._check_files()
        return bundle

    def _check_files(self) -> None:
        if "model.onnx" not in self.card.files:
            raise BundleError(f"{self.path}: model.onnx is not listed in {CARD}: make the bundle again")
        for name, wanted in self.card.files.items():
            if hashlib.sha256(_read(self.path, name)).hexdigest() != wanted:
                raise BundleError(f"{self.path}: {name} is damaged (its sha256 differs): copy the bundle again")

    def read(self, name: str) -> bytes:
        """The bytes of a file of this bundle. Raises BundleError when it has none of that name."""
        if name not in self.card.files:
            raise BundleError(f"{self.path}: has no file {name}")
        return _read(self.path, name)

    @property
    def zones(self) -> Zones:
        return Zones(self.card.zones)

    @cached_property
    def gallery(self) -> Gallery | None:
        """The training photos' embeddings and positions, or None where the bundle has none."""
        if "gallery.npz" not in self.card.files:
            return None
        try:
            with np.load(io.BytesIO(self.read("gallery.npz")), allow_pickle=False) as arrays:
                embedding, local_m = arrays["embedding"].astype(np.float32), arrays["local_m"].astype(np.float32)
        except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
            raise BundleError(f"{self.path}: gallery.npz cannot be read: make the bundle again") from error
        sane = embedding.ndim == 2 and local_m.shape == (len(embedding), 2) and len(embedding) > 0
        if not sane or not (np.isfinite(embedding).all() and np.isfinite(local_m).all()):
            raise BundleError(f"{self.path}: gallery.npz has wrong shapes or values: make the bundle again")
        return Gallery(embedding, local_m)

    @cached_property
    def campus_map(self) -> dict[str, Any]:
        """The offline basemap as a GeoJSON FeatureCollection; empty where the bundle has none."""
        if "map.geojson" not in self.card.files:
            return {"type": "FeatureCollection", "features": []}
        try:
            return dict(json.loads(self.read("map.geojson")))
        except ValueError as error:
            raise BundleError(f"{self.path}: map.geojson is not JSON: make the bundle again") from error

    @property
    def samples(self) -> list[str]:
        """Names of the sample photos, for `read`."""
        return sorted(name for name in self.card.files if name.startswith("samples/"))


def _read(bundle: Path, name: str) -> bytes:
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\\" in name or ":" in name:
        raise BundleError(f"{bundle}: {name!r} is not a file name a bundle may hold")
    try:
        if bundle.is_dir():
            file = bundle.joinpath(*parts)
            if file.is_symlink() or any((bundle / parent).is_symlink() for parent in PurePosixPath(name).parents):
                raise BundleError(f"{bundle}: {name} is a symbolic link: copy the bundle again with its real files")
            if file.stat().st_size > MAX_FILE_BYTES:
                raise BundleError(f"{bundle}: {name} is larger than {MAX_FILE_BYTES >> 20} MB")
            return file.read_bytes()
        with zipfile.ZipFile(bundle) as archive:
            if len(archive.infolist()) > MAX_FILES or archive.getinfo(name).file_size > MAX_FILE_BYTES:
                raise BundleError(f"{bundle}: {name} is larger than {MAX_FILE_BYTES >> 20} MB or one of too many")
            with archive.open(name) as stream:
                data = stream.read(MAX_FILE_BYTES + 1)  # the size a zip declares may be a lie
            if len(data) > MAX_FILE_BYTES:
                raise BundleError(f"{bundle}: {name} is larger than {MAX_FILE_BYTES >> 20} MB")
            return data
    except (FileNotFoundError, NotADirectoryError, KeyError) as error:
        raise BundleError(f"{bundle}: {name} is missing: copy the bundle again") from error
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise BundleError(f"{bundle}: not a readable .campus file ({error}): copy it again") from error
    except OSError as error:
        raise BundleError(f"{bundle}: {name} cannot be read ({error.strerror}): copy the bundle again") from error


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
