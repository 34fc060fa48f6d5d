"""A real browser for benchmarks and tests: Chromium that resolves no name but localhost and needs no screen."""

from __future__ import annotations

import os
import shutil
from typing import Any

_FLAGS = (
    "--headless=new --no-sandbox --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --use-angle=swiftshader --enable-unsafe-swiftshader "
    "--ignore-gpu-blocklist --use-fake-device-for-media-stream --use-fake-ui-for-media-stream"
)
# Without windows, menus and settings of its own Chromium draws the same page in a sixth less processor time.
_NAMES = ("chromium-headless-shell", "chromium", "google-chrome")
_BLOCKED = "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE localhost , EXCLUDE 127.0.0.1"


class NoBrowser(Exception):
    """Chromium is not installed; the message says how it is."""


def launch(kind: Any, *flags: str, **variables: str) -> Any:
    """Start Chromium with more flags and environment variables; `kind` is Playwright's `chromium`, or a browser's
    `browser_type`.

    Raises NoBrowser where there is none.
    """
    chromium = next((path for name in _NAMES if (path := shutil.which(name))), None)
    if chromium is None:
        raise NoBrowser("no Chromium: apt-get install chromium-headless-shell")
    return kind.launch(
        executable_path=chromium,
        ignore_default_args=["--headless"],
        args=[*_FLAGS.split(), _BLOCKED, *flags],
        env={**os.environ, **variables},
    )


def throttle(devtools: Any, mbit_s: float, latency_ms: float) -> None:
    """Let the network of a page be as slow, both ways; `devtools` is a session of the page's with Network enabled."""
    each_s = mbit_s * 1e6 / 8
    speed = {"downloadThroughput": each_s, "uploadThroughput": each_s}
    devtools.send("Network.emulateNetworkConditions", {"offline": False, "latency": latency_ms, **speed})


# Notes when the camera's button is there, in milliseconds since the page was asked for.
_USABLE = """(() => {
  const look = () => {
    const ways = [...document.querySelectorAll(".st-key-ways *")];
    if (ways.some((part) => part.shadowRoot?.querySelector(".take"))) window.usable_ms = performance.now();
    else requestAnimationFrame(look);
  };
  look();
})()"""
_LOADED_BY_THEN = """performance.getEntriesByType("resource").filter((one) => one.responseEnd <= window.usable_ms)
  .map((one) => one.name)"""


class FirstLoad:
    """What a page fetches over the wire, by Chromium's own count, and when it can be used; websockets are not in it."""

    def __init__(self, page: Any, url: str, mbit_s: float | None = None) -> None:
        """Open the page, with nothing kept from before, and wait until it can be used.

        `mbit_s`: over such a network, 40 ms away. Without one, what comes after the page may come before it is drawn.
        """
        self._page = page
        self._named: dict[str, str] = {}
        self._received: dict[str, float] = {}
        devtools = page.context.new_cdp_session(page)
        devtools.send("Network.enable")
        if mbit_s is not None:
            throttle(devtools, mbit_s, 40)
        devtools.on("Network.responseReceived", self._answered)
        devtools.on("Network.loadingFinished", self._finished)
        page.add_init_script(_USABLE)
        page.goto(url, wait_until="commit")
        page.wait_for_function("window.usable_ms")

    def _answered(self, event: dict[str, Any]) -> None:
        self._named[event["requestId"]] = event["response"]["url"]

    def _finished(self, event: dict[str, Any]) -> None:
        if not self._named.get(event["requestId"], "").startswith(("data:", "blob:")):
            self._received[event["requestId"]] = event["encodedDataLength"]

    @property
    def usable_s(self) -> float:
        """Seconds from the page's address to its camera's button."""
        return float(self._page.evaluate("window.usable_ms")) / 1000

    @property
    def usable_mb(self) -> float:
        """Megabytes that had come by then."""
        page = {self._page.url, self._page.evaluate("performance.getEntriesByType('navigation')[0].name")}
        by_then = {*self._page.evaluate(_LOADED_BY_THEN), *page}
        return sum(size for key, size in self._received.items() if self._named.get(key) in by_then) / 1e6

    def megabytes(self, part: str = "") -> float:
        """All that has come so far, or what came from addresses that hold `part`."""
        return sum(size for key, size in self._received.items() if part in self._named.get(key, "")) / 1e6
