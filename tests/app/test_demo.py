"""The app as it ships, with the demo campus, in a real browser; its screenshots are the README's pictures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.localizer import DEMO_BUNDLE, Localizer
from tests.app.harness import DESKTOP, PHONE, Open, Server, start_app

pytestmark = pytest.mark.slow
SAMPLE = "samples/test-evening-IMG_00263.jpg"


@pytest.fixture(scope="module")
def demo() -> Iterator[Server]:
    running = start_app({"CAMPUS_BUNDLE": ""})
    yield running
    running.process.terminate()
    running.process.wait(10)


@pytest.mark.parametrize(("size", "name"), [(PHONE, "demo-phone"), (DESKTOP, "demo-desktop")], ids=["phone", "desktop"])
def test_a_sample_of_the_demo_campus_gives_its_fix_on_the_map(
    visit: Open, demo: Server, size: tuple[int, int], name: str
) -> None:
    localizer = Localizer.load(DEMO_BUNDLE)
    fix = localizer.locate(localizer.bundle.read(SAMPLE))
    seen = visit(size, url=demo.url)
    page = seen.page
    assert "rendered" in page.locator("body").inner_text()
    page.get_by_role("radio", name="Samples").click()
    page.locator(".strip button").nth(localizer.bundle.samples.index(SAMPLE)).click()
    answer = page.locator("section.answer")
    answer.wait_for()
    assert fix.zone.name in answer.inner_text()
    assert f"{fix.radius68_m:.0f} m" in answer.inner_text()
    seen.map_drawn()
    answer.scroll_into_view_if_needed()
    seen.screenshot(name)
    seen.clean()


def test_the_demo_s_samples_carry_their_true_place() -> None:
    localizer = Localizer.load(DEMO_BUNDLE)
    assert 12 <= len(localizer.bundle.samples) <= 24
    assert localizer.bundle.card.rendered
    size = sum(file.stat().st_size for file in Path(DEMO_BUNDLE).rglob("*") if file.is_file())
    assert size < 40e6
