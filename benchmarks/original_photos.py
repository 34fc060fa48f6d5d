"""The original's preparation of its photos, as a plain one-process Pillow script: `SCRIPT PHOTOS OUT`."""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image, ImageOps


def preprocess(photos: list[Path], out: Path) -> None:
    """Open, EXIF, upright, Lanczos to 224 x 224, JPEG 95, one photo after another."""
    out.mkdir(parents=True, exist_ok=True)
    for path in photos:
        with Image.open(path) as image:
            exif = image.getexif()
            exif.get_ifd(0x8825)
            exif.get_ifd(0x8769)
            upright = ImageOps.exif_transpose(image).convert("RGB")
            upright.resize((224, 224), Image.Resampling.LANCZOS).save(out / f"{path.stem}.jpg", quality=95)


if __name__ == "__main__":
    preprocess(sorted(Path(sys.argv[1]).glob("*.jpg")), Path(sys.argv[2]))
