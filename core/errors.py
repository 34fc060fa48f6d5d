"""Every error this project raises on purpose.

CampusError                 one clear line for the person: what is wrong, and the remedy
├── PhotoError              a photo cannot be read or used
├── BundleError             a campus bundle is missing, damaged, or of another version
├── DatasetError            a photo folder, label file or dataset cannot be trained on
├── EngineError             an inference engine cannot be made or gave unusable output
└── MissingDependency       an optional package is absent; names the requirements file that brings it

Command lines print the message alone on standard error and exit with code 2 (see `run_cli`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from core.program import PACKED_REQUIREMENTS, running_pack


class CampusError(Exception):
    """A problem the person can do something about; `str(error)` is one line naming the thing and the remedy."""


class PhotoError(CampusError):
    """A photo cannot be read or used."""


class BundleError(CampusError):
    """A campus bundle is missing, damaged, or of another version."""


class DatasetError(CampusError):
    """A photo folder, label file or dataset cannot be trained on."""


class EngineError(CampusError):
    """An inference engine cannot be made or gave unusable output."""


class MissingDependency(CampusError):
    """The package `package` is not installed; the file `requirements` brings it.

    A pack brings requirements-jetson.txt alone, so there any other package is named by itself.
    """

    def __init__(self, package: str, requirements: str) -> None:
        super().__init__(package, requirements)

    def __str__(self) -> str:
        package, requirements = self.args
        pack, source = running_pack(), f"-r {requirements}"
        if pack is not None and requirements == PACKED_REQUIREMENTS:
            source = f"{source} (`unzip {pack} {requirements}` takes it out of the pack)"
        elif pack is not None:
            source = package
        return f"{package} is not installed: pip install {source}"


def run_cli(main: Callable[[], int]) -> int:
    """Run a command line's `main` and return its exit code; a CampusError becomes one line on stderr and code 2."""
    try:
        return main()
    except CampusError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # The reader of our output went away (`… | head`): not an error of ours, and no traceback helps.
        sys.stderr.close()
        return 0
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        print(f"error: {place}{error.strerror or error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
