"""manifest.json: what an export holds, for the program that checks it and the device that builds from it."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.engines.heads import Heads
from core.errors import EngineError
from core.io.arrays import read_npz
from core.photo.load import MAX_PIXELS
from core.photo.preprocess import network_image
from core.program import typed
from edge.local_features import LOCAL_FP16, LOCAL_GOLDEN, LocalGolden

if TYPE_CHECKING:
    from numpy.typing import NDArray

MANIFEST = "manifest.json"
FP32, FP16, GOLDEN = "model.fp32.onnx", "model.fp16.onnx", "golden.npz"
SCHEMA_VERSION = 1


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class TensorSpec(_Frozen):
    """An input or output of the network; a shape's first entry is the name of the batch dimension."""

    name: str
    dtype: str  # as numpy has it
    shape: tuple[int | str, ...]


class Preprocessing(_Frozen):
    """How a photo becomes the network's input. `mean` and `std` (0..255) are applied inside the graph."""

    size: int = Field(ge=32, le=1024)
    layout: Literal["NHWC"] = "NHWC"
    colour: Literal["RGB"] = "RGB"
    resize: Literal["squash, Lanczos, reducing gap 3"] = "squash, Lanczos, reducing gap 3"
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


Shapes = tuple[tuple[int, int, int, int], tuple[int, int, int, int], tuple[int, int, int, int]]


class Profile(_Frozen):
    """Batch sizes that a TensorRT engine is built for; it is tuned for `best`."""

    least: int = Field(default=1, ge=1)
    best: int = Field(default=1, ge=1)  # a camera gives one frame at a time
    most: int = Field(default=16, ge=1, le=1024)

    def shapes(self, size: int) -> Shapes:
        """The least, best and largest (B, size, size, 3) of the network's input."""
        return (self.least, size, size, 3), (self.best, size, size, 3), (self.most, size, size, 3)


class Tolerances(_Frozen):
    """How far from the FP32 golden answers a model may be: raw offsets in metres on average, embeddings as 1 - cosine.

    The offset is one of three mixture components, whose kernels are metres wide: whole fixes are several times nearer.
    `fp16_m` is twice what the exporter measured itself, so that any later change shows; `device_m` leaves room for
    the other order in which a GPU adds.
    """

    fp32_m: float = 0.01
    fp16_m: float = 0.1
    device_m: float = 0.5
    fp16_embedding: float = 1e-3


class Manifest(_Frozen):
    """What `export` wrote. `files` are sha256 by name; `bundle_digest` is that of the bundle's manifest."""

    schema_version: Literal[1] = 1
    campus: str
    bundle_digest: str
    backbone: str
    scale_m: float = Field(gt=0)
    opset: int
    exporters: dict[str, str]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    preprocessing: Preprocessing
    profile: Profile = Profile()
    tolerances: Tolerances = Tolerances()
    files: dict[str, str]

    @classmethod
    def parse(cls, data: bytes, where: str) -> Manifest:
        """Raises EngineError naming `where` and the field that is wrong."""
        try:
            plain = json.loads(data)
            version = plain.get("schema_version") if isinstance(plain, dict) else None
            if version != SCHEMA_VERSION:
                raise EngineError(
                    f"schema version {version!r}, this program reads {SCHEMA_VERSION}",
                    path=where,
                    remedy="export the bundle again",
                )
            return cls.model_validate(plain)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"])
            raise EngineError(f"{field}: {first['msg']}", path=where, remedy="export the bundle again") from error
        except (ValueError, RecursionError) as error:
            raise EngineError("not JSON", path=where, remedy="export the bundle again") from error


@dataclass(frozen=True)
class Golden:
    """Inputs and the FP32 answers to them, and one photo with what it becomes.

    images: (N, S, S, 3) uint8; heads: of a batch of N; photo: (H, W, 3) uint8; photo_image: (S, S, 3) uint8, the photo
    after preprocessing, which tells a program whose preprocessing has changed.
    """

    images: NDArray[np.uint8]
    heads: Heads
    photo: NDArray[np.uint8]
    photo_image: NDArray[np.uint8]

    def to_bytes(self) -> bytes:
        """As an .npz file."""
        stream = io.BytesIO()
        heads = {name: value for name, value in vars(self.heads).items() if value is not None}
        np.savez_compressed(stream, images=self.images, photo=self.photo, photo_image=self.photo_image, **heads)
        return stream.getvalue()

    @classmethod
    def parse(cls, data: bytes, where: str) -> Golden:
        """Raises EngineError naming `where` when it is no such file."""
        try:
            heads = tuple(head.name for head in fields(Heads))
            found = read_npz(data, ("images", "photo", "photo_image", "offset"), heads[1:])
        except ValueError as error:
            raise EngineError(f"cannot be read ({error})", path=where, remedy="export the bundle again") from error
        images, photo, photo_image = (found.pop(name) for name in ("images", "photo", "photo_image"))
        for name, picture in (("photo", photo), ("photo_image", photo_image), *(("images", one) for one in images)):
            if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8 or not picture.size:
                raise EngineError(
                    f"{name} is {picture.shape} {picture.dtype}, no picture", path=where, remedy="export again"
                )
        if not len(images) or images.shape[1:] != photo_image.shape or photo.size > MAX_PIXELS:
            raise EngineError("its pictures do not fit one another", path=where, remedy="export the bundle again")
        for name, head in found.items():
            if head.ndim != 2 or len(head) != len(images) or head.dtype.kind != "f" or not np.isfinite(head).all():
                raise EngineError(
                    f"{name} is no answer to {len(images)} pictures", path=where, remedy="export the bundle again"
                )
        return cls(images, Heads(**found), photo, photo_image)


@dataclass(frozen=True)
class LocalExport:
    """The second look's network in FP16, and FP32's answers."""

    fp16: bytes
    golden: LocalGolden


@dataclass(frozen=True)
class Export:
    """An export read back: every file's hash is checked against the manifest. `local`: None without a second look."""

    where: str
    manifest: Manifest
    golden: Golden
    fp16: bytes
    local: LocalExport | None = None

    @classmethod
    def load(cls, folder: Path) -> Export:
        """Raises EngineError naming the file that is missing or damaged."""
        if not (folder / MANIFEST).is_file():
            raise EngineError(
                f"no {MANIFEST}", path=folder, remedy=f"make it with `{typed('edge')} export BUNDLE --out {folder}`"
            )
        return cls.read(lambda name: (folder / name).read_bytes(), str(folder))

    @classmethod
    def read(cls, read: Callable[[str], bytes], where: str) -> Export:
        """From anything that gives bytes by file name."""
        manifest = Manifest.parse(read(MANIFEST), f"{where}/{MANIFEST}")
        for name in (FP16, GOLDEN):
            if name not in manifest.files:
                raise EngineError(f"lists no {name}", path=f"{where}/{MANIFEST}", remedy="export the bundle again")
        found: dict[str, bytes] = {}
        local = (LOCAL_FP16, LOCAL_GOLDEN) if LOCAL_FP16 in manifest.files or LOCAL_GOLDEN in manifest.files else ()
        for name in (FP16, GOLDEN, *local):
            try:
                found[name] = read(name)
            except FileNotFoundError as error:
                raise EngineError("missing", path=f"{where}/{name}", remedy="export the bundle again") from error
            if sha256(found[name]) != manifest.files.get(name):
                raise EngineError(
                    "not the file that was exported (its sha256 differs)", path=f"{where}/{name}", remedy="export again"
                )
        golden = Golden.parse(found[GOLDEN], f"{where}/{GOLDEN}")
        if not local:
            return cls(where, manifest, golden, found[FP16])
        look = LocalExport(found[LOCAL_FP16], LocalGolden.parse(found[LOCAL_GOLDEN], f"{where}/{LOCAL_GOLDEN}"))
        return cls(where, manifest, golden, found[FP16], look)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def striped_photo(height: int = 960, width: int = 540) -> NDArray[np.uint8]:
    """(height, width, 3) uint8: gradients and fine stripes, on which any other way of shrinking a photo shows.

    Held upright, so that the order of the two directions shows too.
    """
    rows, columns = np.mgrid[:height, :width]
    stripes = 90 * ((columns // 3 + rows // 7) % 2)
    channels = (columns * 160 // width, rows * 160 // height, (rows + columns) * 160 // (height + width))
    return np.stack([channel + stripes for channel in channels], axis=2).astype(np.uint8)


def preprocessing_drift(golden: Golden, size: int) -> int:
    """The largest difference, in 0..255, between today's preprocessing of the golden photo and the exporter's."""
    today = network_image(golden.photo, size).astype(np.int16)
    return int(np.abs(today - golden.photo_image.astype(np.int16)).max())
