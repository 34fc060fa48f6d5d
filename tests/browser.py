"""A real browser for tests: Chromium that can resolve no name but localhost, and draws without a screen."""

from __future__ import annotations

import shutil
from typing import Any

import pytest

_FLAGS = (
    "--headless=new --no-sandbox --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --use-angle=swiftshader --enable-unsafe-swiftshader "
    "--ignore-gpu-blocklist --use-fake-device-for-media-stream --use-fake-ui-for-media-stream"
)
_BLOCKED = "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE localhost , EXCLUDE 127.0.0.1"


def launch(kind: Any, *flags: str) -> Any:
    """Start Chromium with more flags, or skip; `kind` is Playwright's `chromium`, or a browser's `browser_type`."""
    chromium = next((path for name in ("chromium", "google-chrome") if (path := shutil.which(name))), None)
    if chromium is None:
        pytest.skip("no Chromium: apt-get install chromium")
    return kind.launch(
        executable_path=chromium, ignore_default_args=["--headless"], args=[*_FLAGS.split(), _BLOCKED, *flags]
    )
