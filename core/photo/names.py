"""Which files are photos by their names, for folders; what a file truly is, its first bytes tell (`sniff.py`)."""

from __future__ import annotations

from pathlib import PurePath

# What `load_photo` reads, the commonest first.
PHOTO_SUFFIXES = (
    ".jpg", ".jpeg", ".png", ".webp", ".heic", ".heif", ".hif",
    ".jpe", ".jfif", ".mpo", ".tif", ".tiff", ".bmp", ".gif",
)  # fmt: skip


def is_photo(path: PurePath) -> bool:
    """Whether a file's name is a photo's; hidden files are what other programs have not finished writing."""
    return path.suffix.lower() in PHOTO_SUFFIXES and not path.name.startswith(".")
