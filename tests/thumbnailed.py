"""The test campus with a small picture of each gallery photo."""

from __future__ import annotations

from pathlib import Path

from core.campus.bundle import Bundle, save_bundle
from core.campus.file_names import THUMBNAILS
from core.campus.thumbnails import Thumbnails
from tests.bundles import photo


def with_thumbnails(plain: Path, out: Path) -> Bundle:
    """Each picture has the colours of its place, as `photo` has."""
    bundle = Bundle.load(plain)
    assert bundle.gallery is not None
    pictures = [photo(east_m=east, north_m=north, size=(160, 120)) for east, north in bundle.gallery.local_m.tolist()]
    files = {name: bundle.read(name) for name in bundle.manifest.files}
    return save_bundle(out, bundle.manifest, files | {THUMBNAILS: Thumbnails.of(pictures).file()})
