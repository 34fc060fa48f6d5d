"""Campus GPS: a photo of a place on campus in; position, error radius and zone out.

from core import Localizer
fix = Localizer.load().locate("photo.jpg")
print(fix.lat, fix.lon, fix.radius68_m, fix.zone.name)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from core.locate.fix import Fix as Fix
    from core.locate.localizer import Localizer as Localizer
    from core.locate.localizer import predict_gps as predict_gps

__all__ = ["Fix", "Localizer", "predict_gps"]

_HOME = {"Fix": "core.locate.fix", "Localizer": "core.locate.localizer", "predict_gps": "core.locate.localizer"}


def __getattr__(name: str) -> Any:
    # Imported where first used: `import core` stays instant for a command line that only prints its help.
    if name not in _HOME:
        raise AttributeError(f"module 'core' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
