"""Names of zones that a person types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from core.campus.bundle import Bundle, save_bundle
from core.errors import CampusError

MAX_NAME = 60  # letters that a map and an answer have room for


def renamed(bundle: Bundle, names: Mapping[int, str], out: Path) -> Bundle:
    """Write the bundle with some zones named by hand, by number from 1, to `out`, which is replaced.

    Raises CampusError where there is no zone of a number, or a name is empty or longer than MAX_NAME.
    """
    zones = list(bundle.manifest.zones)
    for number, name in names.items():
        if not 1 <= number <= len(zones):
            raise CampusError(f"has no zone {number}; they are 1 to {len(zones)}", path=bundle.path)
        plain = " ".join(name.split())
        if not plain or len(plain) > MAX_NAME or not plain.isprintable():
            raise CampusError(
                f"zone {number}: {name[:80]!r} is no name", remedy=f"give 1 to {MAX_NAME} printable letters"
            )
        zones[number - 1] = replace(zones[number - 1], name=plain)
    files = {name: bundle.read(name) for name in bundle.manifest.files}
    return save_bundle(out, bundle.manifest.model_copy(update={"zones": tuple(zones)}), files, force=True)
