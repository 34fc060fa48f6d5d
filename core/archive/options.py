"""The options of a command line that locates an archive, and what they do."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from core.archive.journal import FORMATS, Journal
from core.archive.photos import Shard, archive_photos
from core.archive.rows import ArchiveTally
from core.archive.run import locate_archive
from core.campus.bundle import Bundle
from core.errors import CampusError, OccupiedError

SOME_FAILED = 1  # the exit code where rows with reasons are among those written


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options that need `--out`."""
    group = parser.add_argument_group("many photos", "files, folders and patterns, to rows in a file")
    group.add_argument("--out", metavar="FILE", help=f"write a row a photo: {', '.join(FORMATS)}")
    group.add_argument("--resume", action="store_true", help="go on with FILE: what it holds is not located again")
    group.add_argument("--jobs", type=int, default=1, metavar="N", help="processes that locate (default: 1)")
    group.add_argument("--shard", type=Shard.parse, metavar="I/K", help="only the I-th of K parts")
    group.add_argument(
        "--ray",
        nargs="?",
        const="",
        metavar="ADDRESS",
        help="locate on a Ray cluster (without ADDRESS: on this machine); FILE.parquet becomes a folder of parts",
    )


def given(args: argparse.Namespace) -> bool:
    """Whether an archive is asked for. Raises CampusError where an option lacks the `--out` that it needs."""
    if args.out:
        return True
    if args.resume or args.shard or args.jobs != 1 or args.ray is not None:
        raise CampusError("--jobs, --shard, --resume and --ray need --out FILE, which takes the rows")
    return False


def locate(places: Sequence[str], bundle: Path, args: argparse.Namespace) -> int:
    """Locate the archive as the options say; 0, or 1 where photos could not be located. Raises CampusError."""
    if args.jobs < 1:
        raise CampusError("must be at least 1", path=f"--jobs {args.jobs}")
    Bundle.load(bundle)  # where it is none, no table of its is left in the way of the next try
    if args.ray is not None:
        return _on_cluster(places, bundle, args)
    for url in (place for place in places if "://" in place):
        raise CampusError("is a URL", path=url, remedy="add --ray, which reads and writes at URLs")
    photos = archive_photos(places, args.shard)
    try:
        opened = Journal(Path(args.out), args.resume)
    except OccupiedError as error:
        remedy = f"{'go on with it by --resume, or ' if error.replaceable else ''}choose another --out"
        raise CampusError(error.reason, path=error.path, remedy=remedy) from error
    with opened as journal:
        tally = locate_archive(photos, bundle, journal, args.jobs)
    return _told(args.out, tally)


def _on_cluster(places: Sequence[str], bundle: Path, args: argparse.Namespace) -> int:
    if args.jobs != 1:
        raise CampusError("is of one machine's processes", path=f"--jobs {args.jobs}", remedy="leave it out with --ray")
    from core.archive.ray_cluster import locate_on_cluster

    if not str(args.out).endswith(".parquet"):
        raise CampusError("--ray writes parts of Parquet", remedy="give --out NAME.parquet")
    tally = locate_on_cluster(
        places, bundle.resolve(), str(args.out), args.ray or None, shard=args.shard, resume=args.resume
    )
    return _told(args.out, tally)


def _told(out: str, tally: ArchiveTally) -> int:
    before = f", {tally.before} were there already" if tally.before else ""
    print(f"{out}: {tally.located} photos located, {tally.failed} could not be{before}", file=sys.stderr)
    return SOME_FAILED if tally.failed else 0
