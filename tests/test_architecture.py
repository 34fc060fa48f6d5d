"""ARCHITECTURE.md names every folder and file there is, and stays short enough to read."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from tests import REPOSITORY
from tests.architecture import DOCUMENT, ROOMS, has_files, listing, subject, with_listing


def test_the_document_lists_every_file_as_it_is() -> None:
    text = DOCUMENT.read_text("utf-8")
    assert text == with_listing(text, REPOSITORY), "run python -m tests.architecture"
    assert len(text.splitlines()) <= 150


def test_every_file_says_its_subject() -> None:
    for line in listing(REPOSITORY):
        assert not re.search(r"`\w+(\.py|/)` ?(;|$)", line), f"a file without a docstring: {line[:60]}"
    assert subject(REPOSITORY / "tests" / "arrows.py").startswith("The import arrows")


def test_no_two_files_have_one_subject() -> None:
    files = [path for room in ROOMS for path in (REPOSITORY / room).rglob("*.py") if path.name != "__init__.py"]
    found = Counter(map(subject, files))
    assert [said for said, count in found.items() if count > 1] == []


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ("A path, bytes, file or array -> RGB: upright", "A path, bytes, file or array -> RGB"),
        ("What the lock page, the install page\nand the rest say, in English and Hebrew", None),
        ("campus.json: the manifest of a bundle. Read first.", "campus.json: the manifest of a bundle"),
        ("Small pictures, and how large (192 px).\n\nMore.", "Small pictures, and how large (192 px)"),
    ],
)
def test_a_subject_is_cut_where_its_sentence_allows(tmp_path: Path, document: str, said: str | None) -> None:
    (tmp_path / "a.py").write_text(f'"""{document}"""\n')
    assert subject(tmp_path / "a.py") == (said or document.replace("\n", " "))


@pytest.mark.parametrize("top", [*ROOMS, "docs", "scripts", "static", "tests"])
def test_every_folder_is_named(top: str) -> None:
    """By its own path, or by its path from the folder that its line is about; tests that mirror a room need no name."""
    lines = DOCUMENT.read_text("utf-8").splitlines()
    named = {
        path.as_posix()
        for line in lines
        if (about := next(iter(re.findall(r"`([\w/]+/)`", line)), None))
        for name in re.findall(r"`([\w/]+/)`", line)
        for path in (Path(name), Path(about, name))
    }
    for folder in (REPOSITORY / top, *(path for path in (REPOSITORY / top).rglob("*") if path.is_dir())):
        if not has_files(folder):  # but compiled ones, of a folder that is no more
            continue
        path = folder.relative_to(REPOSITORY)
        mirrored = top == "tests" and (REPOSITORY / path.relative_to("tests")).is_dir()
        kept = any(part[0] in "._" for part in path.parts) or "slice" in path.parts[:-1]
        if not mirrored and not kept:
            assert path.as_posix() in named, path


def test_the_readme_is_short_and_its_links_lead_somewhere() -> None:
    text = (REPOSITORY / "README.md").read_text("utf-8")
    assert len(text.splitlines()) <= 140
    documents = [REPOSITORY / "README.md", DOCUMENT, *(REPOSITORY / "docs").glob("*.md")]
    for document in documents:
        for link in re.findall(r"\]\(([^)#]+)", document.read_text("utf-8")):
            if "://" not in link:
                assert (document.parent / link).exists(), f"{document.name}: {link}"
