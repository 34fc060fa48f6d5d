"""Which photos a campus was made of, told by the hash of their files."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from core.errors import BundleError
from core.io.arrays import read_npz

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from core.campus.bundle import Bundle

SEEN = "seen.npz"
_CHUNK = 1 << 20
_SHA256 = re.compile(r"[0-9a-f]{64}")


def photo_digest(path: Path) -> int:
    """The first 64 bits of the sha256 of a file. Raises OSError where it cannot be read."""
    hashed = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            hashed.update(chunk)
    return short_digest(hashed.hexdigest())


def short_digest(sha256: str) -> int:
    """The first 64 bits of a sha256 in hexadecimal: two of a million photos agree once in 40 million campuses."""
    return int(sha256[:16], 16)


def told_digest(text: str) -> int | None:
    """The digest that a dataset's `source_sha256` tells of a photo's original; None where it is no sha256."""
    return short_digest(text.strip()) if _SHA256.fullmatch(text.strip()) else None


def is_seen(photo: Path, original: int | None, seen: frozenset[int]) -> bool:
    """Whether `seen` holds the digest of a photo's file, or of the original that it was made of, where that is told.

    Raises OSError where the photo cannot be read.
    """
    return bool(seen) and (original in seen or photo_digest(photo) in seen)


def seen_file(digests: Iterable[int]) -> bytes:
    """The file `seen.npz` of a bundle whose gallery and calibration were made of these photos."""
    stream = io.BytesIO()
    np.savez_compressed(stream, digest=np.unique(np.array(list(digests), np.uint64)))
    return stream.getvalue()


def seen_photos(bundle: Bundle) -> frozenset[int]:
    """The digests of the photos that a bundle was made of; empty where it does not tell.

    Raises BundleError where the file is damaged.
    """
    if SEEN not in bundle.manifest.files:
        return frozenset()
    try:
        digest: NDArray[np.uint64] = read_npz(bundle.read(SEEN), ("digest",))["digest"]
    except ValueError as error:
        raise BundleError.unusable(f"{SEEN} cannot be read ({error})", path=bundle.path) from error
    if digest.ndim != 1 or digest.dtype != np.uint64:
        raise BundleError.unusable(f"{SEEN} holds no digests", path=bundle.path)
    return frozenset(digest.tolist())
