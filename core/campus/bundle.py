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
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import numpy as np
from pydantic import ValidationError

from core.campus.file_names import (
    CAMPUS_JSON,
    ENGINE,
    KEY,
    LOCAL_ENGINE,
    LOCAL_GALLERY,
    LOCAL_KEY,
    SAMPLES,
    THUMBNAILS,
)
from core.campus.gallery import Gallery
from core.campus.local_gallery import LocalGallery, checked_local_gallery
from core.campus.manifest import MAX_FILES, MAX_REACH_M, SCHEMA_VERSION, CampusManifest, manifest_digest
from core.campus.thumbnails import Thumbnails, checked_thumbnails
from core.campus.zones import Zones
from core.errors import BundleError, reason_of
from core.io.arrays import read_npz
from core.io.files import check_replaceable, written_atomically

MAX_FILE_BYTES = 1 << 30  # a ResNet50 in FP32 is 0.1 GB; more than 1 GB in one file is an attack or a mistake
MAX_BUNDLE_BYTES = 2 << 30
MAX_JSON_BYTES = 16 << 20  # campus.json and map.geojson: a map of 10,000 buildings has about 5 MB
MAX_RATIO = 200  # how much smaller a file of a zip may be than it says: text shrinks 10 times, a bomb 1,000 times
_MAX_JSON_DEPTH = 16  # GeoJSON needs 9
_CHUNK = 1 << 20
_UNIT_TOLERANCE = 0.01  # half precision rounds a length by less than 0.001

# Whatever a damaged zip makes zipfile and zlib raise.
_ZIP_DAMAGE = (
    zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, struct.error, NotImplementedError, RuntimeError, EOFError,
    ValueError, OverflowError,
)  # fmt: skip


class Bundle:
    """A checked campus bundle, a folder or the same folder zipped as `NAME.campus`.

    Nothing in it is ever executed or unpickled, and a zip is never unpacked: files are read in memory.
    """

    def __init__(self, path: Path, manifest: CampusManifest) -> None:
        self.path, self.manifest = path, manifest

    @classmethod
    def load(cls, path: str | Path) -> Bundle:
        """Read and check a bundle: schema, version, every file's hash. Raises BundleError naming the file."""
        path = Path(path)
        if not os.path.exists(path):  # Path.exists raises for a path that cannot be one
            raise BundleError(
                f"no such campus bundle (a folder with {CAMPUS_JSON}, or NAME.campus)", path=path, kind="absent"
            )
        data = _json(path, CAMPUS_JSON, b"".join(_chunks(path, CAMPUS_JSON, MAX_JSON_BYTES)))
        if not isinstance(data, dict) or "schema_version" not in data:
            raise BundleError.damaged(f"{CAMPUS_JSON} is damaged", path=path)
        if data["schema_version"] != SCHEMA_VERSION:
            raise BundleError(
                f"{CAMPUS_JSON} has schema version {repr(data['schema_version'])[:40]}, this program reads "
                f"{SCHEMA_VERSION}",
                path=path,
                remedy="update the program or make the bundle again",
                kind="version",
            )
        if data.get("digest") != manifest_digest(data):
            raise BundleError.damaged(f"{CAMPUS_JSON} does not match its own digest", path=path)
        bundle = cls(path, _checked(data, path))
        bundle._check_files()
        return bundle

    def _check_files(self) -> None:
        if "model.onnx" not in self.manifest.files:
            raise BundleError.unusable(f"model.onnx is not listed in {CAMPUS_JSON}", path=self.path)
        left = MAX_BUNDLE_BYTES
        for name, wanted in self.manifest.files.items():
            if name in (ENGINE, KEY, LOCAL_ENGINE, LOCAL_KEY):  # machine code, which each device builds for itself
                raise BundleError.unusable(f"{name} may not travel with a campus", path=self.path)
            hashed = hashlib.sha256()
            for chunk in _chunks(self.path, name):
                hashed.update(chunk)
                left -= len(chunk)
                if left < 0:
                    raise BundleError(
                        f"is larger than {MAX_BUNDLE_BYTES >> 20} MB unpacked", path=self.path, kind="too large"
                    )
            if hashed.hexdigest() != wanted:
                raise BundleError.damaged(f"{name} is damaged (its sha256 differs)", path=self.path)

    def read(self, name: str) -> bytes:
        """The bytes of a file of this bundle. Raises BundleError when it has none of that name."""
        if name not in self.manifest.files:
            raise BundleError(f"has no file {name}", path=self.path)
        return b"".join(_chunks(self.path, name))

    @property
    def zones(self) -> Zones:
        return Zones(self.manifest.zones)

    @cached_property
    def gallery(self) -> Gallery | None:
        """The training photos' embeddings and positions, or None where the bundle has none."""
        if "gallery.npz" not in self.manifest.files:
            return None
        try:
            arrays = read_npz(self.read("gallery.npz"), ("embedding", "local_m"))
        except ValueError as error:
            raise BundleError.unusable(f"gallery.npz cannot be read ({error})", path=self.path) from error
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows is infinite, and refused below
            embedding, local_m = (arrays[name].astype(np.float32) for name in ("embedding", "local_m"))
            if embedding.ndim != 2 or local_m.shape != (len(embedding), 2) or not embedding.size:
                raise BundleError.unusable(
                    f"gallery.npz holds embeddings {embedding.shape} and positions {local_m.shape}, "
                    "not (N, D) and (N, 2)",
                    path=self.path,
                )
            # Written so that NaN is refused too.
            unit = bool((np.abs(np.linalg.norm(embedding, axis=1) - 1) <= _UNIT_TOLERANCE).all())
            near = bool((np.abs(local_m) <= MAX_REACH_M).all())
        if not unit or not near:
            what = "embeddings that are not of unit length" if near else "positions that are not on a campus"
            raise BundleError.unusable(f"gallery.npz has {what}", path=self.path)
        return Gallery(embedding, local_m)

    @cached_property
    def local_gallery(self) -> LocalGallery | None:
        """The local features of the gallery's photos, or None where the bundle has no second look."""
        if (look := self.manifest.second_look) is None:
            return None
        if self.gallery is None:
            raise BundleError.unusable("a second look without a gallery", path=self.path)
        try:
            arrays = read_npz(self.read(LOCAL_GALLERY), ("descriptor",))
            return checked_local_gallery(arrays, len(self.gallery), look.keypoints)
        except ValueError as error:
            raise BundleError.unusable(f"{LOCAL_GALLERY} cannot be used ({error})", path=self.path) from error

    @cached_property
    def thumbnails(self) -> Thumbnails | None:
        """Small pictures of the gallery's photos, or None where the bundle has none."""
        if THUMBNAILS not in self.manifest.files:
            return None
        if self.gallery is None:
            raise BundleError.unusable(f"{THUMBNAILS} without a gallery", path=self.path)
        try:
            return checked_thumbnails(read_npz(self.read(THUMBNAILS), ("jpeg", "end")), len(self.gallery))
        except ValueError as error:
            raise BundleError.unusable(f"{THUMBNAILS} cannot be used ({error})", path=self.path) from error

    @cached_property
    def campus_map(self) -> dict[str, Any]:
        """The offline basemap as a GeoJSON FeatureCollection; empty where the bundle has none."""
        if "map.geojson" not in self.manifest.files:
            return {"type": "FeatureCollection", "features": []}
        data = _json(self.path, "map.geojson", b"".join(_chunks(self.path, "map.geojson", MAX_JSON_BYTES)))
        if not isinstance(data, dict) or not isinstance(data.get("features"), list):
            raise BundleError.unusable("map.geojson is no GeoJSON FeatureCollection", path=self.path)
        return data

    @property
    def samples(self) -> list[str]:
        """Names of the sample photos, for `read`."""
        return sorted(name for name in self.manifest.files if name.startswith(SAMPLES))


def _checked(data: dict[str, Any], path: Path) -> CampusManifest:
    """What campus.json says. Raises BundleError naming the field where no campus has such a value."""
    try:
        return CampusManifest.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])[:100]
        raise BundleError.unusable(f"{CAMPUS_JSON}: {where or 'campus'}: {first['msg']}", path=path) from error


def _json(bundle: Path, name: str, data: bytes) -> Any:
    """Parsed JSON that no later code can trip over: not nested deeper than _MAX_JSON_DEPTH, every number finite."""
    try:
        parsed = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BundleError.damaged(f"{name} is damaged", path=bundle) from error
    level = [parsed]
    for _ in range(_MAX_JSON_DEPTH):
        if any(isinstance(value, (int, float)) and not abs(value) <= 1e15 for value in level):
            raise BundleError.unusable(f"{name} holds a number that is none", path=bundle)
        level = [
            inner
            for value in level
            if isinstance(value, (dict, list))
            for inner in (value.values() if isinstance(value, dict) else value)
        ]
        if not level:
            return parsed
    raise BundleError.unusable(f"{name} is nested too deep", path=bundle)


def _chunks(bundle: Path, name: str, limit: int = MAX_FILE_BYTES) -> Iterator[bytes]:
    """The bytes of a file of a bundle, a piece at a time. Raises BundleError naming the file."""
    path = PurePosixPath(name)
    odd = path.is_absolute() or ".." in path.parts or not name.isprintable() or set(name) & set("\\:")
    if odd or name != str(path) or not path.parts or len(name) > 200:
        raise BundleError(f"{name[:100]!r} is not a file name a bundle may hold", path=bundle, kind="unusable")
    too_large = BundleError(f"{name} is larger than {limit >> 20} MB", path=bundle, kind="too large")
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
        raise BundleError.damaged(f"{name} is missing", path=bundle) from error
    except PermissionError as error:
        reason = f"{name} cannot be read ({error.strerror})"
        raise BundleError(reason, path=bundle, remedy="change its permissions") from error
    except OSError as error:
        raise BundleError.damaged(f"{name} cannot be read ({error.strerror})", path=bundle) from error
    except _ZIP_DAMAGE as error:
        raise BundleError(
            f"not a readable .campus file ({reason_of(error)})", path=bundle, remedy="copy it again", kind="damaged"
        ) from error


@contextmanager
def _opened(bundle: Path, name: str) -> Iterator[tuple[BinaryIO, int]]:
    """A file of a bundle, and the size it says it has. Links are refused, and whatever is no regular file."""
    if bundle.is_dir():
        file = bundle / name
        if file.is_symlink() or any((bundle / parent).is_symlink() for parent in PurePosixPath(name).parents):
            raise BundleError(
                f"{name} is a symbolic link",
                path=bundle,
                remedy="copy the bundle again with its real files",
                kind="damaged",
            )
        if not stat.S_ISREG(file.stat().st_mode):  # a pipe would never end
            raise BundleError.damaged(f"{name} is not a regular file", path=bundle)
        with file.open("rb") as stream:
            yield stream, file.stat().st_size
        return
    if not bundle.is_file():  # a pipe would wait for ever
        raise BundleError("is neither a folder nor a file", path=bundle, remedy="give a bundle's own place")
    _check_directory(bundle)
    with zipfile.ZipFile(bundle) as archive:
        names = archive.namelist()
        if len(set(names)) != len(names):
            raise BundleError.unusable("holds two files of one name", path=bundle)
        entry = archive.getinfo(name)
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise BundleError.unusable(f"{name} is a symbolic link", path=bundle)
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise BundleError.unusable(f"{name} is compressed in another way than deflate", path=bundle)
        if entry.file_size > MAX_RATIO * entry.compress_size + _CHUNK:
            raise BundleError(
                f"{name} claims {entry.file_size} bytes, which is no file but a bomb", path=bundle, kind="unusable"
            )
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
        raise BundleError(
            "not a readable .campus file (no zip of a bundle)", path=bundle, remedy="copy it again", kind="damaged"
        )
    if entries > MAX_FILES or listing > 512 * MAX_FILES:
        raise BundleError(
            f"holds more than {MAX_FILES} files, which no campus bundle does", path=bundle, kind="unusable"
        )


def check_may_save(out: Path, force: bool) -> None:
    """Raise CampusError where `save_bundle` would not write to `out`."""
    check_replaceable(out, force, "campus bundle", None if out.suffix == ".campus" else CAMPUS_JSON)


def save_bundle(out: Path, manifest: CampusManifest, files: Mapping[str, bytes], force: bool = False) -> Bundle:
    """Write a bundle, a folder or (`out` ending in .campus) a zip, whole or not at all.

    `files` are the bytes by name beside campus.json, whose hashes this fills in. Raises CampusError when `out`
    exists and `force` is not given, or when it is something else.
    """
    check_may_save(out, force)
    manifest = manifest.sealed({name: hashlib.sha256(data).hexdigest() for name, data in files.items()})
    document = manifest.model_dump(mode="json")
    _checked(document, out)  # before it takes the place of a good one: a copy with changes was not checked
    text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    everything = {CAMPUS_JSON: text.encode(), **files}
    with written_atomically(out) as temporary:
        if out.suffix == ".campus":
            with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
                for name, data in everything.items():
                    archive.writestr(name, data)
        else:
            for name, data in everything.items():
                target = temporary / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data)
    return Bundle.load(out)
