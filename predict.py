"""Where was a photo taken? For scripts: `from predict import predict_gps`. For people: `python predict.py PHOTO…`."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from pathlib import Path
from statistics import fmean, median
from typing import TYPE_CHECKING

import numpy as np

from core.archive import options
from core.archive.photos import archive_photos
from core.archive.walks import check_track, walked, write_track
from core.campus.frame import distance_m
from core.campus.seen import is_seen, seen_photos, told_digest
from core.cli.campus import chosen_bundle
from core.cli.run import run_cli
from core.errors import CampusError, PhotoError
from core.io.csv_cells import harmless
from core.io.labels import read_labels
from core.locate import localizer as campus
from core.locate.fix import Fix
from core.locate.localizer import DEMO_BUNDLE, Localizer

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["main", "predict_gps"]


def predict_gps(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Where a photo was taken: (H, W, 3) uint8 RGB -> (2,) float32 [latitude, longitude] in degrees.

    Of the campus that $CAMPUS_BUNDLE names, else the demo campus; loaded once. Raises PhotoError for any other shape,
    dtype or type.
    """
    return campus.predict_gps(image, chosen_bundle())


TABLE_HEAD = f"{'photo':<28} {'latitude':>11} {'longitude':>12} {'68 %':>8} {'95 %':>8}  zone"


def table_row(photo: str, fix: Fix) -> str:
    """One line of the table that a person reads."""
    doubt = "  (does not look like this campus)" if fix.refused else ""
    if fix.on_campus is None:
        doubt = "  (too few photos to tell other places from this campus)"
    radii = "".join(
        "       – " if radius is None else f"{radius:>6.0f} m " for radius in (fix.radius68_m, fix.radius95_m)
    )
    return f"{photo:<28} {fix.lat:>11.6f} {fix.lon:>12.6f} {radii} {fix.zone.name} ({fix.zone.probability:.0%}){doubt}"


def locate(photos: list[Path], localizer: Localizer, as_json: bool) -> int:
    """Print a fix per photo; a photo that cannot be used is named on stderr and makes the exit code 2."""
    failed, head = False, not as_json
    for photo, fix in zip(photos, localizer.locate_many(photos), strict=True):
        if isinstance(fix, PhotoError):
            print(f"error: {fix}", file=sys.stderr)
            failed = True
            continue
        if head:
            print(TABLE_HEAD)
            head = False
        print(json.dumps({"photo": str(photo), **fix.as_dict()}) if as_json else table_row(photo.name, fix))
    return 2 if failed else 0


def check(labels: Path, images: Path, localizer: Localizer) -> int:
    """The course's submission check: the error of each labelled photo, and their mean."""
    table = read_labels(labels)
    errors: list[float] = []
    known, of_known = seen_photos(localizer.bundle), []
    missing = unreadable = 0
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["image_name", "lat", "lon", "error_m", "radius68_m"])
    there = [(images / name).exists() for name in table["image_name"]]
    for name in table["image_name"][~np.array(there, bool)]:
        missing += 1
        print(f"error: {images / name}: named in {labels} but not there", file=sys.stderr)
    found = table[there]
    photos = [images / name for name in found["image_name"]]
    # What `ingest` wrote anew is known by its original, as a refresh with the originals notes it.
    originals = map(str, found["source_sha256"]) if "source_sha256" in found else [""] * len(found)
    rows = zip(photos, originals, found["image_name"], found["lat"], found["lon"], strict=True)
    for (photo, original, name, lat, lon), fix in zip(rows, localizer.locate_many(photos), strict=True):
        if isinstance(fix, PhotoError):
            unreadable += 1
            print(f"error: {fix}", file=sys.stderr)
            continue
        error_m = float(distance_m(lat, lon, fix.lat, fix.lon))
        errors.append(error_m)
        of_known.append(is_seen(photo, told_digest(original), known))
        radius = "" if fix.radius68_m is None else f"{fix.radius68_m:.1f}"
        writer.writerow([harmless(name), f"{fix.lat:.7f}", f"{fix.lon:.7f}", f"{error_m:.2f}", radius])
    if not errors:
        said = f"none of its {len(table)} photos {'can be read' if unreadable else f'is in {images}'}"
        raise CampusError(said, path=labels, remedy="give their folder with --images")
    lost = ((missing, "missing"), (unreadable, "unreadable"))
    print(_summary("photos", errors) + "".join(f", {count} {what}" for count, what in lost if count), file=sys.stderr)
    if any(of_known):
        new = [error for error, is_known in zip(errors, of_known, strict=True) if not is_known]
        old = [error for error, is_known in zip(errors, of_known, strict=True) if is_known]
        print(_summary("that this campus was made of, which say nothing of new photos", old), file=sys.stderr)
        print(_summary("new to it", new) if new else "0 new to it", file=sys.stderr)
    return 2 if missing or unreadable else 0


def locate_several(args: argparse.Namespace, localizer: Localizer) -> int:
    """Print the one fix of photos of a standpoint, or the smoothed fixes of a walk, in the order of time."""
    photos, passed = archive_photos(args.photos), []
    if args.together:
        found = [(", ".join(photos), localizer.locate_together([Path(photo) for photo in photos]))]
    else:
        passed = walked(photos, localizer, args.times)
        found = [(one.photo, one.fix) for one in passed]
    if not args.json:
        print(TABLE_HEAD)
    for photo, fix in found:
        name = f"{fix.photos} photos" if args.together else Path(photo).name
        print(json.dumps({"photo": photo, **fix.as_dict()}) if args.json else table_row(name, fix))
    for track in args.track or []:
        write_track(track, passed)
    return 0


def _summary(which: str, errors: list[float]) -> str:
    return f"{len(errors)} {which}, mean error {fmean(errors):.2f} m, median {median(errors):.2f} m"


def main(program: str = "predict.py") -> int:
    parser = argparse.ArgumentParser(prog=program, description=__doc__)
    parser.add_argument("photos", nargs="*", metavar="PHOTO")
    parser.add_argument("--bundle", type=Path, help="campus bundle (default: $CAMPUS_BUNDLE, else the demo campus)")
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    parser.add_argument("--check", type=Path, metavar="GT_CSV", help="compare with the positions in this CSV")
    parser.add_argument("--images", type=Path, metavar="DIR", help="folder of the CSV's photos")
    parser.add_argument(
        "--no-second-look", action="store_true", help="never match local features, even where the answer is in doubt"
    )
    several = parser.add_argument_group("photos that belong together")
    several.add_argument("--together", action="store_true", help="all photos are of one standpoint: one fix")
    several.add_argument("--walk", action="store_true", help="all photos are of one walk, ordered by their EXIF time")
    several.add_argument("--times", type=Path, metavar="CSV", help="a walk's times: image_name and local_time")
    several.add_argument(
        "--track", type=Path, action="append", metavar="FILE", help="write the walk there: .geojson or .gpx; repeatable"
    )
    options.add_arguments(parser)
    args = parser.parse_args()
    if args.together + args.walk + bool(args.check) + bool(args.out) > 1:
        parser.error("give one of --together, --walk, --check and --out")
    if (args.times or args.track) and not args.walk:
        parser.error("--times and --track need --walk")
    for track in args.track or []:
        check_track(track)
    if bool(args.check) != bool(args.images) or bool(args.check) == bool(args.photos):
        parser.error("give photos, or --check GT_CSV with --images DIR")
    bundle = chosen_bundle(args.bundle) or DEMO_BUNDLE
    if options.given(args):
        if args.no_second_look:
            parser.error("--no-second-look is for single photos, not with --out")
        return options.locate(args.photos, bundle, args)
    localizer = Localizer.load(bundle, second_look=not args.no_second_look)
    if args.check:
        return check(args.check, args.images, localizer)
    if args.together or args.walk:
        return locate_several(args, localizer)
    return locate([Path(photo) for photo in args.photos], localizer, args.json)


if __name__ == "__main__":
    sys.exit(run_cli(main))
