"""Which campuses there are, taking in a `.campus` file that someone uploads, and packing one to download."""

from __future__ import annotations

import hashlib
import io
import json
import shlex
import tempfile
import zipfile
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path, PurePosixPath
from uuid import uuid4

from app.settings import settings
from app.sighting import thumbnail
from app.trial import MAX_SAMPLES, check_campus
from core.campus.bundle import Bundle
from core.campus.file_names import CAMPUS_JSON, EDGE_MODEL
from core.campus.samples import sample_photos
from core.campus.zone_names import renamed
from core.errors import BundleError, CampusError
from core.locate.localizer import DEMO_BUNDLE
from core.program import typed

MAX_CAMPUS_MB = 200
MAX_TAKEN_IN = 8  # uploaded campuses kept at a time; the oldest makes room
SAMPLE_PX = 168
PROJECT = DEMO_BUNDLE.parent.parent
PACK_SUFFIX = ".campus-edge"
_EXPORT_MANIFEST = "manifest.json"
_WEIGHTS = "model.safetensors"  # what an export is made from
_TRIAL = ".trial.campus"


def installed(folder: Path = DEMO_BUNDLE.parent) -> list[Path]:
    """The bundles to choose from: the default one first, then the others in the folder of campuses."""
    found = [settings().bundle or DEMO_BUNDLE]
    if folder.is_dir():
        others = sorted(path for path in folder.iterdir() if path.suffix == ".campus" or (path / CAMPUS_JSON).is_file())
        found += [path for path in others if path.resolve() != found[0].resolve()]
    return found


@lru_cache(maxsize=1)
def _workshop() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="campus-gps-")


def _folder() -> Path:
    """Where uploaded campuses lie; made again where whatever cleans temporary files took it."""
    if not Path(_workshop().name).is_dir():
        _workshop().cleanup()
        _workshop.cache_clear()
    return Path(_workshop().name)


def taken_in(data: bytes, name: str) -> Path:
    """Keep an uploaded `.campus` file while this process lives, once it proves whole and usable.

    It is checked as any bundle is (schema, every hash), its networks are read as data, and then it must answer its own
    samples in a process of its own (`check_campus`). Raises CampusError, and OSError where the disk refuses, and then
    keeps nothing.
    """
    path = _folder() / f"{_digest(data)}.campus"
    if path.exists():
        return path
    trial = path.with_suffix(_TRIAL)
    try:
        trial.write_bytes(data)
        check_campus(trial)
        _make_room(path.parent)
        trial.rename(path)
    except CampusError as error:
        # The message names the file by its place on the server, which means nothing to whoever uploaded it.
        raise error.replace(path=name) from error
    finally:
        trial.unlink(missing_ok=True)
    return path


def zones_named(bundle: Bundle, names: Mapping[int, str]) -> Path:
    """Name zones by number from 1, in place; of an uploaded campus, which others may have sent too, in another file.

    Gives the path of what has the names. Raises CampusError as `renamed` does, and OSError.
    """
    folder = _folder()
    if bundle.path.parent != folder:
        return renamed(bundle, names, bundle.path).path
    fresh = folder / f"{uuid4().hex}{_TRIAL}"
    try:
        renamed(bundle, names, fresh)
        _make_room(folder)
        return fresh.rename(folder / f"{_digest(fresh.read_bytes())}.campus")
    finally:
        fresh.unlink(missing_ok=True)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:24]


def _make_room(folder: Path) -> None:
    kept = sorted(folder.glob("*.campus"), key=lambda path: path.stat().st_mtime_ns)
    kept = [path for path in kept if not path.name.endswith(_TRIAL)]
    for path in kept[: max(0, len(kept) - MAX_TAKEN_IN + 1)]:
        path.unlink(missing_ok=True)


def packed(bundle: Bundle) -> bytes:
    """The bundle as the bytes of a `.campus` file."""
    if bundle.path.is_file():
        return bundle.path.read_bytes()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in (CAMPUS_JSON, *bundle.manifest.files):
            archive.writestr(name, (bundle.path / name).read_bytes() if name == CAMPUS_JSON else bundle.read(name))
    return buffer.getvalue()


def file_name(bundle: Bundle) -> str:
    """A name to download it by: letters, digits, dashes and underscores of the campus's own name."""
    kept = "".join(char if char.isalnum() or char in "-_" else "-" for char in bundle.manifest.name.strip())
    return f"{kept.strip('-')[:60] or 'campus'}.campus"


def edge_packs(bundle: Bundle) -> list[Path]:
    """The files that may be this bundle's pack for a device: itself, or those beside it."""
    if bundle.path.suffix == PACK_SUFFIX:
        return [bundle.path]
    return sorted(bundle.path.resolve().parent.glob(f"*{PACK_SUFFIX}"))


def is_pack_of(path: Path, bundle: Bundle) -> bool:
    """Whether the pack at `path` is whole and was made from this bundle as it now is."""
    if path == bundle.path:
        return True
    try:
        pack = Bundle.load(path)
        return _made_from(pack.read(f"{PurePosixPath(EDGE_MODEL).parent}/{_EXPORT_MANIFEST}")) == bundle.manifest.digest
    except (BundleError, OSError, KeyError):
        return False  # damaged, unfinished or of another kind: then the commands that make a good one are told


def _made_from(manifest: bytes) -> str:
    """The digest of the bundle that an export was made from, as its manifest tells; empty where it does not."""
    try:
        plain = json.loads(manifest)
    except ValueError:
        return ""
    return str(plain.get("bundle_digest", "")) if isinstance(plain, dict) else ""


def pack_commands(bundle: Bundle) -> list[str]:
    """What to type in the project's folder to make this bundle's pack; nothing where it holds no weights to export.

    A bundle inside that folder is named by its path there, and its pack will lie beside it; any other by the file that
    the page gives to download. An export that lies beside the bundle is not made again.
    """
    if _WEIGHTS not in bundle.manifest.files:
        return []
    path = bundle.path.resolve()
    at = path.relative_to(PROJECT) if path.is_relative_to(PROJECT) else Path(file_name(bundle))
    folder, out = at.with_name(f"{at.stem}-export"), at.with_suffix(PACK_SUFFIX)
    manifest = PROJECT / folder / _EXPORT_MANIFEST
    commands = [_command("pack", at, folder, out=out)]
    if not manifest.is_file() or _made_from(manifest.read_bytes()) != bundle.manifest.digest:
        commands.insert(0, _command("export", at, out=folder))
    return commands


def _command(name: str, *words: Path, out: Path) -> str:
    """A command of the edge room that replaces what an earlier state of the bundle left at `out`."""
    command = f"{typed('edge')} {shlex.join([name, *(word.as_posix() for word in words), '--out', out.as_posix()])}"
    return f"{command} --force" if (PROJECT / out).exists() else command


def sample_pictures(bundle: Bundle) -> list[tuple[str, str]]:
    """(name, small picture in a data URL) of the first sample photos. Raises PhotoError for one that is none."""
    return [(name, thumbnail(photo.rgb, SAMPLE_PX)) for name, photo in sample_photos(bundle, SAMPLE_PX, MAX_SAMPLES)]


def sample_label(name: str) -> str:
    """`samples/library_03.jpg` -> `library 03`."""
    return Path(name).stem.replace("_", " ").replace("-", " ")


def title(path: Path) -> str:
    """The name a bundle gives itself, unchecked, for a list to choose from; else its file name."""
    try:
        if path.is_dir():
            text = (path / CAMPUS_JSON).read_bytes()
        else:
            with zipfile.ZipFile(path) as archive:
                text = archive.open(CAMPUS_JSON).read(1 << 24)
        name = json.loads(text)["name"]
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile, RuntimeError):
        return path.stem
    return name if isinstance(name, str) and name.strip() else path.stem


def labels(files: Mapping[Path, str]) -> dict[Path, str]:
    """What a list calls each campus, by the name of its file: its title, and where that is not enough, more."""
    titles = {path: title(path) for path in files}
    found: dict[Path, str] = {}
    for number, (path, said) in enumerate(titles.items(), start=1):
        label = f"{said} ({files[path]})" if list(titles.values()).count(said) > 1 else said
        found[path] = f"{label} {number}" if label in found.values() else label
    return found
