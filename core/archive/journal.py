"""Rows in a file that a kill cannot spoil: whole lines only, and what is there need not be done again.

JSON lines and CSV are appended to. Parquet has no such lines, so its rows wait in NAME.parquet.rows.jsonl and become
the table once all are there; a table that is resumed becomes such rows again first.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Literal

from core.archive.rows import COLUMNS, Row, schema
from core.errors import CampusError, MissingDependency
from core.io.csv_cells import as_it_was, harmless
from core.io.files import check_replaceable, try_lock, written_atomically
from core.photo.names import as_text

FORMATS = (".jsonl", ".csv", ".parquet")


class Journal:
    """A file of rows, opened to be written or resumed; use it in a `with` block.

    Raises CampusError where `out` is of no known format, exists without `resume`, holds something else, or is being
    written by another run.
    """

    def __init__(self, out: Path, resume: bool = False) -> None:
        if out.suffix not in FORMATS:
            raise CampusError("is of no known format", path=out, remedy=f"call it NAME{', NAME'.join(FORMATS)}")
        self.out = out
        self._lines = out.with_name(f"{out.name}.rows.jsonl") if out.suffix == ".parquet" else out
        for file in dict.fromkeys((out, self._lines)):
            check_replaceable(file, resume, "table of fixes", None)
        self._done: frozenset[str] = frozenset()
        self._file: BinaryIO | None = None

    def __enter__(self) -> Journal:
        if self._lines is not self.out and self.out.exists() and not self._lines.exists():
            self._done = _parquet_photos(self.out)
            return self
        self._file = self._opened("a+b")
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
        return _one_line(as_text(photo)) in self._done

    def add(self, row: Row) -> None:
        """Write a row; once this returns, a kill does not lose it, and a power cut at most what the disk still held."""
        if self._file is None:
            self._file = self._lines_of_table()
        plain = row.as_dict()
        if self._lines.suffix == ".csv":
            line = _csv_line([harmless(value) if isinstance(value, str) else value for value in plain.values()])
        else:
            line = (json.dumps(plain, ensure_ascii=False) + "\n").encode()
        self._file.write(line)
        self._file.flush()

    def finish(self) -> None:
        """Make the table of a Parquet journal, whole or not at all; nothing to do for the others."""
        if self._lines is self.out or self._file is None:
            return
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

    def _lines_of_table(self) -> BinaryIO:
        """The rows of a finished Parquet table as lines again, to add more to."""
        _, parquet = _pyarrow()
        if self._lines.exists():
            raise _in_use(self.out)  # it was not there when this run began
        with written_atomically(self._lines) as temporary, temporary.open("w", encoding="utf-8") as stream:
            for row in parquet.read_table(self.out).to_pylist():
                stream.write(json.dumps(row, ensure_ascii=False) + "\n")
        return self._opened("ab")

    def _opened(self, mode: Literal["ab", "a+b"]) -> BinaryIO:
        """The file of lines, held by this run until it is closed."""
        file = self._lines.open(mode)
        if not try_lock(file.fileno()):
            file.close()
            raise _in_use(self.out)
        return file

    def _whole_lines(self, file: BinaryIO) -> list[str]:
        """The photos that have a whole row; what a killed writer left of another is cut off."""
        file.seek(0)
        data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        read: Callable[[str], list[str]] = _csv_photos if self._lines.suffix == ".csv" else _json_photos
        try:
            photos = read(whole.decode("utf-8"))
        except (ValueError, KeyError, TypeError, csv.Error) as error:
            raise _no_rows(self.out) from error
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
    return [as_it_was(row[0]) for row in rows[1:] if row]  # an editor may leave an empty line


def _one_line(text: str) -> str:
    """A name without line breaks: within one, a cut row would look whole."""
    return " ".join(text.splitlines())


def _csv_line(cells: Any) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerow(_one_line(cell) if isinstance(cell, str) else cell for cell in cells)
    return text.getvalue().encode()


def _in_use(path: Path) -> CampusError:
    return CampusError("another run writes it", path=path, remedy="wait for its end, or choose another --out")


def _no_rows(path: Path) -> CampusError:
    return CampusError("holds no rows of this program", path=path, remedy="choose another file")


def _parquet_photos(path: Path) -> frozenset[str]:
    _, parquet = _pyarrow()
    try:
        return frozenset(map(_one_line, parquet.read_table(path, columns=["photo"])["photo"].to_pylist()))
    except (OSError, ValueError, KeyError) as error:
        raise _no_rows(path) from error


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingDependency("pyarrow", "requirements.txt") from error
    return pyarrow, pyarrow.parquet
