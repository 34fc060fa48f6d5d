"""Arrays out of a stranger's .npz: names, types and sizes are checked before anything is read; nothing is unpickled."""

from __future__ import annotations

import io
import math
import struct
import tokenize
import zipfile
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from core.errors import reason_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_BYTES = 1 << 30  # a million photos of 256 numbers in half precision take half of it
MAX_RATIO = 200  # deflate can reach 1,000 on zeros; embeddings and photos stay below 20
# Whatever a damaged .npz makes zipfile, zlib and numpy raise.
_DAMAGE = (
    ValueError, KeyError, TypeError, OSError, EOFError, RuntimeError, NotImplementedError, OverflowError, SyntaxError,
    MemoryError, zipfile.BadZipFile, zlib.error, struct.error, tokenize.TokenError,
)  # fmt: skip


def read_npz(data: bytes, names: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, NDArray[Any]]:
    """The arrays of an .npz file by name: numbers only, MAX_BYTES in all. Raises ValueError saying what is wrong."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = {info.filename: info for info in archive.infolist()}
            known = {f"{name}.npy": name for name in (*names, *optional)}
            wrong = entries.keys() - known.keys() | {f"{name}.npy" for name in names} - entries.keys()
            if wrong or len(entries) != len(archive.infolist()):
                raise ValueError(f"holds {', '.join(sorted(entries)[:8])}, not {', '.join(names)}")
            claimed = sum(info.file_size for info in entries.values())
            if claimed > MAX_BYTES or claimed > MAX_RATIO * len(data) + MAX_BYTES // 1024:
                raise ValueError(f"its {len(data)} bytes claim to hold {claimed}")
            return {name: _read_array(archive, entries[entry]) for entry, name in known.items() if entry in entries}
    except _DAMAGE as error:
        raise ValueError(reason_of(error)) from error


def _read_array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> NDArray[Any]:
    with archive.open(entry) as stream:
        version = np.lib.format.read_magic(stream)
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, _, dtype = read_header(stream)
    if dtype.kind not in "fiu":
        raise ValueError(f"{entry.filename} is of type {dtype}, not numbers")
    # The header is not believed: it may promise more than follows, and numpy takes the memory first.
    if math.prod(shape) * dtype.itemsize > entry.file_size:
        raise ValueError(f"{entry.filename} says {shape} {dtype} and holds less")
    with archive.open(entry) as stream:
        return np.asarray(np.lib.format.read_array(stream, allow_pickle=False))
