"""Rows of a cluster in a folder of Parquet files, on a disk or at a URL."""

from __future__ import annotations

import re
from typing import Any

from core.archive.rows import Row, schema
from core.archive.stores import store_of
from core.errors import CampusError, reason_of

PART_ROWS = 100_000
_PART = re.compile(r"part-(\d+)\.parquet")


class Parts:
    """A folder of Parquet files, written as rows come; each is there whole or not at all. Raises CampusError."""

    def __init__(self, out: str, resume: bool) -> None:
        import pyarrow.dataset
        from pyarrow.fs import FileSelector, FileType

        self._store, self._folder = store_of(out)
        self._rows: list[dict[str, Any]] = []
        bucket = self._folder.partition("/")[0]  # not made on the way, as a folder is
        if self._store.type_name == "s3" and self._store.get_file_info(bucket).type == FileType.NotFound:
            raise CampusError("no such bucket", path=out, remedy="make it first, or choose another --out")
        self.before: set[str] = set()
        if self._store.get_file_info(self._folder).type == FileType.File:
            raise CampusError("is a file", path=out, remedy="choose another --out, which becomes a folder of parts")
        there = self._store.get_file_info(FileSelector(self._folder, allow_not_found=True))
        self._next = 1 + max((_number(each.base_name) for each in there), default=-1)
        if there and not resume:
            raise CampusError("exists already", path=out, remedy="go on with it by --resume, or choose another --out")
        if there:
            held = pyarrow.dataset.dataset(self._folder, schema(), filesystem=self._store, format="parquet")
            try:
                self.before = set(held.to_table(["photo"])["photo"].to_pylist())
            except (pyarrow.ArrowInvalid, OSError) as error:
                remedy = "choose another --out, or take away what is no part of it"
                raise CampusError(f"cannot be resumed ({reason_of(error)})", path=out, remedy=remedy) from error

    def add(self, row: Row) -> None:
        self._rows.append(row.as_dict())
        if len(self._rows) >= PART_ROWS:
            self._write()

    def __enter__(self) -> Parts:
        return self

    def __exit__(self, error: object, *_: object) -> None:
        # Also after an error: what was located is not lost. With nothing located, it leaves nothing.
        if self._rows or (error is None and not self._next):
            self._write()

    def _write(self) -> None:
        import pyarrow
        import pyarrow.parquet

        self._store.create_dir(self._folder, recursive=True)
        name = f"part-{self._next:05}.parquet"
        begun = f"{self._folder}/.{name}"  # a reader of the folder passes over hidden files
        table = pyarrow.Table.from_pylist(self._rows, schema=schema())
        pyarrow.parquet.write_table(table, begun, filesystem=self._store)
        self._store.move(begun, f"{self._folder}/{name}")
        self._rows, self._next = [], self._next + 1


def _number(name: str) -> int:
    """The number of a part by its file's name; -1 for what is none."""
    part = _PART.fullmatch(name)
    return int(part[1]) if part else -1
