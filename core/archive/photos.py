"""Which photos an archive is: files, folders and patterns, in one order everywhere, cut into shards."""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from core.errors import CampusError
from core.photo.names import PHOTO_SUFFIXES, is_photo


@dataclass(frozen=True)
class Shard:
    """The I-th of K parts of an archive, from 1; photos fall into parts by a hash of their names."""

    index: int = 1
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> Shard:
        """`I/K` -> Shard. Raises CampusError."""
        first, _, second = text.partition("/")
        if first.isdigit() and second.isdigit() and 1 <= int(first) <= int(second):
            return cls(int(first), int(second))
        raise CampusError(f"--shard {text}", remedy="give I/K with I from 1 to K, such as 2/8")

    def holds(self, name: str) -> bool:
        """Whether a photo of that name is in this part; the same on every machine."""
        return int.from_bytes(hashlib.sha256(os.fsencode(name)).digest()[:8], "big") % self.count == self.index - 1


def archive_photos(places: Iterable[str], shard: Shard | None = None) -> list[str]:
    """The photos that files, folders (with all below them) and patterns (`*`, `**`) name, sorted, each once.

    Only regular files count in folders and patterns; a file named by itself is taken as it is, so that its trouble
    becomes a row, as that of a folder that cannot be read does. Raises CampusError where a folder or pattern holds no
    photo.
    """
    found: set[str] = set()
    for place in places:
        named = set(_below(place))
        if not named:
            raise CampusError(f"holds no photos ({', '.join(PHOTO_SUFFIXES)})", path=place)
        found |= named
    part = shard or Shard()
    return sorted(name for name in found if part.holds(name))


def _below(place: str) -> Iterator[str]:
    if Path(place).is_dir():
        unreadable: list[str] = []
        for folder, _, names in os.walk(place, onerror=lambda error: unreadable.append(str(Path(error.filename)))):
            yield from (str(path) for path in map(Path(folder).joinpath, names) if _is_photo(path))
        yield from unreadable
    elif glob.has_magic(place) and not Path(place).exists():
        yield from (name for name in glob.iglob(place, recursive=True) if _is_photo(Path(name)))
    else:
        yield place


def _is_photo(path: Path) -> bool:
    return is_photo(path) and path.is_file()
