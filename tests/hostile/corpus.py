"""Photos that are broken, absurd, or made to do harm, built by code: named cases and what must become of each.

`python -m tests.hostile.corpus FOLDER` writes them all as files, to feed to another program or a fuzzer.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.hostile.photos.absurd_exif import exif_cases
from tests.hostile.photos.bombs import bombs
from tests.hostile.photos.cases import BUILD
from tests.hostile.photos.cuts import truncated
from tests.hostile.photos.kinds import modes, names, orientations, shapes

__all__ = ["BUILD"]

for _part in (names, truncated, bombs, exif_cases, shapes, modes, orientations):
    _part()


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, made in BUILD.items():
        (folder / name).write_bytes(made.data())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
