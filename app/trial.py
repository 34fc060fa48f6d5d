"""A stranger's campus tried out in a process of its own, with limits on time and memory: `python -m app.trial CAMPUS`.

The network in it has been read as data and found plain; what a runtime then does with it is seen here first.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from core.campus.bundle import Bundle
from core.engines.vet import check_model
from core.errors import BundleError, CampusError, EngineError, Kind

if TYPE_CHECKING:
    from core.locate.fix import Fix
    from core.photo.capture import Capture

logger = logging.getLogger(__name__)

CPU_S = 20  # of the demo campus: 2 s
WALL_S = 400  # beside busy processes one that gives way to them gets a twentieth of a core
MEMORY_BYTES = 4 << 30  # of address space, most of which is never used
MAX_SAMPLES = 16  # that are tried, and shown
FAR_M = 100.0  # further off than this an answer is wrong, whatever GPS erred by
_REFUSED = 2  # the exit code where the campus is at fault, with one line on standard error
_NO_MEMORY = 3
_ENDED = {-getattr(signal, name, 0) for name in ("SIGXCPU", "SIGKILL")} - {0}  # by its limit on time, or by the system
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
    if done.returncode in _ENDED | {_NO_MEMORY} or "std::bad_alloc" in "".join(said):
        raise slow
    if done.returncode:
        last = said[-1][:500] if said else "nothing"
        logger.warning("a campus cannot be tried out: exit code %d, it said %s", done.returncode, last)
        raise BundleError.unusable("cannot be tried out here", path=path)


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


def _far_off(fix: Fix, taken: Capture) -> bool | None:
    """Whether an answer is no place for a sample: over FAR_M from its own GPS, and outside its 95 % circle.

    None where the sample says no place, or is not taken for this campus.
    """
    from core.campus.frame import distance_m

    if fix.radii_m is None or taken.lat_deg is None or taken.lon_deg is None:
        return None
    away_m = float(distance_m(fix.lat, fix.lon, taken.lat_deg, taken.lon_deg))
    return away_m > max(FAR_M, fix.radii_m[1])


def main(path: Path) -> int:
    """Locate the campus's own samples; 0 where every answer is finite, and not each of them a wrong place."""
    _limit()
    import numpy as np

    from core.locate.localizer import Localizer
    from core.photo.load import load_photo

    off = []
    try:
        localizer = Localizer.load(path, threads=1)
        bundle = localizer.bundle
        _ = bundle.thumbnails, localizer.prior  # which a map of very many shapes makes long
        samples: list[Any] = [bundle.read(name) for name in bundle.samples[:MAX_SAMPLES]]
        for sample in samples or [np.zeros((64, 64, 3), np.uint8)]:
            photo = load_photo(sample, min_side=localizer.least_side)
            fix = localizer.locate(photo)
            if not np.isfinite([fix.lat, fix.lon]).all():
                raise BundleError.unusable("a sample's position is not finite")
            off.append(_far_off(fix, photo.capture))
        known = [wrong for wrong in off if wrong is not None]
        if known and all(known):
            raise BundleError.unusable(f"answers each of its own samples over {FAR_M:.0f} m from where it was taken")
    except MemoryError:
        return _NO_MEMORY
    except CampusError as error:
        fields = {"reason": error.reason[:500], "remedy": error.remedy, "kind": error.kind}
        print(json.dumps(fields), file=sys.stderr)
        return _REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
