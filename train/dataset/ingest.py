"""Photos with positions -> a dataset: `python -m train ingest PHOTOS [--labels CSV] --out DATASET`.

The photos are made ready in `OUT.partial`, which a run that was stopped leaves behind and the next one
continues; the dataset is put together beside OUT and takes its place in one step.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from core.archive.photos import Shard
from core.errors import DatasetError
from core.io.csv_cells import harmless
from core.io.files import check_replaceable, write_atomically, written_atomically
from core.photo.names import is_photo
from train.dataset.dataset import Dataset, read_labels
from train.dataset.expectation import expect
from train.dataset.ingest_report import IngestReport, Note
from train.dataset.intake import PhotoTask, Record, image_file, take_in_all
from train.dataset.outliers import Outlier, shared_positions, sites
from train.dataset.selection import (
    Candidate,
    build_table,
    judge,
    match_labels,
    positions,
    select,
    session_names,
    shown,
)

if TYPE_CHECKING:
    import pandas as pd

WORK_PARTS = ("photos", "records")  # folders of the work folder
DEFAULT_SIZE = 512  # the longest side of a dataset's images: twice what the networks see


@dataclass(frozen=True)
class _Plan:
    """What one import was asked to do."""

    photos: Path
    out: Path
    labels: Path | None
    size: int
    keep_wrong: bool

    @property
    def work(self) -> Path:
        return work_folder(self.out)

    @property
    def settings(self) -> str:
        """What makes two imports the same one."""
        paths = [os.path.abspath(self.photos), self.labels and os.path.abspath(self.labels)]
        return json.dumps([*paths, self.size, self.keep_wrong])


@dataclass(frozen=True)
class _Counts:
    """What was in the folder, and what of it was left out."""

    found: int
    others: int
    left_out: tuple[Note, ...]


def work_folder(out: Path) -> Path:
    """Where unfinished work on the dataset `out` lies."""
    return out.with_name(f"{out.name}.partial")


def clear_work(out: Path) -> None:
    """Remove the work folder of a dataset that is whole; what says so goes last, so that any kill is noticed."""
    work = work_folder(out)
    for part in WORK_PARTS:
        shutil.rmtree(work / part, ignore_errors=True)
    shutil.rmtree(work, ignore_errors=True)


def ingest(
    photos: Path,
    out: Path,
    labels: Path | None = None,
    *,
    force: bool = False,
    size: int = DEFAULT_SIZE,
    workers: int | None = None,
    keep_wrong: bool = False,
    progress: bool = False,
) -> IngestReport:
    """Make a dataset folder `out` (gt.csv, images/, report.json) from a folder of photos.

    Positions come from the photos' EXIF, or from the CSV `labels` (see `read_labels`); columns of the CSV win
    over EXIF. Photos whose position cannot be on the campus are left out unless `keep_wrong`. `size` is the
    longest side of the images in pixels, `workers` the number of processes (None: one for each usable core).
    `out` is never overwritten without `force`, and then only by a whole new dataset. Raises DatasetError, and OSError
    where the disk is full or may not be written; what was done so far is kept for the next run.
    """
    plan = _Plan(Path(photos), Path(os.path.abspath(out)), labels, size, keep_wrong)
    earlier = _pick_up(plan, force)
    if earlier is not None:
        return earlier
    _check(plan, force)
    sources, others = find_photos(plan.photos, skip=(plan.out, plan.work))
    table = None if labels is None else read_labels(labels, strict=False)
    matched, notes = ({}, []) if table is None else match_labels(sources, table)
    records = _take_in(plan, sources if table is None else sorted(matched), workers, progress)
    candidates, more = select(records, table, matched)
    notes += more
    if not candidates:
        shutil.rmtree(plan.work, ignore_errors=True)
        raise _nothing_usable(plan, notes)
    return _publish(plan, candidates, _Counts(len(sources), others, tuple(notes)))


def ingest_part(
    photos: Path,
    out: Path,
    shard: Shard,
    *,
    force: bool = False,
    size: int = DEFAULT_SIZE,
    workers: int | None = None,
    progress: bool = False,
) -> int:
    """Make ready the photos of one part, for an `ingest` of all that finds them done; how many they are.

    Machines that share the disk take a part each. Raises as `ingest` does.
    """
    plan = _Plan(Path(photos), Path(os.path.abspath(out)), None, size, False)
    _check(plan, force)
    sources, _ = find_photos(plan.photos, skip=(plan.out, plan.work))
    return len(_take_in(plan, [source for source in sources if shard.holds(source)], workers, progress))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `python -m train ingest`."""
    parser.add_argument(
        "photos", type=Path, metavar="PHOTOS", help="folder of photos; two subfolders or more are sessions"
    )
    parser.add_argument(
        "--labels",
        type=Path,
        metavar="CSV",
        help="positions: columns image_name, lat, lon, any others are kept (default: the photos' own GPS)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DATASET",
        help="dataset folder to make; after a kill the same command goes on with what is ready in DATASET.partial",
    )
    parser.add_argument("--force", action="store_true", help="replace DATASET once the new one is whole")
    parser.add_argument(
        "--size",
        type=int,
        default=DEFAULT_SIZE,
        help="longest side of the dataset's images in pixels (default: %(default)s)",
    )
    parser.add_argument(
        "--jobs", "--workers", dest="workers", type=int, metavar="N", help="processes (default: one for each core)"
    )
    parser.add_argument(
        "--shard",
        type=Shard.parse,
        metavar="I/K",
        help="only make ready the I-th of K parts, one a machine, on a shared disk; then run it once without",
    )
    parser.add_argument(
        "--keep-wrong",
        action="store_true",
        help="also take in photos whose position looks certainly wrong (default: leave them out, and say so)",
    )


def main(args: argparse.Namespace) -> int:
    """Run `python -m train ingest` and print its summary."""
    if args.shard is not None:
        count = ingest_part(
            args.photos,
            args.out,
            args.shard,
            force=args.force,
            size=args.size,
            workers=args.workers,
            progress=True,
        )
        print(f"{count} photos are ready in {work_folder(args.out)}; after all parts, run it without --shard")
        return 0
    report = ingest(
        args.photos,
        args.out,
        args.labels,
        force=args.force,
        size=args.size,
        workers=args.workers,
        keep_wrong=args.keep_wrong,
        progress=True,
    )
    print(report.summary())
    print("\n".join(expect(Dataset.load(args.out).latlon).lines()))
    print(f"dataset: {args.out} (gt.csv, images, report.json)")
    return 0


def _pick_up(plan: _Plan, force: bool) -> IngestReport | None:
    """The report of a killed run that had only its work folder left to remove; None where there is more to do."""
    out, done = plan.out, plan.work / "finished.json"
    if not done.is_file() or not (out / "report.json").is_file():
        with suppress(OSError):
            plan.work.rmdir()  # where it is empty, the run was killed before its very last step
        return None
    if done.read_text("utf-8") != _finished(plan, out):
        return None  # killed before the dataset was in its place: what lies there is an older one
    clear_work(out)
    return None if force else IngestReport.load(out / "report.json")


def _finished(plan: _Plan, dataset: Path) -> str:
    """What says that `dataset` is the one this import made."""
    made = hashlib.sha256((dataset / "gt.csv").read_bytes() + (dataset / "report.json").read_bytes())
    return f"{plan.settings}\n{made.hexdigest()}\n"


def _check(plan: _Plan, force: bool) -> None:
    """Refuse to write over anything that was not asked for, or over the input itself."""
    photos, out = plan.photos, plan.out
    if plan.size < 1:
        raise DatasetError(f"a longest side of {plan.size} pixels", remedy="an image has at least 1")
    if not photos.is_dir():
        problem = "is not a folder" if photos.exists() else "no such folder"
        raise DatasetError(problem, path=photos, remedy="give the folder that holds the photos")
    for what in (photos, plan.labels):
        if what is not None and Path(os.path.abspath(what)).is_relative_to(out):
            raise DatasetError(f"holds {what}, which would be lost", path=out, remedy="give another --out")
    check_replaceable(out, force, "dataset", "gt.csv")


def find_photos(photos: Path, skip: tuple[Path, ...] = ()) -> tuple[list[str], int]:
    """The photos' paths within the folder, sorted, and how many other files there are; none hidden.

    Raises DatasetError when there is no photo.
    """
    sources = []
    others = 0
    for folder, folders, files in os.walk(photos):
        folders[:] = [
            name
            for name in folders
            if not name.startswith((".", "__MACOSX")) and Path(os.path.abspath(folder), name) not in skip
        ]
        for name in files:
            path = Path(folder, name)
            if name.startswith("."):
                continue
            if is_photo(path):
                sources.append(path.relative_to(photos).as_posix())
            else:
                others += 1
    if not sources:
        raise DatasetError(
            "holds no photos (JPEG, PNG, WebP, HEIC)", path=photos, remedy="give the folder that they are in"
        )
    return sorted(sources), others


def _take_in(plan: _Plan, sources: list[str], workers: int | None, progress: bool) -> list[Record]:
    from tqdm import tqdm

    tasks = [PhotoTask(plan.photos, source, plan.work, plan.size) for source in sources]
    for folder in WORK_PARTS:
        (plan.work / folder).mkdir(parents=True, exist_ok=True)
    records = []
    with tqdm(total=len(tasks), unit="photo", desc="ingest", disable=not progress) as bar:
        for record in take_in_all(tasks, workers):
            if record.fatal:
                raise DatasetError(record.problem or "", path=shown(record.source))
            records.append(record)
            bar.update()
    return records


def _nothing_usable(plan: _Plan, notes: list[Note]) -> DatasetError:
    counts = Counter(note.reason for note in notes)
    why = "; ".join(f"{reason}: {count}" for reason, count in counts.most_common())
    remedy = "give positions with --labels CSV" if plan.labels is None else "compare the names in the CSV"
    return DatasetError(f"no photo can be used ({why})", path=plan.photos, remedy=remedy)


def _publish(plan: _Plan, candidates: list[Candidate], counts: _Counts) -> IngestReport:
    """Judge the positions, put the dataset together beside its place, and swap it in."""
    session = session_names(candidates, plan.photos.name)
    outliers = {outlier.row: outlier for outlier in judge(candidates, session)}
    wrong = [outlier for outlier in outliers.values() if outlier.certain]
    left = set() if plan.keep_wrong else {outlier.row for outlier in wrong}
    kept = [row for row in range(len(candidates)) if row not in left]
    chosen = [candidates[row] for row in kept]
    reasons = [outliers[row].reason if row in outliers else "" for row in kept]
    table = build_table(chosen, [session[row] for row in kept], reasons)
    latlon = positions(chosen)
    places = sites(latlon)
    report = IngestReport(
        found=counts.found,
        other_files=counts.others,
        taken_in=len(chosen),
        night=int((table["is_night"] == "1").sum()),
        sessions=len(set(table["session"]) - {""}),
        zones=len(set(table["label"])),
        size=plan.size,
        kept_wrong=plan.keep_wrong,
        left_out=counts.left_out,
        wrong=_notes(candidates, wrong, "wrong position"),
        doubtful=_notes(candidates, [s for s in outliers.values() if not s.certain], "doubtful position"),
        shared_positions=sum(map(len, shared_positions(latlon))),
        sites=tuple(map(len, places)) if len(places) > 1 else (),
    )
    with written_atomically(plan.out) as dataset:
        _assemble(dataset, plan, chosen, table, report)
        write_atomically(plan.work / "finished.json", _finished(plan, dataset).encode())
    clear_work(plan.out)
    return report


def _notes(candidates: list[Candidate], outliers: list[Outlier], reason: str) -> tuple[Note, ...]:
    return tuple(Note(shown(candidates[outlier.row].source), reason, outlier.reason) for outlier in outliers)


def _assemble(dataset: Path, plan: _Plan, chosen: list[Candidate], table: pd.DataFrame, report: IngestReport) -> None:
    """Make the whole dataset at `dataset`. Images are linked, not moved, so a killed run loses none."""
    (dataset / "images").mkdir(parents=True)
    for candidate, name in zip(chosen, table["image_name"], strict=True):
        made = image_file(plan.work, PhotoTask(plan.photos, candidate.source, plan.work, plan.size).key)
        place = dataset / "images" / str(name)
        try:
            os.link(made, place)
        except OSError:  # a file system without hard links
            shutil.copyfile(made, place)
    table.map(harmless).to_csv(dataset / "gt.csv", index=False, encoding="utf-8", lineterminator="\n")
    (dataset / "report.json").write_text(report.to_json(), "utf-8")
