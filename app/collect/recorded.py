"""What a photo's own EXIF says against what the phone that sent it said."""

from __future__ import annotations

from datetime import timedelta

from core.campus.frame import LEAST_LAT, MOST_LAT
from core.campus.inbox import Sidecar
from core.photo.capture import Capture

_JUST_TAKEN = timedelta(minutes=1)  # of a photo by the phone's camera; one of its gallery is older


def by_recorded(told: Sidecar, seen: Capture, clock_ahead: timedelta | None = None) -> Sidecar:
    """The sidecar that a phone told, with what the camera recorded where that knows better.

    A photo whose own time is over a minute from the told one was not taken where and when it was sent: the phone's GPS,
    time and heading are then of another moment, and the camera's stand in their place. A place that a person tapped
    stays. Of any photo the camera's word fills what the phone did not know. `clock_ahead` is how far the phone's clock
    is ahead of UTC, for a camera that does not name its zone.
    """
    by_clock = seen if clock_ahead is None else seen.of_clock(clock_ahead)
    times = [time for time in (seen.time_utc, by_clock.time_utc) if time is not None]
    now = told.time_utc
    if now is not None and times and all(abs(time - now) > _JUST_TAKEN for time in times):
        told = told.changed(time_utc=times[0], heading_deg=None)
        if told.source == "gps":
            told = told.changed(lat=None, lon=None, error_m=None, source="none")
    if not told.placed and seen.lat_deg is not None and LEAST_LAT <= seen.lat_deg <= MOST_LAT:
        told = told.changed(lat=seen.lat_deg, lon=seen.lon_deg, error_m=seen.error_m, source="photo")
    if told.time_utc is None and times:
        told = told.changed(time_utc=times[0])
    return told if told.heading_deg is not None else told.changed(heading_deg=seen.heading_deg)
