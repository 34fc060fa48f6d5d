"""Chromium as tests start it: what is drawn without a graphics processor costs as little as it can."""

from __future__ import annotations

from typing import Any

from benchmarks.browser import launch

# Chromium's software for WebGL draws pages as well unless told otherwise, which doubles what a visit costs it; and
# it builds the map's programs, seconds of work, for each page anew unless they are kept in one place.
_SPARING = (
    "--disable-gpu-rasterization",
    "--disable-gpu-compositing",
    "--enable-angle-features=preferGlobalPipelineCache",
)


def start(kind: Any, *flags: str) -> Any:
    """As `benchmarks.browser.launch`."""
    return launch(kind, *_SPARING, *flags)
