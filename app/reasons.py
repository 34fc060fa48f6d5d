"""Why a photo or a campus cannot be used, as a plain sentence in the page's language."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.errors import CampusError, Kind, PhotoError

if TYPE_CHECKING:
    from app.texts import Texts

PHOTO: dict[Kind, str] = {
    "damaged": "reason_damaged",
    "empty": "reason_empty",
    "incomplete": "reason_not_arrived",
    "too large": "reason_too_big",
    "unknown format": "reason_format",
}
_CAMPUS: dict[Kind, str] = {
    "absent": "reason_no_campus",
    "damaged": "reason_copy_campus",
    "empty": "reason_copy_campus",
    "too large": "reason_large_campus",
    "unknown format": "reason_make_campus",
    "unusable": "reason_make_campus",
    "version": "reason_other_version",
}


def reason(error: CampusError, texts: Texts) -> str:
    """An error as a sentence; one of a campus keeps its own words behind it, since they name the part at fault."""
    if isinstance(error, PhotoError):
        key = PHOTO.get(error.kind)
        return texts[key] if key else _sentence(error.reason)
    key, said = _CAMPUS.get(error.kind), texts.isolated(" ".join(str(error).split()))
    return f"{texts[key]} ({said})" if key else said


def _sentence(said: str) -> str:
    return said[:1].upper() + said[1:] + ("" if said.endswith((".", "?", "!")) else ".")
