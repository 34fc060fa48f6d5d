"""A stranger's campus tried out in a process of its own, with limits on time and memory: `python -m app.trial CAMPUS`.

The network in it has been read as data and found plain; what a runtime then does with it is seen here first.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args

from core.campus.bundle import Bundle
from core.engines.vet import check_model
from core.errors import BundleError, CampusError, EngineError, Kind

CPU_S, WALL_S = 20, 60  # of the demo campus: 2 s of CPU
MEMORY_BYTES = 4 << 30  # of address space, most of which is never used
MAX_SAMPLES = 8
_REFUSED = 2  # the exit code where the campus is at fault, with one line on standard error
_ROOT = Path(__file__).resolve().parents[1]


def check_campus(path: Path) -> None:
    """Raise CampusError unless the campus at `path` is whole, plain, and answers its own samples within the limits."""
    bundle = Bundle.load(path)
    for name in bundle.manifest.files:
        if name.endswith(".onnx"):
            try:
                check_model(bundle.read(name))
            except EngineError as error:
                raise error.replace(reason=f"{name}: {error.reason}", path=path) from error
    _ = bundle.campus_map
    slow = BundleError(
        f"takes more than {CPU_S} s or {MEMORY_BYTES >> 30} GB to answer its own samples",
        path=path, remedy="make it smaller", kind="too large",
    )  # fmt: skip
    command = [sys.executable, "-m", "app.trial", str(path.absolute())]
    quiet = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            command, cwd=_ROOT, env=quiet, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            timeout=WALL_S, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise slow from None
    said = done.stderr.decode("utf-8", "replace").strip().splitlines()
    if done.returncode == _REFUSED and said:
        raise _refusal(said[-1], path)
    if done.returncode:
        raise slow


def _refusal(line: str, path: Path) -> BundleError:
    """The error that the other process ended with, from the fields that it printed."""
    try:
        fields = json.loads(line)
        kind = next(kind for kind in get_args(Kind) if kind == fields["kind"])
        return BundleError(str(fields["reason"]), path=path, remedy=str(fields["remedy"]), kind=kind)
    except (ValueError, TypeError, LookupError, StopIteration):
        return BundleError.unusable("cannot be tried out here", path=path)


def _limit() -> None:
    """This process's time and memory, where the system knows of such limits."""
    with suppress(OSError, AttributeError):
        os.nice(10)  # phones that wait for their answer go first
    try:
        import resource
    except ImportError:
        return
    for what, most in ((resource.RLIMIT_CPU, CPU_S), (resource.RLIMIT_AS, MEMORY_BYTES), (resource.RLIMIT_CORE, 0)):
        hard = resource.getrlimit(what)[1]
        least = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (least, least))


def main(path: Path) -> int:
    """Locate the campus's own samples; 0 where every answer is finite."""
    _limit()
    import numpy as np

    from core.locate.localizer import Localizer

    try:
        localizer = Localizer.load(path, threads=1)
        bundle = localizer.bundle
        _ = bundle.thumbnails
        photos: list[Any] = [bundle.read(name) for name in bundle.samples[:MAX_SAMPLES]]
        for photo in photos or [np.zeros((64, 64, 3), np.uint8)]:
            fix = localizer.locate(photo)
            if not np.isfinite([fix.lat, fix.lon]).all():
                raise BundleError.unusable("a sample's position is not finite")
    except CampusError as error:
        fields = {"reason": error.reason[:500], "remedy": error.remedy, "kind": error.kind}
        print(json.dumps(fields), file=sys.stderr)
        return _REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
