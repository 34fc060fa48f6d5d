"""Every error this project raises on purpose.

CampusError                 one clear line for the person: what is wrong, and the remedy
├── PhotoError              a photo cannot be read or used
├── BundleError             a campus bundle is missing, damaged, or of another version
├── DatasetError            a photo folder, label file or dataset cannot be trained on
├── MapError                a map cannot be read or fetched
├── EngineError             an inference engine cannot be made or gave unusable output
├── TimeReversed            a photo of a walk is older than the one before it
└── MissingDependency       an optional package is absent; names the requirements file that brings it

Command lines print the message alone on standard error and exit with code 2; what the disk refuses (OSError) they print
the same way (see `run_cli`).
"""

from __future__ import annotations

from core.program import PACKED_REQUIREMENTS, running_pack


class CampusError(Exception):
    """A problem the person can do something about; `str(error)` is one line naming the thing and the remedy."""


class PhotoError(CampusError):
    """A photo cannot be read or used."""


class BundleError(CampusError):
    """A campus bundle is missing, damaged, or of another version."""


class DatasetError(CampusError):
    """A photo folder, label file or dataset cannot be trained on."""


class MapError(CampusError):
    """A map cannot be read or fetched."""


class EngineError(CampusError):
    """An inference engine cannot be made or gave unusable output."""


class TimeReversed(CampusError):
    """A photo of a walk is older than the one before it, or its time is no number."""


class MissingDependency(CampusError):
    """The package `package` is not installed; the file `requirements` brings it.

    On a device numpy and Pillow are the system's, and a pack holds requirements-jetson.txt alone, so there any other
    package is named by itself.
    """

    def __init__(self, package: str, requirements: str) -> None:
        super().__init__(package, requirements)

    def __str__(self) -> str:
        package, requirements = self.args
        pack, source = running_pack(), f"-r {requirements}"
        if pack is not None and package in ("numpy", "pillow"):
            return f"{package} is not installed: sudo apt install python3-numpy python3-pil"
        if pack is not None and requirements == PACKED_REQUIREMENTS:
            source = f"{source} (`unzip {pack} {requirements}` takes it out of the pack)"
        elif pack is not None:
            source = package
        return f"{package} is not installed: pip install {source}"


def reason_of(error: Exception) -> str:
    """What an exception of a library says, in one line of at most 200 characters, or its kind where it says nothing.

    zipfile and Pillow put pieces of a damaged file into theirs, as long as that file likes.
    """
    return in_a_line(str(error)) or type(error).__name__


def in_a_line(text: str) -> str:
    """A stranger's text as a message may repeat it: its first 200 characters, without line breaks."""
    return " ".join(text.split())[:200]
