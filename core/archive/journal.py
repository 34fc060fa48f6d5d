"""Rows in a file that a kill cannot spoil: whole lines only, and what is there need not be done again.

JSON lines and CSV are appended to. Parquet has no such lines, so its rows wait in NAME.parquet.rows.jsonl and become
the table once all are there.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from core.archive.rows import COLUMNS, Row, schema
from core.errors import CampusError, MissingDependency
from core.io.csv_cells import as_it_was, harmless
from core.io.files import written_atomically

FORMATS = (".jsonl", ".csv", ".parquet")


class Journal:
    """A file of rows, opened to be written or gone on with; use it in a `with` block.

    Raises CampusError where `out` is of no known format, exists without `resume`, or holds something else.
    """

    def __init__(self, out: Path, resume: bool = False) -> None:
        if out.suffix not in FORMATS:
            raise CampusError(f"{out}: call it NAME{', NAME'.join(FORMATS)}")
        self.out = out
        self._lines = out.with_name(f"{out.name}.rows.jsonl") if out.suffix == ".parquet" else out
        self._finished = out.suffix == ".parquet" and out.exists()
        if not resume and (out.exists() or self._lines.exists()):
            raise CampusError(f"{out}: exists already: go on with it by --resume, or choose another --out")
        self._done: frozenset[str] = frozenset()
        self._file: BinaryIO | None = None

    def __enter__(self) -> Journal:
        if self._finished:
            self._done = _parquet_photos(self.out)
            return self
        self._file = self._lines.open("a+b")
        try:
            self._done = frozenset(self._whole_lines(self._file))
        except BaseException:
            self._file.close()
            raise
        if self._lines.suffix == ".csv" and not self._file.tell():
            self._file.write(_csv_line(COLUMNS))
        return self

    def has(self, photo: str) -> bool:
        """Whether an earlier run left a row of this photo."""
        return _one_line(photo) in self._done

    def add(self, row: Row) -> None:
        """Write a row; once this returns, a kill does not lose it, and a power cut at most what the disk still held."""
        assert self._file is not None
        plain = row.as_dict()
        if self._lines.suffix == ".csv":
            line = _csv_line([harmless(value) if isinstance(value, str) else value for value in plain.values()])
        else:
            line = (json.dumps(plain, ensure_ascii=False) + "\n").encode()
        self._file.write(line)
        self._file.flush()

    def finish(self) -> None:
        """Make the table of a Parquet journal, whole or not at all; nothing to do for the others."""
        if self.out.suffix != ".parquet" or self._finished:
            return
        assert self._file is not None
        self._file.flush()
        pyarrow, parquet = _pyarrow()
        rows = [json.loads(line) for line in self._lines.read_text("utf-8").split("\n") if line]
        table = pyarrow.Table.from_pylist(rows, schema=schema())
        with written_atomically(self.out) as temporary:
            parquet.write_table(table, temporary)
        self._lines.unlink()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def _whole_lines(self, file: BinaryIO) -> list[str]:
        """The photos that have a whole row; what a killed writer left of another is cut off."""
        file.seek(0)
        data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        read: Callable[[str], list[str]] = _csv_photos if self._lines.suffix == ".csv" else _json_photos
        try:
            photos = read(whole.decode("utf-8"))
        except (ValueError, KeyError, TypeError, csv.Error) as error:
            raise CampusError(f"{self.out}: holds no rows of this program: choose another --out") from error
        if len(whole) < len(data):
            os.truncate(self._lines, len(whole))
        file.seek(0, os.SEEK_END)
        return photos


def _json_photos(text: str) -> list[str]:
    return [_one_line(str(json.loads(line)["photo"])) for line in text.split("\n") if line]


def _csv_photos(text: str) -> list[str]:
    rows = list(csv.reader(io.StringIO(text, newline="")))
    if rows and tuple(rows[0]) != COLUMNS:
        raise ValueError(rows[0])
    return [as_it_was(row[0]) for row in rows[1:]]


def _one_line(text: str) -> str:
    """A name without line breaks: within one, a cut row would look whole."""
    return " ".join(text.splitlines())


def _csv_line(cells: Any) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerow(_one_line(cell) if isinstance(cell, str) else cell for cell in cells)
    return text.getvalue().encode()


def _parquet_photos(path: Path) -> frozenset[str]:
    _, parquet = _pyarrow()
    try:
        return frozenset(map(_one_line, parquet.read_table(path, columns=["photo"])["photo"].to_pylist()))
    except (OSError, ValueError, KeyError) as error:
        raise CampusError(f"{path}: holds no rows of this program: choose another --out") from error


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingDependency("pyarrow", "requirements.txt") from error
    return pyarrow, pyarrow.parquet
