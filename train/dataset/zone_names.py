"""The names of a bundle's zones: listed, typed by hand, or taken from a map."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.campus.bundle import Bundle, check_may_save, save_bundle
from core.errors import CampusError
from train.dataset.zoning import name_zones, numbered

MAX_NAME = 60  # letters that a map and an answer have room for


def remapped(bundle: Bundle, campus_map: dict[str, Any], out: Path) -> Bundle:
    """Write the bundle with another map to `out`, its zones named anew; names that were typed by hand stay."""
    before = name_zones(numbered(bundle.zones), bundle.campus_map, bundle.manifest.frame)
    after = name_zones(numbered(bundle.zones), campus_map, bundle.manifest.frame)
    zones = tuple(
        mine if mine.name not in (old.name, f"Zone {number}") else new
        for number, (mine, old, new) in enumerate(
            zip(bundle.manifest.zones, before.zones, after.zones, strict=True), start=1
        )
    )
    text = json.dumps(campus_map, ensure_ascii=False, separators=(",", ":"))
    return _saved(bundle, {"zones": zones}, {"map.geojson": text.encode()}, out)


def renamed(bundle: Bundle, names: Mapping[int, str], out: Path) -> Bundle:
    """Write the bundle with some zones named by hand, by number from 1, to `out`.

    Raises CampusError where there is no zone of a number, or a name is empty or longer than MAX_NAME.
    """
    zones = list(bundle.manifest.zones)
    for number, name in names.items():
        if not 1 <= number <= len(zones):
            raise CampusError(f"{bundle.path}: has no zone {number}; they are 1 to {len(zones)}")
        plain = " ".join(name.split())
        if not plain or len(plain) > MAX_NAME or not plain.isprintable():
            raise CampusError(f"zone {number}: {name[:80]!r} is no name; give 1 to {MAX_NAME} printable letters")
        zones[number - 1] = replace(zones[number - 1], name=plain)
    return _saved(bundle, {"zones": tuple(zones)}, {}, out)


def _saved(bundle: Bundle, changes: Mapping[str, Any], files: Mapping[str, bytes], out: Path) -> Bundle:
    manifest = bundle.manifest.model_copy(update=dict(changes))
    return save_bundle(
        out, manifest, {**{name: bundle.read(name) for name in bundle.manifest.files}, **files}, force=True
    )


def _name(text: str) -> tuple[int, str]:
    number, equals, name = text.partition("=")
    if not equals or not number.strip().isdecimal():
        raise argparse.ArgumentTypeError(f'{text!r}: write NUMBER=NAME, such as 6="Bus stop"')
    return int(number), name


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", type=Path, metavar="BUNDLE")
    parser.add_argument(
        "--name",
        type=_name,
        action="append",
        default=[],
        metavar="NUMBER=NAME",
        help='such as 6="Bus stop"; repeatable',
    )
    parser.add_argument("--out", type=Path, metavar="BUNDLE", help="what to write (default: the bundle itself)")
    parser.add_argument("--force", action="store_true", help="replace a bundle that lies at --out")


def main(args: argparse.Namespace) -> int:
    bundle = Bundle.load(args.bundle)
    if args.name:
        out = args.out or args.bundle
        check_may_save(out, args.force or out == args.bundle)
        bundle = renamed(bundle, dict(args.name), out)
    gallery = bundle.gallery
    photos = [0] * len(bundle.zones)
    for index in [] if gallery is None else bundle.zones.assign(gallery.local_m).tolist():
        photos[index] += 1
    for number, zone in enumerate(bundle.manifest.zones, start=1):
        lat, lon = bundle.manifest.frame.to_latlon(zone.centre_m)
        print(f"{number:>4}  {lat:.6f}, {lon:.6f}  {photos[number - 1]:>5} photos  {zone.name}")
    return 0
