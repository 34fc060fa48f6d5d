"""A dataset on disk: a folder with `gt.csv` and `images/`, in the original project's format and order of
columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from core.campus.frame import LocalFrame
from core.campus.seen import is_seen, told_digest
from core.errors import DatasetError
from core.io.labels import read_labels
from core.program import typed

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["BASE_COLUMNS", "NUMBER_COLUMNS", "Dataset", "read_labels", "truth"]

# The original's columns, in its order: other tools read them by place.
BASE_COLUMNS = ("image_name", "lat", "lon", "utm_x", "utm_y", "is_night", "label")
NUMBER_COLUMNS = ("utm_x", "utm_y", "heading_deg", "error_m")
_TRUE, _FALSE = ("1", "1.0", "true", "yes", "t", "y"), ("0", "0.0", "false", "no", "f", "n", "")


@dataclass(frozen=True, eq=False)
class Dataset:
    """Photos with positions: `table` has one row for each photo, the columns of BASE_COLUMNS first.

    `lat`, `lon`, `utm_x`, `utm_y`, `heading_deg`, `error_m` are float64 (NaN where unknown), `is_night` is
    bool, every other column is text ("" where unknown). `label` is the original's k-means zone, there for its
    tools: nothing here reads it, since training fits its zones on its own training photos.
    """

    root: Path
    table: pd.DataFrame
    images: Path

    @classmethod
    def load(cls, root: Path | str) -> Dataset:
        """Read and check a dataset folder; raises DatasetError, naming the row, where something is missing or
        bad.
        """
        root = Path(root)
        if not root.is_dir():
            raise DatasetError("no such dataset folder", path=root, remedy=f"make one with {typed('train')} ingest")
        if not (root / "gt.csv").is_file():
            raise DatasetError(
                "has no gt.csv, so it is not a dataset", path=root, remedy=f"make one with {typed('train')} ingest"
            )
        return cls.of(root / "gt.csv", root / "images")

    @classmethod
    def of(cls, gt: Path, images: Path) -> Dataset:
        """The same from a gt.csv and a folder of photos that lie apart; the dataset's root is gt.csv's folder."""
        table = read_labels(gt)
        _check_images(gt, images, table["image_name"].tolist())
        return cls(gt.parent, _typed(gt, table), images)

    def __len__(self) -> int:
        return len(self.table)

    @property
    def names(self) -> list[str]:
        """(N) the image names, as they stand in gt.csv."""
        return [str(name) for name in self.table["image_name"]]

    @property
    def image_paths(self) -> list[Path]:
        """(N) the path of each image."""
        return [self.images / name for name in self.names]

    @property
    def latlon(self) -> NDArray[np.float64]:
        """(N, 2) float64 degrees (lat, lon)."""
        return self.table[["lat", "lon"]].to_numpy(np.float64)

    @property
    def is_night(self) -> NDArray[np.bool_]:
        """(N,) whether each photo was taken in the dark; False where unknown."""
        return self.table["is_night"].to_numpy(np.bool_)

    def has(self, column: str) -> bool:
        """Whether there is a column of this name that is not empty throughout."""
        if column not in self.table.columns:
            return False
        values = self.table[column]
        return bool(values.notna().any() and (values.astype(str).str.strip() != "").any())

    def column(self, name: str) -> list[str]:
        """(N) a column as text; raises DatasetError, naming the columns there are, where it is missing."""
        if name not in self.table.columns:
            found = ", ".join(map(str, self.table.columns))
            raise DatasetError(f"no column {name}; found {found}", path=self.root / "gt.csv")
        return [str(value) for value in self.table[name]]

    def source_digests(self) -> list[int | None]:
        """(N) the digest (`core.campus.seen`) of the file that each image was made of, None where it is not told."""
        if not self.has("source_sha256"):
            return [None] * len(self)
        return [told_digest(text) for text in self.column("source_sha256")]

    def known(self, rows: NDArray[np.int64], seen: frozenset[int]) -> NDArray[np.bool_]:
        """(N,) whether `seen` holds the digest (`core.campus.seen`) of each photo in `rows` (N,), or of its original.

        Raises OSError where a photo cannot be read.
        """
        sources, paths = self.source_digests(), self.image_paths
        return np.array([is_seen(paths[row], sources[row], seen) for row in rows], np.bool_)

    def numbers(self, name: str) -> NDArray[np.float64]:
        """(N,) float64: a column as numbers, NaN where it is empty or no number, or is missing."""
        import pandas as pd

        if name not in self.table.columns:
            return np.full(len(self), np.nan)
        return pd.to_numeric(self.table[name], errors="coerce").to_numpy(np.float64)


def truth(value: object) -> bool | None:
    """A yes or no as CSV files write it (1, true, yes; 0, false, no, empty); None for anything else."""
    text = str(value).strip().lower()
    return True if text in _TRUE else False if text in _FALSE else None


def _check_images(gt: Path, images: Path, names: list[str]) -> None:
    if not images.is_dir():
        raise DatasetError("has no images folder", path=gt.parent, remedy=f"put the photos of gt.csv into {images}")
    seen: set[str] = set()
    for row, name in enumerate(names, start=2):
        if not name:
            raise DatasetError(f"row {row} has no image_name", path=gt, remedy="add it or remove the row")
        path = PurePosixPath(name.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in name or "\0" in name:
            raise DatasetError(
                f"row {row}: {name!r} points outside the images folder", path=gt, remedy="use plain file names"
            )
        if name in seen:
            raise DatasetError(
                f"row {row}: {name} stands in an earlier row as well", path=gt, remedy="remove one of them"
            )
        seen.add(name)
    missing = [name for name in names if not (images / name).is_file()]
    if missing:
        raise DatasetError(
            f"{len(missing)} of {len(names)} photos of gt.csv are missing, the first is {missing[0]}",
            path=images,
            remedy="copy them there or remove their rows",
        )


def _typed(gt: Path, table: pd.DataFrame) -> pd.DataFrame:
    """The table as `Dataset` promises it: base columns first, each of its type, UTM and night filled in."""
    import pandas as pd

    columns: dict[str, Any] = {name: table[name] for name in ("image_name", "lat", "lon")}
    for name in NUMBER_COLUMNS:
        if name in table:
            columns[name] = pd.to_numeric(table[name], errors="coerce").astype("float64")
    if any(name not in columns or columns[name].isna().any() for name in ("utm_x", "utm_y")):
        frame = LocalFrame.of_points(table["lat"], table["lon"])
        utm = frame.utm(frame.to_local(table["lat"], table["lon"]))
        columns["utm_x"], columns["utm_y"] = utm[:, 0], utm[:, 1]
    columns["is_night"] = _night(gt, table)
    columns["label"] = table["label"] if "label" in table else pd.Series("", index=table.index, dtype=object)
    extra = {str(name): table[name] for name in table.columns if name not in columns}
    ordered = {name: columns.pop(name) for name in BASE_COLUMNS}
    return pd.DataFrame({**ordered, **columns, **extra})


def _night(gt: Path, table: pd.DataFrame) -> NDArray[np.bool_]:
    if "is_night" not in table:
        return np.zeros(len(table), np.bool_)
    night = [truth(value) for value in table["is_night"]]
    if None in night:
        row = night.index(None)
        value = table["is_night"].iloc[row]
        raise DatasetError(f"row {row + 2}: is_night is {value!r}", path=gt, remedy="write 1 or 0")
    return np.array(night, np.bool_)
