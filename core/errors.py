"""Every error this project raises on purpose.

CampusError                 one clear line for the person: what is wrong, and the remedy
├── PhotoError              a photo cannot be read or used
│   └── MissingDecoder      an optional package that reads photos of its format is absent
├── BundleError             a campus bundle is missing, damaged, or of another version
├── DatasetError            a photo folder, label file or dataset cannot be trained on
├── MapError                a map cannot be read or fetched
├── EngineError             an inference engine cannot be made or gave unusable output
├── TimeReversed            a photo of a walk is older than the one before it
├── OccupiedError           something lies already where a file or folder is to be written
└── MissingDependency       an optional package is absent; names the requirements file that brings it

Each has a `path`, a `reason` and a `remedy`, and a `kind` where a page has a sentence of its own for it, so that
whoever catches one need not take its message apart. Command lines print the message alone on standard error and
exit with code 2; what the disk refuses (OSError) they print the same way (see `run_cli`).
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Literal, TypeVar

from core.program import PACKED_REQUIREMENTS, running_pack

_Error = TypeVar("_Error", bound="CampusError")
Kind = Literal[
    "", "absent", "damaged", "disk", "empty", "full", "incomplete", "too large", "unknown format", "unplaced",
    "unusable", "version",
]  # fmt: skip


class CampusError(Exception):
    """A problem the person can do something about; `str(error)` is one line of path, reason and remedy.

    `path` is the file, folder or photo it is about, `reason` what is wrong, `remedy` what to do; path and remedy are ""
    where a reason says it all. `kind` is what sort of problem it is, for whoever says it in words of their own, ""
    where nobody does: "damaged" needs the same file again, "incomplete" another try, "unusable" a file made anew.
    """

    def __init__(self, reason: str, *, path: str | Path = "", remedy: str = "", kind: Kind = "") -> None:
        super().__init__(reason)
        self.path, self.reason, self.remedy, self.kind = str(path), reason, remedy, kind

    @classmethod
    def unusable(cls: type[_Error], reason: str, *, path: str | Path = "") -> _Error:
        """A bundle, or a network in it, is whole and holds what cannot be used."""
        return cls(reason, path=path, remedy="make the bundle again", kind="unusable")

    def __str__(self) -> str:
        return ": ".join(part for part in (self.path, self.reason, self.remedy) if part)

    def replace(
        self: _Error, *, reason: str | None = None, path: str | Path | None = None, remedy: str | None = None
    ) -> _Error:
        """The same problem as another part of the program tells it: its own words and name for it, its own remedy."""
        other = copy.copy(self)
        other.reason = self.reason if reason is None else reason
        other.path = self.path if path is None else str(path)
        other.remedy = self.remedy if remedy is None else remedy
        return other


class PhotoError(CampusError):
    """A photo cannot be read or used."""


class MissingDecoder(PhotoError):
    """A photo's format needs a package that is absent: the photo is sound, and so is every other of its format."""

    @classmethod
    def of(cls, missing: MissingDependency, photos: str, path: str) -> MissingDecoder:
        """`photos` need the package that is missing, the one at `path` among them."""
        return cls(f"{missing.reason} (needed for {photos})", path=path, remedy=missing.remedy)


class BundleError(CampusError):
    """A campus bundle is missing, damaged, or of another version."""

    @classmethod
    def damaged(cls, reason: str, *, path: str | Path) -> BundleError:
        """It is not as it was made."""
        return cls(reason, path=path, remedy="copy the bundle again", kind="damaged")


class DatasetError(CampusError):
    """A photo folder, label file or dataset cannot be trained on."""


class MapError(CampusError):
    """A map cannot be read or fetched."""


class EngineError(CampusError):
    """An inference engine cannot be made or gave unusable output.

    `step` of the way to a device that mends it: pack, build, build smaller, doctor, or "" for none of them. The command
    line that has a command for it names the command.
    """

    def __init__(
        self, reason: str, *, path: str | Path = "", remedy: str = "", kind: Kind = "", step: str = ""
    ) -> None:
        super().__init__(reason, path=path, remedy=remedy, kind=kind)
        self.step = step


class TimeReversed(CampusError):
    """A photo of a walk is older than the one before it, or its time is no number."""


class OccupiedError(CampusError):
    """Something lies where a file or folder is to be written; one of the same kind is `replaceable` by force."""

    def __init__(self, path: str | Path, kind: str, replaceable: bool) -> None:
        reason = "exists already" if replaceable else f"holds something that is no {kind}"
        super().__init__(reason, path=path, remedy="choose another place" + (", or replace it" if replaceable else ""))
        self.args = (path, kind, replaceable)
        self.replaceable = replaceable


class MissingDependency(CampusError):
    """The package `package` is not installed; the file `requirements` brings it.

    On a device numpy and Pillow are the system's, and a pack holds requirements-jetson.txt alone, so there any other
    package is named by itself.
    """

    def __init__(self, package: str, requirements: str) -> None:
        super().__init__(f"{package} is not installed", remedy=_installation(package, requirements))
        self.args = (package, requirements)


def _installation(package: str, requirements: str) -> str:
    pack = running_pack()
    if pack is None:
        return f"pip install -r {requirements}"
    if package in ("numpy", "pillow"):
        return "sudo apt install python3-numpy python3-pil"
    if requirements == PACKED_REQUIREMENTS:
        return f"pip install -r {requirements} (`unzip {pack} {requirements}` takes it out of the pack)"
    return f"pip install {package}"


def reason_of(error: Exception) -> str:
    """What an exception of a library says, in one line of at most 200 characters, or its kind where it says nothing.

    zipfile and Pillow put pieces of a damaged file into theirs, as long as that file likes.
    """
    return in_a_line(str(error)) or type(error).__name__


def in_a_line(text: str) -> str:
    """A stranger's text as a message may repeat it: its first 200 characters, without line breaks."""
    return " ".join(text.split())[:200]
