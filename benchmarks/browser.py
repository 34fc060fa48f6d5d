"""A real browser for benchmarks and tests: Chromium that resolves no name but localhost and needs no screen."""

from __future__ import annotations

import shutil
from typing import Any

_FLAGS = (
    "--headless=new --no-sandbox --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --use-angle=swiftshader --enable-unsafe-swiftshader "
    "--ignore-gpu-blocklist --use-fake-device-for-media-stream --use-fake-ui-for-media-stream"
)
_BLOCKED = "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE localhost , EXCLUDE 127.0.0.1"


class NoBrowser(Exception):
    """Chromium is not installed; the message says how it is."""


def launch(kind: Any, *flags: str) -> Any:
    """Start Chromium with more flags; `kind` is Playwright's `chromium`, or a browser's `browser_type`.

    Raises NoBrowser where there is none.
    """
    chromium = next((path for name in ("chromium", "google-chrome") if (path := shutil.which(name))), None)
    if chromium is None:
        raise NoBrowser("no Chromium: apt-get install chromium")
    return kind.launch(
        executable_path=chromium, ignore_default_args=["--headless"], args=[*_FLAGS.split(), _BLOCKED, *flags]
    )
