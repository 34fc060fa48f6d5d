"""What *Collect* takes from a phone's sensors, in a real browser."""

from __future__ import annotations

from typing import Any

import pytest

from tests.app.collect.harness import HERE, Open

pytestmark = pytest.mark.slow
UPRIGHT = {"beta": 90, "gamma": 0}


def heading(page: Any, **event: float) -> Any:
    told = ", ".join(f"{key}: {str(value).replace('nan', 'NaN')}" for key, value in {**UPRIGHT, **event}.items())
    return page.evaluate(f"(senses.turned({{ {told} }}), senses.heading)")


def test_a_compass_that_knows_nothing_tells_nothing_and_one_on_its_side_is_turned(visit_site: Open) -> None:
    seen = visit_site("/collect")
    page = seen.page
    assert heading(page, webkitCompassHeading=350) == 350
    assert heading(page, webkitCompassHeading=-1) is None
    assert heading(page, webkitCompassHeading=float("nan")) is None
    page.evaluate("Object.defineProperty(screen.orientation, 'angle', { value: 90 })")
    assert heading(page, webkitCompassHeading=350) == 80
    assert heading(page, alpha=90, beta=40, absolute=1) == pytest.approx(270), "of the axis out of the back"
    assert heading(page, alpha=float("nan"), absolute=1) is None
    assert seen.errors == []


def test_an_error_beyond_any_campus_is_one_that_the_server_takes(visit_site: Open) -> None:
    seen = visit_site("/collect")
    seen.page.context.set_geolocation({"latitude": HERE[0], "longitude": HERE[1], "accuracy": 250_000})
    seen.page.wait_for_function("senses.position?.error_m === 100000")
    assert seen.errors == []


def test_the_alarm_sounds_by_what_a_tap_began(visit_site: Open) -> None:
    seen = visit_site("/collect")
    page = seen.page
    page.evaluate(
        "() => { window.made = []; const Real = AudioContext;"
        " window.AudioContext = class extends Real { constructor() { super(); made.push(this); } }; alarm(); }"
    )
    assert page.evaluate("made.length") == 0, "outside a tap it would be silent"
    for _ in range(2):
        page.locator("#turn").click()
        page.evaluate("alarm()")
    page.wait_for_function("made[0].state === 'running'")
    page.evaluate("made[0].suspend()")  # as an iPhone does while its camera is open
    page.locator("#turn").click()
    page.wait_for_function("made[0].state === 'running'")
    assert page.evaluate("made.length") == 1
    assert seen.errors == []
