"""The files of every room with their subjects, for ARCHITECTURE.md: `python -m tests.architecture` writes them anew.

A file says its subject in the first sentence of its docstring, which stands in the document up to a colon or semicolon.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

from tests import REPOSITORY

ROOMS = ("core", "train", "edge", "app", "benchmarks")
DOCUMENT = REPOSITORY / "ARCHITECTURE.md"
START, END = "<!-- files: python -m tests.architecture -->", "<!-- /files -->"
_END = re.compile(r"(?<=.{16})(?:: |; |\. )")  # a name alone, as `campus.json`, is no subject
# Folders without Python have no docstring.
PAGES = {
    "app/collect/pages": "The pages that collect and review, with their scripts and styles",
    "app/frontend": "Styles, scripts and markup of the app's own components",
    "app/serve/pages": "The lock, install and offline pages, and the service worker",
}


def subject(path: Path) -> str:
    """The first sentence of a file's docstring, up to a colon or semicolon, without its full stop."""
    first = (ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").partition("\n\n")[0]
    return _END.split(" ".join(first.split()), maxsplit=1)[0].rstrip(".:;")


def listing(root: Path) -> list[str]:
    """A line a folder: its own subject, then each file's, then each folder's in it that holds no Python."""
    folders = sorted({path.parent for room in ROOMS for path in (root / room).rglob("*.py")})
    return [_line(folder, root) for folder in folders]


def _line(folder: Path, root: Path) -> str:
    files = [path for path in sorted(folder.glob("*.py")) if path.name != "__init__.py"]
    init = folder / "__init__.py"
    said = subject(init) if init.exists() else ""
    named = [f"`{path.name}` {subject(path)}" for path in files]
    named += [f"`{path.name}/` {PAGES.get(path.relative_to(root).as_posix(), '')}" for path in _without_python(folder)]
    inside = "; ".join(named)
    return f"- **`{folder.relative_to(root).as_posix()}/`** {said}".rstrip() + (f" — {inside}" if inside else "")


def _without_python(folder: Path) -> list[Path]:
    inner = (path for path in sorted(folder.iterdir()) if path.is_dir() and path.name[0] not in "._")
    return [path for path in inner if has_files(path) and not any(path.rglob("*.py"))]


def has_files(folder: Path) -> bool:
    """Whether a folder holds more than what Python compiled."""
    return any(path.is_file() and path.suffix != ".pyc" for path in folder.rglob("*"))


def with_listing(text: str, root: Path) -> str:
    """The document with the listing between its marks."""
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    return "\n".join([before + START, *listing(root), END + after])


if __name__ == "__main__":
    DOCUMENT.write_text(with_listing(DOCUMENT.read_text("utf-8"), REPOSITORY), "utf-8")
