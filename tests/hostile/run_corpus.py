"""Read every photo of the corpus in this process, and say what became of each, its time and its memory.

One JSON object a line: {"name": …} before a case, then the same with its result, so that a crash names its case.
Seconds are of this process's own work on all threads, whatever else runs on the machine. Memory is how far the peak of
the resident memory rose, the file's own bytes included, above what the process held before: everything that is loaded
once (Python, numpy, Pillow, libheif) is not counted. Linux only, which keeps the peak in /proc.
"""

from __future__ import annotations

import ctypes
import gc
import json
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import PhotoError
from core.photo.load import load_photo
from tests.hostile.corpus import BUILD
from tests.hostile.photos.cases import Case
from tests.hostile.photos.whole import whole


def memory_mb(field: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024 / 1e6
    raise LookupError(field)


def forget_peak() -> None:
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # else memory that an earlier case gave back would be used again unseen
    Path("/proc/self/clear_refs").write_text("5")


def colours(rgb: Any) -> list[list[int]]:
    """The mean colour of each quarter, row by row."""
    halves = [half for rows in np.array_split(rgb, 2) for half in np.array_split(rows, 2, axis=1)]
    return [[round(float(value)) for value in half.reshape(-1, 3).mean(0)] for half in halves]


def read(case: Case, folder: Path) -> dict[str, Any]:
    path = folder / case.file_name
    path.write_bytes(case.data())
    forget_peak()
    before, started = memory_mb("VmRSS"), time.process_time()
    result: dict[str, Any]
    try:
        photo = load_photo(path)
    except PhotoError as error:
        result = {"refused": str(error)}
    else:
        result = {"photo": list(photo.rgb.shape)}
    result |= {"seconds": time.process_time() - started, "peak_mb": memory_mb("VmHWM") - before}
    if "photo" in result:
        result |= {"dtype": str(photo.rgb.dtype), "capture": asdict(photo.capture)}
        result |= {"quarters": colours(photo.rgb)} if case.quarters else {}
    return result


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        for kind in ("jpeg", "png", "webp", "gif", "bmp", "tiff", "heic"):
            (Path(name) / "warm").write_bytes(whole(kind))
            load_photo(Path(name) / "warm")
        gc.freeze()  # what was loaded by now stays: to look through it before each of a thousand cases takes longest
        for case in BUILD.values():
            if len(sys.argv) > 1 and not any(word in case.name for word in sys.argv[1:]):
                continue
            print(json.dumps({"name": case.name}), flush=True)
            print(json.dumps({"name": case.name, **read(case, Path(name))}, default=str), flush=True)


if __name__ == "__main__":
    main()
