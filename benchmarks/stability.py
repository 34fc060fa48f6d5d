"""How far a fix moves when its photo is changed in ways that should not matter.

`python -m benchmarks.stability [BUNDLE]` changes the bundle's own sample photos and prints a table in Markdown.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

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


def shifts_m(localizer: Localizer) -> Iterator[tuple[str, np.ndarray]]:
    """Each change, and by how many metres (N,) it moves the fixes of the bundle's N samples. Raises CampusError."""
    if not localizer.bundle.samples:
        raise CampusError("carries no sample photos", path=localizer.bundle.path, remedy="give a bundle that does")
    files = [localizer.bundle.read(name) for name in localizer.bundle.samples]
    fixes = [localizer.locate(file) for file in files]
    for name, change in CHANGES.items():
        changed = [localizer.locate(np.asarray(change(Image.open(io.BytesIO(file)).convert("RGB")))) for file in files]
        pairs = zip(fixes, changed, strict=True)
        yield name, np.array([distance_m(one.lat, one.lon, other.lat, other.lon) for one, other in pairs])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stability", description=__doc__)
    parser.add_argument("bundle", nargs="?", type=Path, default=DEMO_BUNDLE, help="with sample photos (the demo)")
    localizer = Localizer.load(parser.parse_args().bundle)
    print(f"| change, {len(localizer.bundle.samples)} samples | fix moves, median | worst |\n|---|---|---|")
    for name, moved_m in shifts_m(localizer):
        print(f"| {name} | {np.median(moved_m):.1f} m | {moved_m.max():.1f} m |")
    return 0


if __name__ == "__main__":
    sys.exit(run_cli(main))
