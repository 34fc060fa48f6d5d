"""The files of every room with their subjects, for ARCHITECTURE.md: `python -m tests.architecture` writes them anew.

A file says its subject in the first line of its docstring; the first clause of it stands in the document.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

from tests import REPOSITORY

ROOMS = ("core", "train", "edge", "app", "benchmarks")
DOCUMENT = REPOSITORY / "ARCHITECTURE.md"
START, END = "<!-- files: python -m tests.architecture -->", "<!-- /files -->"
_CLAUSE = re.compile(r"(?<=.{12})(?:: |; |, |\. | \(|, and )")


def subject(path: Path) -> str:
    """The first clause of a file's docstring, without its full stop."""
    first = (ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").partition("\n")[0]
    return _CLAUSE.split(first, maxsplit=1)[0].rstrip(".:;")


def listing(root: Path) -> list[str]:
    """A line a folder: its own subject, then each file's; folders without Python are left out."""
    folders = sorted({path.parent for room in ROOMS for path in (root / room).rglob("*.py")})
    return [_line(folder, root) for folder in folders]


def _line(folder: Path, root: Path) -> str:
    files = [path for path in sorted(folder.glob("*.py")) if path.name != "__init__.py"]
    init = folder / "__init__.py"
    said = subject(init) if init.exists() else ""
    inside = "; ".join(f"`{path.name}` {subject(path)}" for path in files)
    return f"- **`{folder.relative_to(root).as_posix()}/`** {said}".rstrip() + (f" — {inside}" if inside else "")


def with_listing(text: str, root: Path) -> str:
    """The document with the listing between its marks."""
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    return "\n".join([before + START, *listing(root), END + after])


if __name__ == "__main__":
    DOCUMENT.write_text(with_listing(DOCUMENT.read_text("utf-8"), REPOSITORY), "utf-8")
