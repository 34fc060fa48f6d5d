"""What the app's tests share: a running app, and a visit to it with a browser."""

from __future__ import annotations

import io
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.serving import start_plain
from tests import REPOSITORY
from tests.bundles import photo

SCREENSHOTS = REPOSITORY / "screenshots"
PHONE, SMALL, LANDSCAPE, DESKTOP = (390, 844), (320, 568), (844, 390), (1280, 800)


@dataclass
class Server:
    """A running app."""

    url: str
    process: subprocess.Popen[bytes] = field(repr=False)


def start_app(environment: dict[str, str], port: int | None = None) -> Server:
    """Start the app on a port of this machine (None: a free one) and wait until it answers."""
    return Server(*start_plain(environment, port))


@dataclass
class Visit:
    """A page that is open, and what went wrong on it: requests that left this machine, and console errors."""

    page: Any
    outside: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def clean(self) -> None:
        """Assert that nothing left this machine and nothing of ours failed."""
        assert self.outside == []
        assert self.errors == []
        assert self.page.locator("[data-testid=stException]").count() == 0

    def map_drawn(self) -> None:
        """Wait until the map itself is drawn, not the still picture under it, in more than a few colours."""
        self.page.wait_for_function("document.documentElement.classList.contains('campus-map-drawn')")
        the_map = self.page.locator("[data-testid=stDeckGlJsonChart]")
        the_map.locator("canvas").first.wait_for()
        until = time.monotonic() + 60
        while len(Image.open(io.BytesIO(the_map.screenshot())).convert("RGB").getcolors(1 << 20) or []) <= 50:
            assert time.monotonic() < until, "the map stays empty"
            self.page.wait_for_timeout(100)

    def poor_contrast(self) -> list[str]:
        """Texts in view that stand out from the ground behind them by less than WCAG's AA asks (4.5, large ones 3).

        And switches whose edge, or whose own ground, does by less than 3.
        """
        return list(self.page.evaluate(_POOR_CONTRAST))

    def screenshot(self, name: str) -> None:
        SCREENSHOTS.mkdir(exist_ok=True)
        self.page.wait_for_timeout(400)
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png")


_POOR_CONTRAST = """() => {
  const channels = (text) => text.match(/[0-9.]+/g).map(Number);
  const over = (top, under) => {
    const alpha = top[3] ?? 1;
    return [0, 1, 2].map((at) => alpha * top[at] + (1 - alpha) * under[at]);
  };
  const ground = (element) => {
    if (!element) return [255, 255, 255];
    const colour = channels(getComputedStyle(element).backgroundColor);
    const behind = element.parentElement ?? element.getRootNode().host;
    return (colour[3] ?? 1) === 1 ? colour : over(colour, ground(behind));
  };
  const luminance = (colour) => {
    const [r, g, b] = colour.map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (top, behind) => {
    const [light, dim] = [top, behind].map(luminance).sort((a, b) => b - a);
    return (light + 0.05) / (dim + 0.05);
  };
  const poor = [];
  // Words stand in an element itself and in what the style puts before and after it, each on a ground of its own.
  const worded = (element) => {
    const own = [...element.childNodes].filter((node) => node.nodeType === 3).map((node) => node.data).join("").trim();
    const put = ["::before", "::after"].map((part) => {
      const style = getComputedStyle(element, part), content = style.content.match(/^"(.*)"$/)?.[1] ?? "";
      const shown = style.display !== "none" && style.visibility === "visible" && Number(style.opacity) > 0;
      return { text: shown ? content : "", style, behind: over(channels(style.backgroundColor), ground(element)) };
    });
    const itself = { text: own, style: getComputedStyle(element), behind: ground(element) };
    return [itself, ...put].filter(({ text }) => text);
  };
  const look = (root) => {
    for (const element of root.querySelectorAll("*")) {
      if (element.shadowRoot) look(element.shadowRoot);
      const box = element.getBoundingClientRect(), clipped = getComputedStyle(element).clipPath !== "none";
      if (!box.width || !box.height || element.closest("style, script") || clipped) continue;
      if (!element.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
      for (const { text, style, behind } of worded(element)) {
        const stands = ratio(over(channels(style.color), behind), behind);
        const size = parseFloat(style.fontSize), bold = Number(style.fontWeight) >= 700;
        const large = size >= 24 || (size >= 18.66 && bold);
        if (stands < (large ? 3 : 4.5)) poor.push(`${text.slice(0, 40)}: ${stands.toFixed(2)}`);
      }
    }
  };
  look(document.body);
  for (const rail of document.querySelectorAll('[data-testid="stCheckbox"] label > span + div')) {
    const behind = ground(rail.parentElement), edge = getComputedStyle(rail).boxShadow;
    const edged = edge === "none" ? 1 : ratio(channels(edge).slice(0, 3), behind);
    const stands = Math.max(ratio(ground(rail), behind), edged);
    if (stands < 3) poor.push(`a switch's edge: ${stands.toFixed(2)}`);
  }
  return poor;
}"""

# `mapOnPage` and `deckOnPage`; and where deck.gl looks, asked as the scale bar does.
KEPT_SCRIPT = (REPOSITORY / "app/frontend/kept.js").read_text("utf-8")
VIEWPORT = f"{KEPT_SCRIPT} const viewport = () => deckOnPage()?.getViewports()[0];"
# Of each name of a small map whether it is seen, whether a mark lies over the place where it stands, and whether the
# map's edge cuts that.
_NAMES = """(svg) => {
  const map = svg.getBoundingClientRect();
  const marks = [...svg.querySelectorAll("g.mark circle")].map((mark) => mark.getBoundingClientRect());
  return [...svg.querySelectorAll("g.dot:not(.mark)")].map((name) => {
    const { left, right, top, bottom } = name.getBoundingClientRect();
    const meets = right > map.left && left < map.right && bottom > map.top && top < map.bottom;
    const inside = left >= map.left && right <= map.right && top >= map.top && bottom <= map.bottom;
    const under = marks.some((one) => one.right > left && one.left < right && one.bottom > top && one.top < bottom);
    return { seen: name.getAttribute("visibility") !== "hidden", cut: meets && !inside, inside, under };
  });
}"""


def assert_nothing_cuts_a_name_of_a_small_map(svg: Any) -> None:
    """Move the map, a locator of its SVG, by the keyboard over several names."""
    svg.focus()
    svg.press("+")
    left_out = seen = 0
    for key in ["ArrowRight"] * 8 + ["ArrowDown"] * 6 + ["ArrowLeft"] * 12:
        svg.press(key)
        names = svg.evaluate(_NAMES)
        assert [name for name in names if name["seen"] and (name["under"] or not name["inside"])] == [], key
        left_out += sum(name["cut"] for name in names)
        seen += sum(name["seen"] for name in names)
    assert left_out, "the edge met some names"
    assert seen, "others were whole"


Open = Callable[..., Visit]


def two_views(east_m: float, north_m: float) -> list[bytes]:
    """Two photos that the test network places 5 m apart and that are no copies: brighter to one side, and below."""
    ramp = np.linspace(-18, 18, 256)[None, :, None] + np.zeros((256, 1, 1))
    out = []
    for aside_m, shade in ((0.0, ramp), (5.0, ramp.transpose(1, 0, 2))):
        striped = Image.open(io.BytesIO(photo(east_m=east_m + aside_m, north_m=north_m))).convert("RGB")
        colour = np.asarray(striped, np.float64).mean(axis=(0, 1))
        buffer = io.BytesIO()
        Image.fromarray(np.clip(colour + shade, 0, 255).round().astype(np.uint8)).save(buffer, "PNG")
        out.append(buffer.getvalue())
    return out
