"""ARCHITECTURE.md names every folder and file there is, and stays short enough to read."""

from __future__ import annotations

import re

from tests import REPOSITORY
from tests.architecture import DOCUMENT, listing, subject, with_listing


def test_the_document_lists_every_file_as_it_is() -> None:
    text = DOCUMENT.read_text("utf-8")
    assert text == with_listing(text, REPOSITORY), "run python -m tests.architecture"
    assert len(text.splitlines()) <= 150


def test_every_file_says_its_subject() -> None:
    for line in listing(REPOSITORY):
        assert not re.search(r"`\w+\.py` ?(;|$)", line), f"a file without a docstring: {line[:60]}"
    assert subject(REPOSITORY / "tests" / "arrows.py").startswith("The import arrows")


def test_the_readme_is_short_and_its_links_lead_somewhere() -> None:
    text = (REPOSITORY / "README.md").read_text("utf-8")
    assert len(text.splitlines()) <= 140
    documents = [REPOSITORY / "README.md", DOCUMENT, *(REPOSITORY / "docs").glob("*.md")]
    for document in documents:
        for link in re.findall(r"\]\(([^)#]+)", document.read_text("utf-8")):
            if "://" not in link:
                assert (document.parent / link).exists(), f"{document.name}: {link}"
