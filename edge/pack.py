"""A bundle and its export -> NAME.campus-edge, one file for a device: models, gallery, map, this program."""

from __future__ import annotations

import argparse
import os
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from core.campus.bundle import Bundle, save_bundle
from core.campus.file_names import EDGE_LOCAL_MODEL, EDGE_MODEL, THUMBNAILS
from core.engines.engine_key import check_packed
from core.errors import BundleError, EngineError
from core.io.files import check_replaceable, written_atomically
from core.program import PACKED_REQUIREMENTS, typed
from edge.local_features import LOCAL_FP16, LOCAL_GOLDEN
from edge.manifest import FP16, GOLDEN, MANIFEST, Export
from edge.wheels import devices_of, fetch_wheels

SUFFIX = ".campus-edge"
LEFT_OUT = ("model.safetensors", THUMBNAILS)  # torch's weights, which no device has torch for; pictures for people
_STAYS = ("core/network/", "edge/export/")  # what needs torch, and serves the workshop alone
# What a pack carries of an export, under which names; the last two where the campus has a second look.
CARRIED = {
    MANIFEST: f"edge/{MANIFEST}",
    FP16: EDGE_MODEL,
    GOLDEN: f"edge/{GOLDEN}",
    LOCAL_FP16: EDGE_LOCAL_MODEL,
    LOCAL_GOLDEN: f"edge/{LOCAL_GOLDEN}",
}
_PROGRAM = Path(__file__).resolve().parent.parent
# Where Python runs the file itself: `python3 NAME.campus-edge build`.
_START = """import sys

from core.cli.run import run_cli
from edge.__main__ import main

sys.exit(run_cli(main))
"""


def pack(
    bundle: Bundle, folder: Path, out: Path, force: bool = False, wheels: Callable[[], dict[str, bytes]] = dict
) -> Bundle:
    """Write the pack, whole or not at all, and return it opened: it is a campus bundle with an export inside.

    `wheels`, called once all else is in order, gives the packages to carry by their names in the pack.
    Raises EngineError where the export is not of this bundle or `out` has another suffix, CampusError where it exists.
    """
    if out.suffix != SUFFIX:
        raise EngineError(f"a pack is called NAME{SUFFIX}", path=out, remedy="choose such an --out")
    check_replaceable(out, force, "pack", None)
    export = Export.load(folder)
    if export.manifest.bundle_digest != bundle.manifest.digest:
        raise EngineError(
            f"was exported from another bundle than {bundle.path}",
            path=folder,
            remedy=f"export again with `{typed('edge')} export {bundle.path} --out {folder} --force`",
        )
    files = {name: bundle.read(name) for name in bundle.manifest.files if name not in LEFT_OUT}
    carried = (MANIFEST, *(name for name in export.manifest.files if name in CARRIED))
    files |= {CARRIED[name]: (folder / name).read_bytes() for name in carried}
    program = program_files() | wheels()
    with written_atomically(out) as temporary:
        plain = temporary.with_name("pack.campus")
        save_bundle(plain, bundle.manifest, files)
        with zipfile.ZipFile(plain, "a", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("__main__.py", _START)
            for name, data in program.items():
                archive.writestr(name, data)
        os.replace(plain, temporary)
    return Bundle.load(out)


def program_files() -> dict[str, bytes]:
    """The sources of `core` and `edge` that a device can use, and what they need, by their names in the pack."""
    if not _PROGRAM.is_dir():
        raise EngineError(
            "packing needs the project's folder", path=_PROGRAM, remedy="run it from a checkout, not from a pack"
        )
    sources = [path for package in ("core", "edge") for path in sorted((_PROGRAM / package).rglob("*.py"))]
    named = {path.relative_to(_PROGRAM).as_posix(): path for path in [*sources, _PROGRAM / PACKED_REQUIREMENTS]}
    return {name: path.read_bytes() for name, path in named.items() if not name.startswith(_STAYS)}


def packed_export(bundle: Bundle) -> Export:
    """The export inside a pack or an unpacked one. Raises EngineError where the bundle carries none."""
    check_packed(bundle)
    return Export.read(lambda name: bundle.read(CARRIED[name]), str(bundle.path))


def unpack(pack_file: Bundle, folder: Path, force: bool = False) -> Bundle:
    """A pack -> a bundle folder, or the folder as it is, engine and all, where it holds this very pack already.

    Raises OccupiedError where the folder holds something else and `force` is not given.
    """
    with suppress(BundleError):
        if (present := Bundle.load(folder)).manifest.digest == pack_file.manifest.digest:
            return present
    return save_bundle(
        folder, pack_file.manifest, {name: pack_file.read(name) for name in pack_file.manifest.files}, force
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="campus bundle: a folder or NAME.campus")
    parser.add_argument("folder", type=Path, metavar="DIR", help="its export, checked with `verify`")
    parser.add_argument("--out", type=Path, required=True, metavar=f"NAME{SUFFIX}", help="file to write")
    parser.add_argument("--force", action="store_true", help="replace the file where it exists")
    carried = parser.add_mutually_exclusive_group()
    carried.add_argument(
        "--wheels", type=Path, metavar="DIR", help="carry packages from the wheels in DIR (default: from pip's index)"
    )
    carried.add_argument(
        "--no-wheels", action="store_true", help=f"carry none: the device needs pip install -r {PACKED_REQUIREMENTS}"
    )


def main(args: argparse.Namespace) -> int:
    def wheels() -> dict[str, bytes]:
        return {} if args.no_wheels else fetch_wheels(_PROGRAM / PACKED_REQUIREMENTS, args.wheels)

    made = pack(Bundle.load(args.bundle), args.folder, args.out, args.force, wheels)
    files, name = len(made.manifest.files), made.manifest.name
    print(f"{made.path}: {made.path.stat().st_size / 1e6:.1f} MB, {files} files of {name}")
    devices = ", ".join(devices_of(made.path))
    without = f"carries no packages: the device needs pip install -r {PACKED_REQUIREMENTS}"
    print(f"packages for {devices} inside" if devices else without)
    print(f"next, on the device: python3 {made.path.name} build")
    return 0
