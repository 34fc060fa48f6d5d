"""CSV files of photo positions, as people and spreadsheets write them."""

from __future__ import annotations

import csv
import io
import math
import re
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import DatasetError, in_a_line, reason_of
from core.io.csv_cells import as_it_was
from core.io.files import read_regular

if TYPE_CHECKING:
    import pandas as pd

# Names that are read as one of ours, compared without case, spaces and underscores.
ALIASES = {
    "image_name": ("imagename", "filename", "image", "file", "photo", "name"),
    "lat": ("lat", "latitude", "latdeg"),
    "lon": ("lon", "lng", "long", "longitude", "londeg"),
}
# Other columns of ours, which keep their meaning whatever their case.
OWN_COLUMNS = (
    "utm_x", "utm_y", "is_night", "label", "session", "device", "contributor", "heading_deg", "error_m",
    "time_utc", "local_time", "source", "outlier",
)  # fmt: skip
MAX_CSV_BYTES = 64 * 2**20  # a million photos take about 50
MAX_COLUMNS = 256
MAX_CELLS = 20_000_000
MAX_KNOWN = 10_000
_SEPARATORS = ",;\t|"
# Of cp1255, in whose place cp1252 has accented letters: these stand alone, or in a word of plain ones.
_HEBREW_WORDS = re.compile(rb"(?<![A-Za-z\x80-\xff])[\xe0-\xfa]{2,}(?![A-Za-z\x80-\xff])")
_LETTERS = re.compile(rb"[\xc0-\xff]")


def read_labels(path: Path | str, *, strict: bool = True) -> pd.DataFrame:
    """Read a CSV of photo positions: columns `image_name` (text), `lat`, `lon` (float64 degrees), the others
    as text.

    Column names may be of any case, `Latitude, Longitude` and `filename` are understood; a byte-order mark,
    commas, semicolons or tabs between columns, decimal commas between semicolons, and stray white space are
    tolerated. With `strict`, a row whose coordinates are not finite degrees in range raises DatasetError,
    which names it; without, its `lat` and `lon` are NaN. Raises DatasetError where the file or one of the
    three columns is missing.
    """
    import pandas as pd

    path = Path(path)
    rows = csv_rows(path)
    header = [name.strip() for name in next(rows)]
    names = _column_names(path, header)
    columns: dict[str, list[str] | array[float]] = {
        name: array("d") if name in ("lat", "lon") else [] for name in names
    }
    known: dict[str, str] = {}  # one text for all cells that say the same, as sessions and devices do
    for number, row in enumerate(rows, start=2):
        _check_row(path, number, row, len(header))
        if number * len(header) > MAX_CELLS:
            raise DatasetError(f"has more than {MAX_CELLS} cells", path=path, remedy="split it")
        cells = dict(zip(names, (as_it_was(cell.strip()) for cell in row), strict=False))
        position = _position(path, number, cells) if strict else _position_or_nan(cells)
        for name, column in columns.items():
            if isinstance(column, list):
                cell = cells.get(name, "")
                column.append(known.setdefault(cell, cell) if len(known) < MAX_KNOWN else known.get(cell, cell))
            else:
                column.append(position[name == "lon"])
    if not columns["lat"]:
        raise DatasetError("has no rows below its column names", path=path, remedy="add one row for each photo")
    return pd.DataFrame(
        {
            name: pd.Series(column, dtype=object if isinstance(column, list) else "float64")
            for name, column in columns.items()
        }
    )


def _check_row(path: Path, number: int, row: list[str], columns: int) -> None:
    if len(row) > columns and any(cell.strip() for cell in row[columns:]):
        raise DatasetError(
            f"row {number} has {len(row)} values for {columns} columns",
            path=path,
            remedy="put text with commas in quotes",
        )


def _position_or_nan(cells: dict[str, str]) -> tuple[float, float]:
    """(lat, lon) in degrees, both NaN where they are no position."""
    lat_deg, lon_deg = (_degrees(cells.get(name, "")) for name in ("lat", "lon"))
    return (lat_deg, lon_deg) if abs(lat_deg) <= 90 and abs(lon_deg) <= 180 else (math.nan, math.nan)


def _position(path: Path, number: int, cells: dict[str, str]) -> tuple[float, float]:
    """(lat, lon) in degrees. Raises DatasetError naming the row where they are no position."""
    position = _position_or_nan(cells)
    if math.isnan(position[0]):
        name, *given = (in_a_line(cells.get(column, "")) for column in ("image_name", "lat", "lon"))
        raise DatasetError(
            f"row {number} ({name or 'no name'}): lat {given[0]!r}, lon {given[1]!r} is not a position in degrees",
            path=path,
            remedy="mend or remove the row",
        )
    return position


def csv_rows(path: Path) -> Iterator[list[str]]:
    """The rows of a CSV that hold anything, one at a time; the first is the header. Raises DatasetError.

    It may be of any common encoding and separator, and is bounded in bytes and columns.
    """
    try:
        data = read_regular(path, MAX_CSV_BYTES + 1)
    except FileNotFoundError:
        raise DatasetError("no such file", path=path, remedy="check the path of the CSV") from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise DatasetError(f"cannot be read ({reason})", path=path, remedy="give the path of a CSV file") from None
    if len(data) > MAX_CSV_BYTES:
        raise DatasetError(f"larger than {MAX_CSV_BYTES // 2**20} MB", path=path, remedy="split it")
    text = _decode(data).lstrip("\ufeff")
    if "\0" in text:
        raise DatasetError("is not a text file", path=path, remedy="save the table as CSV")
    header = text.lstrip().split("\n", 1)[0]
    separator = max(_SEPARATORS, key=header.count)
    lines = _BoundedLines(text, separator)
    del data, text
    empty = True
    try:
        for row in csv.reader(lines, delimiter=separator, skipinitialspace=True):
            lines.separators = 0
            if any(cell.strip() for cell in row):
                empty = False
                yield row
    except csv.Error as error:
        raise DatasetError(
            f"is not a CSV file ({reason_of(error)})", path=path, remedy="save the table as CSV"
        ) from None
    if empty:
        raise DatasetError("is empty", path=path, remedy="it needs column names, image_name among them, and rows")


class _BoundedLines:
    """The lines of a text for csv.reader, which would make a list of any length of one row."""

    def __init__(self, text: str, separator: str) -> None:
        self.separators = 0  # in the row so far
        self._lines, self._separator = io.StringIO(text, newline=""), separator

    def __iter__(self) -> Iterator[str]:
        for line in self._lines:
            self.separators += line.count(self._separator)
            if self.separators > MAX_COLUMNS * 4:  # commas within quoted text count too
                raise csv.Error(f"a row of more than {MAX_COLUMNS} columns")
            yield line


def _decode(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:  # Excel's "CSV", in the code page of its Windows
        hebrew = sum(map(len, _HEBREW_WORDS.findall(data)))
        return data.decode("cp1255" if 2 * hebrew > len(_LETTERS.findall(data)) else "cp1252", "replace")


def _column_names(path: Path, header: list[str]) -> list[str]:
    """Our name for each column that we know, the given name for the others."""
    if len(header) > MAX_COLUMNS:
        raise DatasetError(
            f"has {len(header)} columns, more than {MAX_COLUMNS}", path=path, remedy="keep those that are needed"
        )
    plain = [name.lower().replace(" ", "").replace("_", "") for name in header]
    names = list(header)
    for own, spellings in ALIASES.items():
        # The first spelling that occurs wins, so `image_name` beats a column that is called `name`.
        found = next((spelling for spelling in spellings if spelling in plain), None)
        if found is None:
            wanted = "image_name, lat and lon (or Latitude and Longitude)"
            raise DatasetError(
                f"no column {own}; found {in_a_line(', '.join(header))}", path=path, remedy=f"it needs {wanted}"
            )
        names[plain.index(found)] = own
    for own in OWN_COLUMNS:
        if own not in names and own.replace("_", "") in plain:
            names[plain.index(own.replace("_", ""))] = own
    doubled = next((name for name in names if names.count(name) > 1), None)
    if doubled is not None:
        raise DatasetError(
            f"two columns are called {in_a_line(doubled) or 'nothing'}", path=path, remedy="rename or remove one"
        )
    return names


def _degrees(cell: str) -> float:
    """A coordinate as a number; NaN for anything else. A comma can only be a decimal comma here."""
    try:
        return float(cell.replace(",", "."))
    except ValueError:
        return math.nan
