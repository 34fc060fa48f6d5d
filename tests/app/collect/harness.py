"""A server with an inbox that the tests of its pages kill and start again, and what they do on these pages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.collect.inbox import Inbox
from benchmarks.serving import Served, free_port, start
from core.campus.frame import LocalFrame
from tests.app.harness import Visit
from tests.bundles import photo

FRAME = LocalFrame.about(47.0, 8.4)
HERE = (47.0001, 8.4003)
KEPT = "document.documentElement.dataset.kept === 'yes'"
# The server hears what the page sends to its inbox, and the page hears no answer until `heard` is set.
LOSE_ANSWERS = (
    "() => { const real = fetch; window.fetch = async (path, asked) => {"
    " if (window.heard || path !== '/v1/inbox') return real(path, asked);"
    " const { status } = await real(path, asked); window.lost ??= status; throw new TypeError('lost'); }; }"
)
# A phone's GPS tells its place again and again, a browser's stand-in once: after 30 s the page would hold it for lost.
GPS_GOES_ON = """{
  const { geolocation } = navigator, real = geolocation?.watchPosition.bind(geolocation);
  if (geolocation) geolocation.watchPosition = (told, ...others) => {
    let last = null;
    setInterval(() => last && !window.gpsLost && told({ coords: last, timestamp: Date.now() }), 1000);
    return real((position) => { last = position.coords; told(position); }, ...others);
  };
}"""

Open = Callable[..., Visit]


class Site:
    """A server with an inbox that can be killed and started again at its address."""

    def __init__(self, folder: Path, bundle: Path) -> None:
        self.keys, self.bundle, self.inbox = folder / "keys", bundle, Inbox(folder / "inbox")
        self.served = self._start(str(free_port()))

    def _start(self, port: str) -> Served:
        return start(self.keys, self.bundle, "--port", port, "--inbox", str(self.inbox.folder))

    def kill(self) -> None:
        self.served.process.kill()
        self.served.process.wait(20)

    def again(self) -> None:
        self.served = self._start(str(self.served.port))


def take(seen: Visit, *photos: bytes) -> None:
    for data in photos:
        before = counted(seen)
        seen.page.locator("#file").set_input_files({"name": "p.jpg", "mimeType": "image/jpeg", "buffer": data})
        seen.page.evaluate("() => busy")  # until the page has judged it
        seen.page.wait_for_function("(before) => records.length > before", arg=before)
        if seen.page.locator("#keep").is_visible():  # the test's stripes are no campus, and may count as blurred
            seen.page.locator("#keep").click()
            seen.page.locator("#choose").wait_for(state="hidden")


def counted(seen: Visit) -> int:
    return int(seen.page.evaluate("records.length"))


def tap_map(seen: Visit, east_m: float, north_m: float) -> None:
    """Tap the map at a place in local metres, once it lies still."""
    at = seen.page.wait_for_function(
        """({ place, last }) => {
          const onScreen = map?.svg.getScreenCTM();
          if (!onScreen) return false;
          const { x, y } = new DOMPoint(...place).matrixTransform(onScreen);
          last.frames = x === last.x && y === last.y ? last.frames + 1 : 0;
          [last.x, last.y] = [x, y];
          return last.frames > 10 && [x, y];
        }""",
        arg={"place": [east_m, -north_m], "last": seen.page.evaluate_handle("({ frames: 0 })")},
    )
    seen.page.mouse.click(*at.json_value())


def middle_at_rest(ground: Any) -> tuple[float, float]:
    """(x, y) of an element's middle on the screen, once it has not moved for some frames."""
    box = ground.evaluate(
        """(element) => new Promise((resolve) => {
          let frames = 0, last = "";
          const look = () => {
            const { x, y, width, height } = element.getBoundingClientRect(), now = [x, y, width, height].join();
            frames = now === last ? frames + 1 : 0;
            last = now;
            frames > 10 ? resolve([x + width / 2, y + height / 2]) : requestAnimationFrame(look);
          };
          look();
        })"""
    )
    return box[0], box[1]


def stop(east_m: float, count: int = 4) -> list[bytes]:
    return [photo(east_m=east_m + 0.8 * index, north_m=5.0, view=index + 1) for index in range(count)]


def sent(seen: Visit, count: int) -> None:
    seen.page.get_by_text(f"0 waiting · {count} sent").wait_for()
