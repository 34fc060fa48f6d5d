""" "No, I am here" under an answer: a tap on the map puts photo, fix and true place into the inbox."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import streamlit as st

from app import widgets
from app.collect.inbox import process_inbox
from app.collect.plan import plan
from app.collect.words import faces
from app.map.deck import Place
from app.places import on_campus
from app.reasons import reason
from app.settings import settings
from app.shared import dark, trouble
from core.campus.inbox import Answered, Sidecar
from core.errors import CampusError

if TYPE_CHECKING:
    from app.sighting import Sighting
    from app.standpoint import Taken
    from app.texts import Texts
    from core.locate.localizer import Localizer


def correction(sighting: Sighting, localizer: Localizer, texts: Texts) -> None:
    """The button, then the map; nothing where there is no inbox, or the photo is not the visitor's own."""
    state = st.session_state
    taken: Taken | None = state.play[-1] if state.play else None
    if process_inbox() is None or taken is None or not taken.photo:
        return
    if state.get("corrected") is sighting:
        st.caption(texts["corrected"])
    if state.get("correcting") is not sighting:
        st.button(
            texts["not_here"], icon=":material/edit_location_alt:", key="not_here", on_click=_begin, args=(sighting,)
        )
        return
    try:
        ground = plan(localizer.bundle)
    except CampusError as error:
        trouble(texts["bundle_error"], reason(error, texts))
        return
    with st.container(key="correction"):
        st.caption(f"{texts['correct_consent']} {faces(texts.lang, blur=settings().blur)}")
        fix, radii_m = sighting.fix, sighting.radii_m
        answer = None if radii_m is None else Place(fix.lat, fix.lon, radii_m[1])
        place = widgets.place_on_map(texts, ground, answer, dark=dark())
        st.button(texts["cancel"], key="not_here_cancel", on_click=_begin, args=(None,))
    if place is not None:
        try:
            with st.spinner(texts["working"]):  # looking for faces takes seconds
                store(taken, sighting, place)
        except (CampusError, OSError) as error:
            why = reason(error, texts) if isinstance(error, CampusError) else str(error.strerror)
            trouble(texts["correct_failed"], why)
            return
        told = {"truth": place, "truth_source": "person", "truth_on_campus": on_campus(place, localizer.bundle)}
        state.log = [replace(entry, **told) if entry.key == sighting.key else entry for entry in state.log]
        state.current = state.corrected = replace(sighting, **told)
        state.correcting = None
        st.rerun()


def store(taken: Taken, sighting: Sighting, place: Place) -> None:
    """Put a photo with its true place and the answer that was wrong into the inbox; a second tap moves it.

    Raises CampusError and OSError as `Inbox.add` does.
    """
    inbox = process_inbox()
    if inbox is None:
        return
    fix, capture = sighting.fix, taken.reading.capture
    radius_m = sighting.radii_m[0] if sighting.radii_m is not None else None
    entry, new = inbox.add(
        taken.photo,
        Sidecar(
            lat=place.lat,
            lon=place.lon,
            source="tap",
            time_utc=capture.time_utc or datetime.now(timezone.utc).replace(microsecond=0),
            heading_deg=capture.heading_deg,
            campus=fix.campus,
            fix=Answered(lat=fix.lat, lon=fix.lon, radius68_m=radius_m),
        ),
    )
    if not new and not entry.sidecar.review:
        inbox.change(entry.id, lat=place.lat, lon=place.lon, error_m=None, source="tap")


def _begin(sighting: Sighting | None) -> None:
    st.session_state.correcting = sighting
