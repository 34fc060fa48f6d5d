"""Live fixes: a frame a second from the phone's camera through the session's walk; the map stays and the dot moves."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

import streamlit as st

from app import session_log
from app.gate import BusyError, process_gate
from app.map.deck import Room, view_of
from app.map.still import px_per_metre
from app.reasons import reason
from app.sighting import Sighting
from app.standpoint import read
from app.track import place_of, track_of
from core.campus.frame import distance_m
from core.errors import CampusError

if TYPE_CHECKING:
    from app.texts import Texts
    from app.widgets import Shot
    from core.campus.basemap import View
    from core.campus.bundle import Bundle
    from core.locate.fix import Fix
    from core.locate.localizer import Localizer

WAIT_S = 2.0  # for a turn: an older frame is not worth a longer one, the next one shows more
LOGGED_EVERY_M = 10.0
KEPT_WITHIN_PX = 90  # of the map's middle: so far the dot moves and not the map


def follow(localizer: Localizer, texts: Texts, shot: Shot) -> None:
    """Take in a live frame: the walk's fix becomes the page's answer, and each ten metres a line of the log."""
    state = st.session_state
    try:
        with process_gate().turn(WAIT_S):
            taken = read(localizer, shot.photo)
            fix = track_of(localizer).add(taken.reading)
    except BusyError as busy:
        state.trouble = (texts.say("busy", waiting=busy.waiting), "")
        return
    except CampusError as error:
        state.trouble = (texts["photo_error"], reason(error, texts))
        return
    now = datetime.now(timezone.utc).replace(microsecond=0)
    found = Sighting(fix, now, taken.thumbnail, walked=place_of(fix))
    state.trouble, state.play, state.sample, state.first_radii_m = None, [], None, None
    state.current = state.live = found
    if moved_on(state.log, found):
        state.log = session_log.added(state.log, found)


def moved_on(log: list[Sighting], found: Sighting) -> bool:
    """Whether this place is worth a line: it is one, and not where the last line's is."""
    last = log[-1].on_track if log else None
    here = found.place
    if here is None or last is None:
        return here is not None
    return float(distance_m(here.lat, here.lon, last.lat, last.lon)) >= LOGGED_EVERY_M


def steady_view(bundle: Bundle, sighting: Sighting, room: Room) -> View | None:
    """Where the map looks while the dot is followed: elsewhere only once the dot nears its edge; None for a photo."""
    state = st.session_state
    if state.get("live") is not sighting:
        state.live_view = None
        return None
    view: View | None = state.get("live_view")
    if view is None or _from_middle_px(view, sighting.fix) > KEPT_WITHIN_PX:
        view = state.live_view = view_of(bundle, sighting.fix, room=room)
    return view


def _from_middle_px(view: View, fix: Fix) -> float:
    """How far from a map's middle a fix is drawn."""
    return px_per_metre(view) * float(distance_m(view.lat, view.lon, fix.lat, fix.lon))
