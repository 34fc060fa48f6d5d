"""OpenStreetMap -> the map of a campus: of a bundle, whose zones take names from it, or of a dataset."""

from __future__ import annotations

import argparse
import json
import logging
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.campus.bundle import Bundle
from core.campus.file_names import CAMPUS_JSON
from core.campus.frame import LocalFrame
from core.errors import MapError
from core.io.files import check_replaceable, written_atomically
from core.program import typed
from train.dataset.dataset import Dataset
from train.dataset.zone_names import remapped
from train.osm.box import Box
from train.osm.features import campus_map, count_by_kind
from train.osm.overpass import SERVER, command_elsewhere, fetch
from train.osm.read import read_extract

log = logging.getLogger(__name__)

MAP = "map.geojson"


@dataclass(frozen=True)
class _Campus:
    """Whose map it is: its frame, its photos' positions in local metres, and the bundle, where it is one."""

    frame: LocalFrame
    local_m: NDArray[np.float64]
    bundle: Bundle | None


def _campus(path: Path) -> _Campus:
    if path.suffix == ".campus" or (path / CAMPUS_JSON).is_file():
        bundle = Bundle.load(path)
        grid = bundle.manifest.grid
        corners = np.array([[grid.west_m, grid.south_m], [grid.east_m[-1], grid.north_m[-1]]])
        local_m = corners if bundle.gallery is None else bundle.gallery.local_m.astype(np.float64)
        return _Campus(bundle.manifest.frame, local_m, bundle)
    dataset = Dataset.load(path)
    frame = LocalFrame.of_points(*dataset.latlon.T)
    return _Campus(frame, frame.to_local(*dataset.latlon.T), None)


def make_map(extract_file: Path, box: Box, frame: LocalFrame) -> dict[str, Any]:
    """The map of a campus from an extract. Raises MapError where the extract shows nothing of it."""
    extract = read_extract(extract_file, box)
    found = campus_map(extract, box, frame)
    if extract.broken:
        log.info("%d shapes of the extract are incomplete and left out", extract.broken)
    if not found["features"]:
        raise MapError(
            f"shows nothing within {box.south:.5f} to {box.north:.5f} north, {box.west:.5f} to {box.east:.5f} "
            "east, where this campus is",
            path=extract_file,
            remedy="give an extract of that area",
        )
    return found


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("campus", type=Path, metavar="BUNDLE|DATASET", help="whose map it is")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--osm", type=Path, metavar="FILE", help="extract: .osm, .osm.pbf, Overpass JSON or GeoJSON")
    source.add_argument("--fetch", action="store_true", help="ask Overpass for the campus's own box (needs internet)")
    parser.add_argument("--server", default=SERVER, metavar="URL", help="of Overpass (default: %(default)s)")
    parser.add_argument(
        "--out", type=Path, help="what to write: BUNDLE or GEOJSON (default: the bundle itself, or DATASET/map.geojson)"
    )
    parser.add_argument("--force", action="store_true", help="replace a map or another bundle that is there")


def main(args: argparse.Namespace) -> int:
    campus = _campus(args.campus)
    out = args.out or (args.campus if campus.bundle else args.campus / MAP)
    marker = None if campus.bundle is None or out.suffix == ".campus" else CAMPUS_JSON
    itself = campus.bundle is not None and out == args.campus  # a bundle takes the map and stays what it is
    replacing = args.force or itself
    check_replaceable(out, replacing, "campus bundle" if campus.bundle else "map", marker)
    box = Box.about(campus.local_m, campus.frame)
    with tempfile.TemporaryDirectory() as folder:
        source = args.osm
        if args.fetch:
            source = Path(folder) / "campus.osm.json"
            try:
                fetch(box, source, args.server)
            except MapError:
                print(command_elsewhere(box, args.server))
                raise
        found = make_map(source, box, campus.frame)
    kinds = ", ".join(f"{count} {kind}" for kind, count in count_by_kind(found).items())
    named = sum("name" in feature["properties"] for feature in found["features"])
    size_m = round(box.high_m[0] - box.low_m[0])
    print(f"{len(found['features'])} features ({kinds}), {named} with a name, on {size_m} × {size_m} m")
    if campus.bundle is None:
        with written_atomically(out) as temporary:
            temporary.write_text(json.dumps(found, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")
        print(f"{out}: bundle it with `{typed('train')} bundle RUN --map {out} --out BUNDLE`")
        return 0
    bundle = remapped(campus.bundle, found, out)
    for index, zone in enumerate(bundle.manifest.zones, start=1):
        if zone.name != campus.bundle.manifest.zones[index - 1].name:
            print(f"zone {index}: {zone.name}")
    thanks = f" {found['attribution']}; the app shows this line, as the licence asks." if found["attribution"] else ""
    print(f"{out}: has the map.{thanks}")
    return 0
