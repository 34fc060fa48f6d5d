"""Gives the package its dependencies: those of the requirements files, which alone name them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

EXTRAS = ("train", "cluster", "receivers", "dev")  # each those of requirements-EXTRA.txt


class RequirementsHook(MetadataHookInterface):
    def update(self, metadata: dict[str, Any]) -> None:
        """Fill in `dependencies` and `optional-dependencies`."""
        root = Path(self.root)
        metadata["dependencies"] = requirements(root / "requirements.txt")
        metadata["optional-dependencies"] = {
            extra: list(dict.fromkeys(requirements(root / f"requirements-{extra}.txt"))) for extra in EXTRAS
        }


def requirements(file: Path) -> list[str]:
    """The requirements that a file names, and those of the files that it includes (-r), without comments."""
    found: list[str] = []
    for line in file.read_text(encoding="utf-8").splitlines():
        line = line.partition("#")[0].strip()
        if line.startswith("-r "):
            found += requirements(file.parent / line.removeprefix("-r ").strip())
        elif line:
            found.append(line)
    return found
