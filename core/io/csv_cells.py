"""Escape CSV cells against formula injection: texts of others (file names, zones) that a spreadsheet would run."""

from __future__ import annotations

import re
from typing import TypeVar

# What starts a formula in a spreadsheet (OWASP, CSV injection), in East Asian width too; apostrophes may stand before.
_FORMULA = re.compile(r"'*(?:[\t\r\n]|\s*[=+\-@＝＋－＠])")
Cell = TypeVar("Cell")


def harmless(cell: Cell) -> Cell | str:
    """A text that would start a formula gets an apostrophe in front; numbers, also as text, stay as they are."""
    if not isinstance(cell, str) or not _FORMULA.match(cell) or _is_number(cell):
        return cell
    return "'" + cell


def as_it_was(text: str) -> str:
    """The text that `harmless` was given."""
    rest = text[1:]
    return rest if text.startswith("'") and harmless(rest) != rest else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
