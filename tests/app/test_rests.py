"""A page that rests, as the tests of the app wait for it."""

from __future__ import annotations

import pytest

from tests.app.harness import Open
from tests.bundles import photo

pytestmark = pytest.mark.slow

# Timers without a time go off a second late, in turn, as where a browser is busy with drawing.
HELD_BACK = """{
  const plain = setTimeout;
  window.setTimeout = (work, ms, ...rest) => plain(work, ms || 1000, ...rest);
}"""


def test_a_page_rests_only_once_it_has_sent_and_answered_a_tap(visit: Open) -> None:
    seen = visit()
    seen.upload(photo(east_m=-52, north_m=68))
    seen.turn_to(1)
    seen.page.evaluate(HELD_BACK)
    seen.page.locator("[class*=st-key-annotate-] button").click()
    seen.rests()
    assert seen.page.locator("[data-testid=stFormSubmitButton]").count() == 1
