"""Photos where they lie: on a disk, or at a URL such as s3://bucket/folder, by pyarrow and, for other kinds, fsspec."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from core.archive.photos import Shard, archive_photos
from core.errors import CampusError, PhotoError, reason_of
from core.photo.names import PHOTO_SUFFIXES, is_photo


@dataclass(frozen=True)
class StoredPhoto:
    """A photo that the process which reads it opens by itself, so that only its address travels."""

    name: str
    path: str
    store: Any  # a pyarrow.fs.FileSystem, which can be pickled

    @property
    def source(self) -> Any:
        """What `load_photo` reads: a Path on a disk, else this as a file object."""
        from pyarrow.fs import LocalFileSystem

        return Path(self.path) if isinstance(self.store, LocalFileSystem) else self

    def seekable(self) -> bool:
        return False

    def read(self, size: int) -> bytes:
        """At most `size` bytes from the file's beginning. Raises PhotoError."""
        try:
            with self.store.open_input_stream(self.path) as file:
                return bytes(file.read(size))
        except Exception as error:  # the client of each kind of store raises its own
            remedy = "check the address and who may read it"
            raise PhotoError(f"cannot be read ({reason_of(error)})", path=self.name, remedy=remedy) from None


def store_of(place: str) -> tuple[Any, str]:
    """The pyarrow.fs.FileSystem of a path or URL, and the path in it. Raises CampusError."""
    from pyarrow import ArrowInvalid
    from pyarrow.fs import FileSystem, LocalFileSystem

    if "://" not in place:
        return LocalFileSystem(), os.path.abspath(place)
    try:
        try:
            return FileSystem.from_uri(place)  # type: ignore[no-any-return]
        except ArrowInvalid:
            return FileSystem.from_uri(f"fsspec+{place}")  # type: ignore[no-any-return]
    except Exception as error:  # as above
        raise CampusError(f"no such place ({reason_of(error)})", path=place) from error


def stored_photos(places: Iterable[str], shard: Shard | None = None) -> list[StoredPhoto]:
    """The photos that files, folders, patterns and URLs of files or folders name, each once. Raises CampusError.

    A photo's part follows from its absolute path, under which every node must have it, or its URL.
    """
    places, part = list(places), shard or Shard()
    local = [place for place in places if "://" not in place]
    disk, _ = store_of("/")
    found = {os.path.abspath(name): None for name in (archive_photos(local) if local else ())}
    photos = [StoredPhoto(name, name, disk) for name in found if part.holds(name)]
    remote = {photo.name: photo for place in places if "://" in place for photo in _at(place)}
    return photos + [remote[name] for name in sorted(remote) if part.holds(name)]


def _at(url: str) -> list[StoredPhoto]:
    """What a URL names; a file is taken as it is, so that its trouble becomes a row."""
    from pyarrow.fs import FileSelector, FileType

    store, base = store_of(url)
    try:
        if store.get_file_info(base).type != FileType.Directory:
            return [StoredPhoto(url, base, store)]
        below = store.get_file_info(FileSelector(base, recursive=True))
    except Exception as error:  # as above
        raise CampusError(f"cannot be listed ({reason_of(error)})", path=url) from error
    head, mark, query = url.partition("?")  # as in s3://bucket/folder?region=eu-west-1
    names = [
        (head.rstrip("/") + each.path[len(base.rstrip("/")) :] + mark + query, each.path)
        for each in below
        if each.type == FileType.File and is_photo(PurePosixPath(each.path))
    ]
    if not names:
        raise CampusError(f"holds no photos ({', '.join(PHOTO_SUFFIXES)})", path=url)
    return [StoredPhoto(name, path, store) for name, path in names]
