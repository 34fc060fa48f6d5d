"""Why a photo or a campus cannot be used, as a plain sentence in the page's language."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from core.errors import CampusError, PhotoError

if TYPE_CHECKING:
    from app.texts import Texts

# What the message says -> the key of its sentence; the first that fits stands.
_PHOTO = (
    (r"is damaged", "reason_damaged"),
    (r"is empty \(0 bytes\)|an empty photo", "reason_empty"),
    (r"megapixels|is longer than|too much memory|not enough memory|larger than|too long", "reason_too_big"),
    (r"save it as", "reason_format"),
    (r"try again", "reason_not_arrived"),
)
_CAMPUS = (
    (r"copy (the bundle|it) again", "reason_copy_campus"),
    (r"update the program", "reason_other_version"),
    (r"make the bundle again", "reason_make_campus"),
    (r"no such campus", "reason_no_campus"),
)


def reason(error: CampusError, texts: Texts) -> str:
    """An error as a sentence; one of a campus keeps its own words behind it, since they name the part at fault."""
    said = " ".join(str(error).split())
    if isinstance(error, PhotoError):
        key = next((key for pattern, key in _PHOTO if re.search(pattern, said)), None)
        return texts[key] if key else _sentence(error.reason)
    key = next((key for pattern, key in _CAMPUS if re.search(pattern, said)), None)
    return f"{texts[key]} ({texts.isolated(said)})" if key else texts.isolated(said)


def _sentence(said: str) -> str:
    return said[:1].upper() + said[1:] + ("" if said.endswith((".", "?", "!")) else ".")
