"""Names that are programs, in the pages that `evaluate --report` and `health --html` write, shown by Chromium."""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import train.__main__
from core.campus.bundle import Bundle, save_bundle
from core.cli.run import run_cli
from tests.train.grow.walks import scattered, write_walks

# In an element, out of an attribute in either quotes, out of a comment, style, script or title, as an address.
PROBES = (
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(2)>',
    "' onmouseover='alert(3)' autofocus onfocus='alert(4)",
    "--><iframe srcdoc='<b onclick=alert(5)>'>",
    "{{7*7}}${alert(7)}`",
)
BESIDE_FILES = (
    *PROBES,
    "javascript:alert(6)",
    "</style></script></title><script>alert(8)</script>",
    "\u202e<b>desrever</b>",
)

pytestmark = pytest.mark.slow  # a report, and Chromium


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory, pristine: Path) -> dict[str, Path]:
    """Both pages, of a campus, its zones, devices, sessions and photo files that are all called by probes."""
    folder = tmp_path_factory.mktemp("hostile")
    plain = Bundle.load(pristine)
    zones = tuple(
        zone.__class__(probe, zone.centre_m, zone.spread_m, zone.outline_m)
        for zone, probe in zip(plain.manifest.zones, (*BESIDE_FILES, "<b>Law</b>"), strict=True)
    )
    manifest = plain.manifest.model_copy(update={"name": BESIDE_FILES[-2], "zones": zones, "description": PROBES[0]})
    campus = save_bundle(folder / "campus", manifest, {name: plain.read(name) for name in plain.manifest.files}).path
    photos = write_walks(
        folder / "photos", {probe: scattered(20, seed, 60.0) for seed, probe in enumerate(PROBES)}, night=True
    )
    with (photos / "gt.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    with (photos / "gt.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, [*rows[0], "device", "contributor"])
        writer.writeheader()
        for number, row in enumerate(rows):
            probe = BESIDE_FILES[number % len(BESIDE_FILES)]
            writer.writerow({**row, "device": probe, "contributor": probe})
    with pytest.MonkeyPatch.context() as patch:
        for words, codes in (
            (("evaluate", campus, photos, "--report", folder / "report"), (0,)),
            (("health", campus, photos, "--html", folder / "health.html"), (0, 1)),
        ):
            patch.setattr(sys, "argv", ["train", *map(str, words)])
            assert run_cli(train.__main__.main) in codes
    return {"report": folder / "report" / "report.html", "health": folder / "health.html"}


def noting(fired: list[str]) -> Callable[[Any], None]:
    """Notes what a dialog says, and closes it."""

    def close(dialog: Any) -> None:
        fired.append(dialog.message)
        dialog.dismiss()

    return close


@pytest.mark.parametrize("name", ["report", "health"])
def test_names_that_are_programs_are_text(pages: dict[str, Path], browser: Any, name: str) -> None:
    context = browser.new_context()
    page, fired, asked = context.new_page(), list[str](), list[str]()
    page.on("dialog", noting(fired))
    page.on("console", lambda message: fired.append(message.text))
    page.on("pageerror", lambda error: fired.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.set_default_timeout(180_000)
    page.goto(pages[name].as_uri())
    page.evaluate("""() => document.querySelectorAll('*').forEach(element => {
        for (const kind of ['mouseover', 'focus', 'click']) {
            if (element.tagName !== 'A') { element.dispatchEvent(new Event(kind)); }
        }
    })""")
    page.wait_for_timeout(300)
    assert fired == []
    assert [url for url in asked if not url.startswith(("data:", "file:"))] == []
    assert page.locator("script, iframe, object, embed, [src=x], a[href^='javascript']").count() == 0
    # Of our own elements none has an event of its own.
    assert page.evaluate(
        "[...document.querySelectorAll('*')].filter(e => [...e.attributes].some(a => a.name.startsWith('on'))).length"
    ) == 0  # fmt: skip
    said = page.evaluate("document.documentElement.textContent")
    shown = [probe for probe in BESIDE_FILES if probe in said]
    assert set(PROBES[:2]) <= set(shown)
    if name == "report":  # the worst and the best photos by the names of their files
        assert any(f"{probe}-" in said for probe in PROBES)
    context.close()


def test_the_probes_run_where_they_are_not_made_text(browser: Any) -> None:
    context = browser.new_context()
    page, fired = context.new_page(), list[str]()
    page.on("dialog", noting(fired))
    page.set_content(f'<p>{PROBES[0]}</p><p title="{PROBES[1]}"></p><style></style>{BESIDE_FILES[-2]}')
    until = time.monotonic() + 180
    while not {"1", "2", "8"} <= set(fired):
        assert time.monotonic() < until, fired
        page.wait_for_timeout(50)
    context.close()
