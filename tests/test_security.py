"""SECURITY.md: each promise names tests, and each test that it names is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from tests import REPOSITORY

TESTS = REPOSITORY / "tests"


def promised() -> str:
    text = (REPOSITORY / "SECURITY.md").read_text("utf-8")
    return text.partition("## What is promised")[2].partition("\n## ")[0]


def named(text: str) -> Iterator[PurePosixPath]:
    """Test files named in a text; one without a folder lies in the folder of the one named before it."""
    folder = PurePosixPath()
    for name in re.findall(r"`([\w/]*test_\w+\.py)`", text):
        path = PurePosixPath(name)
        if len(path.parts) > 1:
            folder = path.parent
        yield folder / path.name


def test_each_test_that_is_named_is_there_and_holds_tests() -> None:
    found = set(named(promised()))
    assert len(found) > 20
    absent = [path for path in found if not (TESTS / path).is_file()]
    assert absent == []
    for path in found:
        assert re.search(r"^ *(?:async )?def test_", (TESTS / path).read_text("utf-8"), re.MULTILINE), path


def test_each_promise_names_its_tests() -> None:
    """A group begins with words in bold; one without items is a promise itself."""
    groups = re.split(r"^(?=\*\*)", promised(), flags=re.MULTILINE)[1:]
    assert len(groups) >= 7
    for group in groups:
        first, *items = re.split(r"^- ", group, flags=re.MULTILINE)
        for promise in items or [first]:
            assert list(named(promise)), promise
