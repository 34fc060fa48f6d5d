"""The packages that a pack carries: wheels that pip chooses where it is made, unpacked once where it runs.

In the pack they lie in a folder for each Python and machine, each of them complete: `wheels/python3.10-aarch64/…whl`.
"""

from __future__ import annotations

import hashlib
import io
import platform
import re
import shlex
import subprocess
import sys
import tempfile
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path

from core.errors import CampusError, EngineError, reason_of
from core.io.files import written_atomically
from core.io.private_files import cache_folder, is_private

JETPACK_PYTHONS = ("python3.10-aarch64", "python3.12-aarch64")  # JetPack 6 and 7
# apt brings both, and its OpenCV needs that very numpy.
NOT_CARRIED = ("numpy", "pillow")
_FOLDER = "wheels"
_GLIBC_MINORS = range(17, 36)  # JetPack 6 has glibc 2.35
_COMPILED = re.compile(r".+-cp3(\d+)-cp3\1-manylinux.*_(aarch64|x86_64)\.whl")


def fetch_wheels(requirements: Path, folder: Path | None = None) -> dict[str, bytes]:
    """The wheels of a requirements file and of all that they need, by their names in the pack.

    pip takes them from its index for JetPack 6 and 7; or, where `folder` is given, from the wheels in it, for the
    Pythons and machines that these were compiled for. Raises EngineError where it cannot get them all.
    """
    wanted = [line.partition("#")[0].strip() for line in requirements.read_text(encoding="utf-8").splitlines()]
    wanted = [line for line in wanted if line and re.split(r"[^\w-]", line)[0].lower() not in NOT_CARRIED]
    devices = set(JETPACK_PYTHONS)
    if folder is not None:
        compiled = [_COMPILED.fullmatch(wheel.name) for wheel in folder.glob("*.whl")]
        devices = {f"python3.{match[1]}-{match[2]}" for match in compiled if match} or devices
    with ThreadPoolExecutor() as pool:  # each waits for a pip of its own
        fetched = list(pool.map(_fetch, repeat(wanted), sorted(devices), repeat(folder)))
    return {name: data for wheels in fetched for name, data in wheels.items()}


def devices_of(pack: Path) -> list[str]:
    """The Pythons and machines that a pack carries packages for, as "python3.10-aarch64"."""
    with zipfile.ZipFile(pack) as archive:
        return sorted({name.split("/")[1] for name in archive.namelist() if name.startswith(f"{_FOLDER}/")})


def use_carried(pack: Path) -> None:
    """Put the packages that a pack carries for this Python and machine, if it does, before all that are installed.

    Before, since Ubuntu's own of the same names (pydantic 1, an old typing_extensions) would not do. They are unpacked
    once, as Python imports no compiled module from a zip, to a folder named by their content. Raises CampusError where
    that cannot be done, where another user may have written there, or where the pack is damaged.
    """
    here = f"{_FOLDER}/python{sys.version_info[0]}.{sys.version_info[1]}-{platform.machine()}/"
    try:
        with zipfile.ZipFile(pack) as archive:
            wheels = [archive.read(name) for name in sorted(archive.namelist()) if name.startswith(here)]
    except (zipfile.BadZipFile, zlib.error) as error:
        raise CampusError(f"is damaged ({reason_of(error)})", path=pack, remedy="copy the pack again") from error
    if not wheels:
        return
    unpacked = cache_folder() / hashlib.sha256(b"".join(wheels)).hexdigest()
    try:
        unpacked.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        for folder in (unpacked.parent, unpacked):
            if folder.exists() and not is_private(folder):
                raise CampusError(
                    "other users may write there", path=folder, remedy="remove it, then run the same command again"
                )
        if not unpacked.exists():
            with written_atomically(unpacked) as temporary:
                temporary.mkdir(mode=0o700)
                for wheel in wheels:
                    zipfile.ZipFile(io.BytesIO(wheel)).extractall(temporary)
    except OSError as error:
        raise CampusError(
            f"the pack's own packages cannot be unpacked there ({error.strerror})",
            path=error.filename or unpacked,
            remedy="set XDG_CACHE_HOME to a folder that has room and can be written to",
        ) from error
    sys.path.insert(1, str(unpacked))  # 0 is the pack itself


def _fetch(wanted: list[str], device: str, folder: Path | None) -> dict[str, bytes]:
    """The wheels of one Python and machine. pip judges `; markers` by the Python it runs on; none of these has any."""
    python, machine = device.removeprefix("python").split("-")
    where = ["--only-binary=:all:", f"--python-version={python}", f"--platform=manylinux2014_{machine}"]
    with tempfile.TemporaryDirectory() as target:
        line = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input", *where]
        line += [f"--platform=manylinux_2_{minor}_{machine}" for minor in _GLIBC_MINORS]
        line += ["--no-index", f"--find-links={folder.absolute()}"] if folder is not None else []
        done = subprocess.run(
            [*line, "-d", target, *wanted], capture_output=True, text=True, errors="replace", check=False
        )
        if done.returncode:
            said = done.stderr.strip().splitlines() or ["it says nothing"]
            reason = next((line for line in said if line.startswith("ERROR: ")), said[-1]).removeprefix("ERROR: ")
            by_hand = shlex.join(["pip", "download", *where, "-d", str(folder or "DIR"), *wanted])
            raise EngineError(
                f"no wheels of all that {device} needs ({reason})",
                path=folder or "pip",
                remedy=(
                    f"where there is internet, `{by_hand}` fetches them for --wheels {folder or 'DIR'}; --no-wheels "
                    "packs without"
                ),
            )
        return {f"{_FOLDER}/{device}/{wheel.name}": wheel.read_bytes() for wheel in sorted(Path(target).iterdir())}
