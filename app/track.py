"""The session's track: its photos go through one walk of the Bayes filter, which knows how far people walk."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import streamlit as st

from app.map.deck import Place

if TYPE_CHECKING:
    from core.locate.fix import Fix
    from core.locate.localizer import Localizer
    from core.locate.reading import Reading

CLOCKS_DIFFER_S = 60.0  # phone and server; a photo older than this after a newer one is of another walk


class Track:
    """The walk of one visitor on one campus, which restarts where the photos' times go back."""

    def __init__(self, localizer: Localizer, now_s: Callable[[], float] = time.time) -> None:
        self.localizer, self._now_s = localizer, now_s
        self._walk = localizer.walk(keep=0)

    def add(self, reading: Reading) -> Fix:
        """Where the visitor is by this photo and those before it. A photo without a time of its own is of now."""
        taken = self._walk.clock.read(reading.capture).time_utc
        time_s = self._now_s() if taken is None else taken.timestamp()
        return self._walk.add_or_restart(reading, time_s, CLOCKS_DIFFER_S)


def track_of(localizer: Localizer) -> Track:
    """The session's track on this campus; another campus begins another one."""
    track: Track | None = st.session_state.get("track")
    if track is None or track.localizer is not localizer:
        track = st.session_state.track = Track(localizer)
    return track


def leave_track() -> None:
    """Begin anew with the next photo: what was taken out of an answer cannot be taken out of a walk."""
    st.session_state.track = None


def place_of(fix: Fix) -> Place | None:
    """The filter's place with its 68 % radius; None where this is not the campus."""
    return None if fix.refused else Place(fix.lat, fix.lon, fix.radius68_m)
