"""The names of a bundle's zones: listed, typed by hand, or taken from a map."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.campus.bundle import Bundle, check_may_save, save_bundle
from core.campus.zone_names import renamed
from train.dataset.zoning import name_zones, numbered


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
