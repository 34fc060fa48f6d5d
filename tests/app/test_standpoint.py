"""What is recorded of a photo beside its answer: where and when it was taken."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from app.map.deck import Place
from app.standpoint import read
from core.locate.localizer import Localizer
from core.photo.capture import Capture
from tests.app.harness import locate
from tests.bundles import photo
from tests.pictures import encoded
from tests.second_looks import bundle_with_second_look, facade, needs_xfeat


def test_a_photos_own_gps_stands_before_the_phones(bundle: Path) -> None:
    localizer = Localizer.load(bundle)
    phone = Place(47.2, 8.6, 9.0)
    assert locate(localizer, photo(at=(47.1, 8.5)), phone=phone).truth_source == "photo"
    only_phone = locate(localizer, photo(), phone=phone)
    assert only_phone.truth == phone
    assert only_phone.truth_source == "phone"
    assert locate(localizer, photo()).error_m is None


def test_time_and_heading_that_the_camera_recorded_stay_without_gps(bundle: Path) -> None:
    """A browser makes the photo smaller, and only what it read of the EXIF before comes with it."""
    localizer, at = Localizer.load(bundle), datetime(2026, 5, 1, 12, tzinfo=timezone.utc)
    phone = Place(47.2, 8.6, 9.0)
    taken = read(localizer, photo(), recorded=Capture(time_utc=at, heading_deg=90.0), phone=phone)
    assert (taken.reading.capture.time_utc, taken.reading.capture.heading_deg) == (at, 90.0)
    assert taken.truth == phone


@needs_xfeat
def test_a_second_look_sees_as_much_of_a_photo_as_in_a_script(tmp_path: Path) -> None:
    localizer = Localizer.load(bundle_with_second_look(tmp_path).path)
    data = encoded(facade(4, shift=6), "JPEG")
    there, here = localizer.read(data).evidence, read(localizer, data).reading.evidence
    assert there is not None
    assert here is not None
    assert np.array_equal(here.log_ratio, there.log_ratio)
