"""How far a fix moves when its photo is changed in ways that should not matter.

`python -m benchmarks.stability [BUNDLE]` changes the bundle's sample photos, or those of `--photos DIR`, and prints a
table in Markdown.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from core.campus.bundle import Bundle
from core.campus.frame import distance_m
from core.cli.run import run_cli
from core.errors import CampusError
from core.locate.localizer import DEMO_BUNDLE, Localizer

Picture = Image.Image


def _jpeg(photo: Picture) -> Picture:
    out = io.BytesIO()
    photo.save(out, "JPEG", quality=30)
    return Image.open(out)


def _middle(photo: Picture) -> Picture:
    """Half of the width and of the height."""
    width, height = photo.size
    return photo.crop((width // 4, height // 4, width - width // 4, height - height // 4))


CHANGES: dict[str, Callable[[Picture], Picture]] = {
    "JPEG quality 30": _jpeg,
    "blur of 2 px": lambda photo: photo.filter(ImageFilter.GaussianBlur(2)),
    "half size": lambda photo: photo.resize((photo.width // 2, photo.height // 2), Image.Resampling.BOX),
    "30 % less light": lambda photo: ImageEnhance.Brightness(photo).enhance(0.7),
    "50 % crop": _middle,
    "array in place of file": lambda photo: photo,
}


def photos_of(bundle: Bundle, folder: Path | None) -> list[bytes]:
    """The files in a folder or, without one, the bundle's own samples. Raises CampusError where there are none."""
    if folder is None:
        files = [bundle.read(name) for name in bundle.samples]
    else:
        files = [path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()]
    if not files:
        raise CampusError("holds no photos to change", path=folder or bundle.path, remedy="give a folder by --photos")
    return files


def _upright(file: bytes) -> Picture:
    """The picture as `locate` sees the file: an array has no tag that says how the phone was held."""
    return ImageOps.exif_transpose(Image.open(io.BytesIO(file))).convert("RGB")


def shifts_m(localizer: Localizer, files: list[bytes]) -> Iterator[tuple[str, np.ndarray]]:
    """Each change, and by how many metres (N,) it moves the fixes of N photos. Raises PhotoError for what is none."""
    fixes = [localizer.locate(file) for file in files]
    for name, change in CHANGES.items():
        changed = [localizer.locate(np.asarray(change(_upright(file)))) for file in files]
        pairs = zip(fixes, changed, strict=True)
        yield name, np.array([distance_m(one.lat, one.lon, other.lat, other.lon) for one, other in pairs])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stability", description=__doc__)
    parser.add_argument("bundle", nargs="?", type=Path, default=DEMO_BUNDLE, help="default: the demo")
    parser.add_argument("--photos", type=Path, metavar="DIR", help="photos to change; default: the bundle's samples")
    args = parser.parse_args()
    localizer = Localizer.load(args.bundle)
    files = photos_of(localizer.bundle, args.photos)
    print(f"| change, {len(files)} photos | fix moves, median | worst |\n|---|---|---|")
    for name, moved_m in shifts_m(localizer, files):
        print(f"| {name} | {np.median(moved_m):.1f} m | {moved_m.max():.1f} m |")
    return 0


if __name__ == "__main__":
    sys.exit(run_cli(main))
