"""Photos of the gallery in *Collect*, in a real browser: what the camera wrote goes up with the new JPEG."""

from __future__ import annotations

from datetime import datetime, timezone

import numpy as np
import pytest

from core.photo.capture import Capture
from core.photo.geotag import exif_of
from core.photo.load import load_photo
from tests.app.collect.harness import HERE, Open, Site, sent, take
from tests.pictures import encoded, quartered, stored_as

pytestmark = pytest.mark.slow
THEN = Capture(
    lat_deg=47.0004, lon_deg=8.4009, error_m=4.0, heading_deg=120.0,
    time_utc=datetime(2026, 3, 4, 5, 6, 7, tzinfo=timezone.utc),
)  # fmt: skip


def turned(capture: Capture, width: int = 400) -> bytes:
    """The JPEG of a phone held on its side."""
    exif = exif_of(capture)
    exif[274] = 6
    return encoded(stored_as(6, width, 300), "JPEG", exif=exif.tobytes(), quality=95)


def test_an_old_photo_goes_up_with_its_own_place_and_time_and_is_turned_once(visit_site: Open, site: Site) -> None:
    seen = visit_site("/collect")
    seen.page.get_by_text("GPS ± 9 m").wait_for()
    take(seen, turned(THEN))
    sent(seen, 1)
    assert seen.page.evaluate("records[0].about.source") == "photo"
    (entry,) = site.inbox.entries()
    told = entry.sidecar
    assert (told.lat, told.lon) == pytest.approx((THEN.lat_deg, THEN.lon_deg), abs=1e-6)
    assert (told.source, told.time_utc, told.heading_deg, told.error_m) == ("photo", THEN.time_utc, 120.0, 4.0)
    rgb = load_photo(entry.path).rgb.astype(int)
    assert rgb.shape == (300, 400, 3)
    assert np.abs(rgb - quartered(400, 300)).mean() < 4
    assert seen.errors == []


def test_a_photo_taken_without_a_fix_takes_the_place_in_its_exif(visit_site: Open, site: Site) -> None:
    seen = visit_site("/collect")
    page = seen.page
    page.get_by_text("GPS ± 9 m").wait_for()
    page.evaluate("window.gpsLost = true; senses.position.at -= 60000")
    now = datetime.now(timezone.utc).replace(microsecond=0)
    take(seen, turned(Capture(lat_deg=47.0004, lon_deg=8.4009, time_utc=now), width=380))
    sent(seen, 1)
    (entry,) = site.inbox.entries()
    assert entry.sidecar.source == "photo"
    assert entry.sidecar.lon == pytest.approx(8.4009, abs=1e-6) != HERE[1]
    assert page.evaluate("records[0].about.lat") == entry.sidecar.lat
    assert seen.errors == []
