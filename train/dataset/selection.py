"""From photos' records to the rows of gt.csv: positions, duplicates, outliers, columns."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import numpy as np

from core.campus.frame import LocalFrame
from core.photo.capture import as_utc, parse_iso_time, parse_local_time, utc_by_place
from train.dataset.columns import image_names, is_night, sessions
from train.dataset.dataset import BASE_COLUMNS, truth
from train.dataset.ingest_report import Note
from train.dataset.intake import Record
from train.dataset.outliers import Outlier, find_outliers
from train.dataset.zoning import original_labels

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

# Why photos are left out, as the report words it.
UNREADABLE = "unreadable"
NO_GPS = "no GPS position in the photo"
NOT_IN_CSV = "not in the CSV"
MISSING_FILE = "in the CSV, but there is no such photo"
AMBIGUOUS = "the name in the CSV fits several photos"
LABELLED_TWICE = "the CSV has several different positions for it"
NO_CSV_POSITION = "no usable position in the CSV"
DUPLICATE = "the same photo once more"
OUTSIDE_UTM = "nearer to a pole than UTM reaches"

_UTM_LAT_DEG = (-80.0, 84.0)
_COLUMNS = (
    *BASE_COLUMNS, "session", "device", "heading_deg", "error_m", "time_utc", "source", "source_sha256",
    "outlier",
)  # fmt: skip


@dataclass(frozen=True)
class Candidate:
    """A readable photo with a position; `given` is its row of the label CSV, {} without one."""

    record: Record
    lat_deg: float
    lon_deg: float
    given: Mapping[str, str] = field(default_factory=dict)

    @property
    def source(self) -> str:
        """Its path within the photo folder."""
        return self.record.source

    def text(self, column: str) -> str:
        """What the CSV says, "" where it says nothing."""
        return self.given.get(column, "")

    def number(self, column: str, recorded: float | None) -> float:
        """A number of the CSV's, else what the camera recorded, else NaN."""
        try:
            return float(self.text(column))
        except ValueError:
            return math.nan if recorded is None else recorded

    @property
    def device(self) -> str:
        """The camera, "" where unknown."""
        return self.text("device") or self.record.device or ""

    @property
    def time_utc(self) -> datetime | None:
        """When it was taken: by the CSV's time_utc or dated local_time, else by the camera."""
        if (time := parse_iso_time(self.text("time_utc"))) is not None:
            return as_utc(time).astimezone(timezone.utc)
        local = parse_local_time(self.text("local_time"))
        capture = self.record.capture
        if local is None and capture.time_utc is not None:
            return capture.time_utc
        local = local or capture.local_time
        return utc_by_place(local, self.lon_deg) if local is not None else None

    @property
    def night(self) -> bool:
        """Whether it was dark: as the CSV says, else by sun or clock."""
        said = truth(self.text("is_night")) if self.text("is_night") else None
        if said is not None:
            return said
        return is_night(self.lat_deg, self.lon_deg, self.time_utc, self.text("local_time"))


def match_labels(sources: Sequence[str], table: pd.DataFrame) -> tuple[dict[str, int], list[Note]]:
    """Which row of the label table belongs to each photo, and notes on the rows and photos that found no
    partner.

    By the whole path, else by the file name, else by the name without regard to case, else without its ending
    (a CSV often names the JPEG made from a HEIC); a name that fits several photos is left out, never guessed.
    """

    def spellings(path: str) -> list[str]:
        pure = PurePosixPath(path.replace("\\", "/"))
        return [str(pure), "/" + pure.name, "//" + pure.name.casefold(), "///" + pure.stem.casefold()]

    by_name: dict[str, list[str]] = defaultdict(list)
    for source in sources:
        for spelling in spellings(source):
            by_name[spelling].append(source)
    rows: dict[str, list[int]] = defaultdict(list)
    named: set[str] = set()
    notes = []
    for row, name in enumerate(table["image_name"]):
        fits = next((by_name[s] for s in spellings(str(name)) if name and s in by_name), [])
        named.update(fits)
        if len(fits) == 1:
            rows[fits[0]].append(row)
        else:
            several = ", ".join(map(shown, fits[:3]))
            reason = AMBIGUOUS if fits else MISSING_FILE
            notes.append(Note(shown(str(name)) or f"row {row + 2}", reason, several))
    matched = {}
    for source in sources:
        places = {(table["lat"].iloc[row], table["lon"].iloc[row]) for row in rows.get(source, ())}
        if len(places) > 1:
            notes.append(Note(shown(source), LABELLED_TWICE, f"{len(places)} rows of the CSV disagree"))
        elif places:
            matched[source] = rows[source][0]
        elif source not in named:
            notes.append(Note(shown(source), NOT_IN_CSV))
    return matched, notes


def select(
    records: Iterable[Record], labels: pd.DataFrame | None, matched: Mapping[str, int]
) -> tuple[list[Candidate], list[Note]]:
    """The records that can be used, in order of their paths, and notes on those that cannot."""
    candidates: list[Candidate] = []
    notes = []
    first_with: dict[str, str] = {}
    rows = [] if labels is None else labels.to_dict("records")
    for record in sorted(records, key=lambda record: record.source):
        name = shown(record.source)
        given: dict[str, str] = {}
        lat, lon = record.lat_deg, record.lon_deg
        if labels is not None:
            row = rows[matched[record.source]]
            lat, lon = float(row["lat"]), float(row["lon"])
            given = {str(column): str(value) for column, value in row.items()}
        if record.problem is not None:
            notes.append(Note(name, UNREADABLE, record.problem))
        elif lat is None or lon is None:
            notes.append(Note(name, NO_GPS))
        elif math.isnan(lat) or math.isnan(lon):
            notes.append(Note(name, NO_CSV_POSITION))
        elif not _UTM_LAT_DEG[0] <= lat <= _UTM_LAT_DEG[1]:
            notes.append(Note(name, OUTSIDE_UTM, f"latitude {lat:.5f}"))
        elif record.sha256 in first_with:
            notes.append(Note(name, DUPLICATE, f"the same bytes as {shown(first_with[record.sha256])}"))
        else:
            first_with[record.sha256] = record.source
            candidates.append(Candidate(record, lat, lon, given))
    return candidates, notes


def positions(candidates: Sequence[Candidate]) -> NDArray[np.float64]:
    """(N, 2) degrees."""
    return np.array([(c.lat_deg, c.lon_deg) for c in candidates], np.float64).reshape(-1, 2)


def session_names(candidates: Sequence[Candidate], folder: str) -> list[str]:
    """(N) the session of each: as the CSV says, else by subfolder or walk, else by contributor, else ""."""
    derived = sessions(
        [c.source for c in candidates],
        [c.device for c in candidates],
        [c.time_utc for c in candidates],
        folder,
    )
    return [
        c.text("session") or shown(name) or c.text("contributor") for c, name in zip(candidates, derived, strict=True)
    ]


def judge(candidates: Sequence[Candidate], session: Sequence[str]) -> list[Outlier]:
    """Which candidates' positions look wrong."""
    times = [c.time_utc for c in candidates]
    return find_outliers(
        positions(candidates),
        time_s=[time.timestamp() if time else math.nan for time in times],
        sequences=session,
        contributors=[c.text("contributor") for c in candidates],
        error_m=[c.number("error_m", c.record.error_m) for c in candidates],
    )


def build_table(candidates: Sequence[Candidate], session: Sequence[str], outlier: Sequence[str]) -> pd.DataFrame:
    """The rows of gt.csv, all as text: the original's columns, ours, then every other column of the label
    CSV.
    """
    import pandas as pd

    latlon = positions(candidates)
    frame = LocalFrame.of_points(latlon[:, 0], latlon[:, 1])
    local_m = frame.to_local(latlon[:, 0], latlon[:, 1])
    utm = frame.utm(local_m)
    times = [c.time_utc for c in candidates]
    columns: dict[str, list[str]] = {
        "image_name": image_names([c.source for c in candidates]),
        "lat": [f"{c.lat_deg:.8f}" for c in candidates],  # 1e-8 degree is a millimetre
        "lon": [f"{c.lon_deg:.8f}" for c in candidates],
        "utm_x": [f"{x:.3f}" for x in utm[:, 0]],
        "utm_y": [f"{y:.3f}" for y in utm[:, 1]],
        "is_night": [str(int(c.night)) for c in candidates],
        "label": [str(zone) for zone in original_labels(local_m)],
        "session": list(session),
        "device": [c.device for c in candidates],
        "heading_deg": [_number(c.number("heading_deg", c.record.heading_deg)) for c in candidates],
        "error_m": [_number(c.number("error_m", c.record.error_m)) for c in candidates],
        "time_utc": [time.isoformat(timespec="seconds") if time else "" for time in times],
        "source": [shown(c.source) for c in candidates],
        "source_sha256": [c.record.sha256 for c in candidates],
        "outlier": list(outlier),
    }
    extra = [name for name in candidates[0].given if name not in _COLUMNS]
    return pd.DataFrame(columns | {name: [c.text(name) for c in candidates] for name in extra})


def shown(text: str) -> str:
    """A path as printable text: bytes that are not UTF-8 are spelled out."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.2f}".rstrip("0").rstrip(".")
