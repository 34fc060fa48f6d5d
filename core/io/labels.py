"""CSV files of photo positions, as people and spreadsheets write them."""

from __future__ import annotations

import csv
import io
import math
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
MAX_CSV_BYTES = 256 * 2**20
_SEPARATORS = ",;\t|"


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
    rows = _rows(path)
    header = [name.strip() for name in rows[0]]
    names = _column_names(path, header)
    for number, row in enumerate(rows[1:], start=2):
        if len(row) > len(header) and any(cell.strip() for cell in row[len(header) :]):
            raise DatasetError(
                f"row {number} has {len(row)} values for {len(header)} columns",
                path=path,
                remedy="put text with commas in quotes",
            )
    body = [[as_it_was(cell.strip()) for cell in row[: len(header)]] for row in rows[1:]]
    body = [row + [""] * (len(header) - len(row)) for row in body]
    if not body:
        raise DatasetError("has no rows below its column names", path=path, remedy="add one row for each photo")
    table = pd.DataFrame(body, columns=names, dtype=object)
    lat, lon = ([_degrees(cell) for cell in table[name]] for name in ("lat", "lon"))
    for index, (lat_deg, lon_deg) in enumerate(zip(lat, lon, strict=True)):
        if abs(lat_deg) <= 90 and abs(lon_deg) <= 180:  # false for NaN
            continue
        if strict:
            name, *given = (in_a_line(str(table[column].iloc[index])) for column in ("image_name", "lat", "lon"))
            raise DatasetError(
                f"row {index + 2} ({name or 'no name'}): lat {given[0]!r}, lon {given[1]!r} is not a position in "
                "degrees",
                path=path,
                remedy="mend or remove the row",
            )
        lat[index] = lon[index] = math.nan
    table["lat"], table["lon"] = pd.Series(lat, dtype="float64"), pd.Series(lon, dtype="float64")
    return table


def _rows(path: Path) -> list[list[str]]:
    """The rows of the file that hold anything; the first is the header."""
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
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True))
    except csv.Error as error:
        raise DatasetError(
            f"is not a CSV file ({reason_of(error)})", path=path, remedy="save the table as CSV"
        ) from None
    rows = [row for row in rows if any(cell.strip() for cell in row)]
    if not rows:
        raise DatasetError("is empty", path=path, remedy="it needs the columns image_name, lat, lon")
    return rows


def _decode(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def _column_names(path: Path, header: list[str]) -> list[str]:
    """Our name for each column that we know, the given name for the others."""
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
