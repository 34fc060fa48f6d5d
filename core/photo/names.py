"""The names of photo files: which are photos, for folders, and as text. What a file truly is, `sniff.py` tells."""

from __future__ import annotations

import os
from pathlib import PurePath

# What `load_photo` reads, the commonest first.
PHOTO_SUFFIXES = (
    ".jpg", ".jpeg", ".png", ".webp", ".heic", ".heif", ".hif",
    ".jpe", ".jfif", ".mpo", ".tif", ".tiff", ".bmp", ".gif",
)  # fmt: skip


def is_photo(path: PurePath) -> bool:
    """Whether a file's name is a photo's; hidden files are what other programs have not finished writing."""
    return path.suffix.lower() in PHOTO_SUFFIXES and not path.name.startswith(".")


def as_text(name: str) -> str:
    """A file's name as text that any file and screen takes: each of its bytes that is no UTF-8 becomes \\xNN."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
